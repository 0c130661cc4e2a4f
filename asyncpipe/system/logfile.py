"""Log files on aiofiles: created exclusively, for the owner only, on disk when closed.

Each file has its own daemon thread (``system/threads.py``), so that a disk that stalls holds
neither a signal nor the exit of the process.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from io import FileIO
from pathlib import Path
from typing import Any

import anyio
from aiofiles.threadpool import wrap

from asyncpipe.ports import LOG_GRACE_S, LOG_STALL_S
from asyncpipe.system.threads import DaemonWorker

_MODE = 0o600


class DiskLogFiles:
    """The LogFiles of production."""

    async def create(self, path: Path) -> DiskLogFile:
        """Create ``path``; raises FileExistsError when it is there."""
        worker = DaemonWorker(path.name)
        return DiskLogFile(await _within(_submitted(worker, _open, path), LOG_STALL_S), worker)


class DiskLogFile:
    """An append-only file; one writer at a time."""

    def __init__(self, raw: FileIO, worker: DaemonWorker) -> None:
        self._raw = raw
        self._file = wrap(raw, executor=worker)
        self._worker = worker
        self._abandoned = False
        self._closed = False

    async def write(self, data: bytes) -> None:
        """Append all of ``data``; raises OSError when the disk refuses or does not answer."""
        await self._bounded(self._write_all(data))

    async def close(self) -> None:
        """Flush to disk (fsync) and close; idempotent."""
        if not self._closed:
            await self._bounded(self._flush())
            self._closed = True

    async def _bounded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the file's work, unless its thread was left behind with an earlier one."""
        if self._abandoned:
            work.close()
            raise _stalled()
        try:
            await _within(work, LOG_STALL_S)
        except (TimeoutError, asyncio.CancelledError):
            self._abandoned = True
            self._worker.submit(self._raw.close)  # should the disk come back
            raise

    async def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[await self._file.write(rest) :]

    async def _flush(self) -> None:
        try:
            await _submitted(self._worker, os.fsync, self._raw.fileno())
        finally:
            await self._file.close()


async def _within(work: Coroutine[Any, Any, Any], limit_s: float) -> Any:
    """Wait for the disk; OSError after ``limit_s``.

    A thread that was begun cannot be called back. A caller that is cancelled waits for it a moment
    longer, so that what the disk takes counts as written; then it is left behind.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        with anyio.move_on_after(LOG_GRACE_S, shield=True):
            await asyncio.wait({task})
        if not task.done():
            task.cancel()
            raise
    if not task.done():
        task.cancel()
        raise _stalled()
    return task.result()


async def _submitted(worker: DaemonWorker, function: Callable[..., Any], *args: object) -> Any:
    return await asyncio.wrap_future(worker.submit(function, *args))


def _stalled() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"the disk has not answered for {LOG_STALL_S:g} s")


def _open(path: Path) -> FileIO:
    return FileIO(path, "xb", opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
