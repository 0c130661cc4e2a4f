"""The shipped fake of the log files, with knobs for what can go wrong.

It passes the contract suite of the real ones (``tests/system/test_logfile.py``) and runs on any
anyio backend.
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from asyncpipe.ports import LOG_GRACE_S, LOG_STALL_S


@dataclass(slots=True)
class MemoryLogFiles:
    """LogFiles in memory; ``room_bytes`` is what the disk takes before it is full."""

    files: dict[Path, MemoryLogFile] = field(default_factory=dict)
    room_bytes: float = math.inf
    create_error: OSError | None = None
    write_pause_s: float = 0.0  # a slow disk; math.inf: it stalls
    close_pause_s: float = 0.0  # a slow fsync

    async def create(self, path: Path) -> MemoryLogFile:
        """Create ``path``; raises FileExistsError when it is there."""
        await checkpoint()
        if self.create_error:
            raise self.create_error
        if path in self.files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.files[path] = MemoryLogFile(self)
        return self.files[path]


class MemoryLogFile:
    """One file; ``data`` is what the disk has."""

    def __init__(self, disk: MemoryLogFiles) -> None:
        self.data = b""
        self.closed = False
        self._disk = disk
        self._given_up = False

    async def write(self, data: bytes) -> None:
        """Append; OSError(ENOSPC) when the room is used up."""
        await self._answer_after(self._disk.write_pause_s)
        if len(data) > self._disk.room_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._disk.room_bytes -= len(data)
        self.data += data

    async def close(self) -> None:
        """Close; idempotent."""
        if not self.closed:
            await self._answer_after(self._disk.close_pause_s)
            self.closed = True

    async def _answer_after(self, pause_s: float) -> None:
        if self._given_up:
            raise _stalled()
        answered_s = anyio.current_time() + pause_s
        self._given_up = True  # unless the disk answers
        try:
            with anyio.move_on_after(LOG_STALL_S):
                await anyio.sleep_until(answered_s)
                self._given_up = False
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(LOG_GRACE_S, shield=True):
                await anyio.sleep_until(answered_s)
                self._given_up = False
            if self._given_up:
                raise
        if self._given_up:
            raise _stalled()


def _stalled() -> OSError:
    return OSError(errno.ETIMEDOUT, f"the disk has not answered for {LOG_STALL_S:g} s")
