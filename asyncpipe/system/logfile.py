"""Log files on aiofiles: created exclusively, for the owner only, on disk when closed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import aiofiles
import aiofiles.os
import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncFileIO

_MODE = 0o600


class DiskLogFiles:
    """The LogFiles of production."""

    async def create(self, path: Path) -> DiskLogFile:
        """Create ``path``; raises FileExistsError when it is there."""
        with anyio.CancelScope(shield=True):  # an abandoned open would leave its descriptor behind
            file = await aiofiles.open(path, "xb", buffering=0, opener=_open_private)
        return DiskLogFile(file)


class DiskLogFile:
    """An append-only file; one writer at a time."""

    def __init__(self, file: AsyncFileIO) -> None:
        self._file = file
        self._closed = False

    async def write(self, data: bytes) -> None:
        """Append all of ``data``; raises OSError when the disk refuses."""
        rest = memoryview(data)
        while rest:
            # A thread that was begun cannot be called back: leaving early would let a later write
            # overtake it, so the short wait is shielded.
            with anyio.CancelScope(shield=True):
                written = await self._file.write(rest)
            rest = rest[written:]

    async def close(self) -> None:
        """Flush to disk (fsync) and close; idempotent."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(os.fsync, self._file.fileno())
            finally:
                await self._file.close()


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
