"""Packer's own log (PACKER_LOG_PATH): prepared, read, removed; it is not redacted."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.packer.output_rows import MARKS, MachineRows
from asyncpipe.system.disk import Disk
from asyncpipe.text.safe import printable

PACKER_LOG_NAME: Final = "packer.log"
_READ_BYTES: Final = 1 << 20
_LONGEST_ROW_BYTES: Final = 1 << 16
_ANSWER_S: Final = 5.0  # a cancelled build waits for this


async def prepare_private(path: Path) -> None:
    """Create Packer's log for the owner alone: Packer writes secrets to it and keeps the mode."""
    try:
        await Disk(path.name).call(partial(path.touch, mode=0o600, exist_ok=False))
    except OSError as error:
        raise UsageError(
            f"Cannot write {printable(str(path), 300)}: {error.strerror}.",
            hint="Check the work folder: its permissions and its free space.",
        ) from error


async def take_rows(path: Path, rows: MachineRows) -> str:
    """Read what Packer's log says, and remove it: it is not redacted.

    Returns a sentence for a person where the file may still be there, "" otherwise. Nothing is
    raised: the rows add to what the output said, and the build does not depend on them.
    """
    disk = Disk(path.name)
    with suppress(OSError):
        for lines in await disk.call(_rows_of, path, limit_s=_ANSWER_S):
            rows.feed_lines(lines)
    try:
        await disk.call(partial(path.unlink, missing_ok=True), limit_s=_ANSWER_S)
    except OSError as error:
        why = error.strerror or str(error)
        return (
            f"{printable(str(path), 300)} could not be removed ({why}): it holds what Packer"
            " logged, unmasked, maybe secrets; remove it"
        )
    return ""


def _rows_of(path: Path) -> list[list[str]]:
    found, rest = [], b""
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            rest = rest[-_LONGEST_ROW_BYTES:]
            found.append(_telling(lines))
    found.append(_telling([rest]))
    return found


def _telling(lines: list[bytes]) -> list[str]:
    marks = MARKS
    return [
        line[:_LONGEST_ROW_BYTES].decode("utf-8", "replace")
        for line in lines
        if any(mark in line for mark in marks)
    ]
