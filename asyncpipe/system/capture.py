"""Run a short command and keep what it says, bounded in time and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio

from asyncpipe.ports import Command, ProcessRunner, RunningProcess

MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a command said; ``return_code`` None: it was stopped when its time was over."""

    return_code: int | None
    text: str


async def capture(
    runner: ProcessRunner, command: Command, *, timeout_s: float, max_bytes: int = MAX_BYTES
) -> Captured:
    """Run ``command`` to its end; of its output the first ``max_bytes`` are kept.

    Raises:
        UsageError: the program cannot be started.
    """
    kept = bytearray()
    return_code: int | None = None
    async with runner.start(command) as process:
        with anyio.move_on_after(timeout_s):
            await _read(process, kept, max_bytes)
            return_code = await process.wait()
    return Captured(return_code=return_code, text=kept.decode("utf-8", "replace"))


async def _read(process: RunningProcess, kept: bytearray, max_bytes: int) -> None:
    while piece := await process.receive():
        kept += piece[: max(0, max_bytes - len(kept))]
