"""Packer's own log (PACKER_LOG_PATH): prepared, read, removed; it is not redacted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio

from asyncpipe.errors import UsageError
from asyncpipe.packer.output_rows import MARKS, MachineRows
from asyncpipe.text.safe import printable

PACKER_LOG_NAME: Final = "packer.log"
_READ_BYTES: Final = 1 << 20
_LONGEST_ROW_BYTES: Final = 1 << 16


def prepare_private(path: Path) -> None:
    """Create Packer's log for the owner alone: Packer writes secrets to it and keeps the mode."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise UsageError(
            f"Cannot write {printable(str(path), 300)}: {error.strerror}.",
            hint="Check the work folder: its permissions and its free space.",
        ) from error


async def take_rows(path: Path, rows: MachineRows) -> None:
    """Read Packer's log and remove it: it is not redacted."""
    try:
        async with await anyio.open_file(path, "rb") as file:
            rest = b""
            while block := await file.read(_READ_BYTES):
                *lines, rest = (rest + block).split(b"\n")
                rest = rest[-_LONGEST_ROW_BYTES:]
                rows.feed_lines(_telling(lines))
            rows.feed_lines(_telling([rest]))
    except OSError:
        pass  # the rows add to what the output said; the build does not depend on them
    finally:
        await anyio.Path(path).unlink(missing_ok=True)


def _telling(lines: list[bytes]) -> list[str]:
    marks = MARKS
    return [
        line[:_LONGEST_ROW_BYTES].decode("utf-8", "replace")
        for line in lines
        if any(mark in line for mark in marks)
    ]
