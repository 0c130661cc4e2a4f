"""A lock on a folder that dies with its process: who holds it is at work, and nobody else is."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "run.lock"
_UNSUPPORTED: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})


class HeldError(Exception):
    """Another process holds the lock; ``pid`` is what it wrote, "" when that cannot be read."""

    def __init__(self, pid: str) -> None:
        super().__init__(pid)
        self.pid = pid


@contextmanager
def held(folder: Path, name: str = LOCK_NAME) -> Iterator[bool]:
    """Hold the lock of this name in the folder; False where the file system has no locks.

    The kernel lets go when the process ends, however it ends; children do not inherit it.

    Raises:
        HeldError: another process has it.
        OSError: the lock's file cannot be made.
    """
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        is_sure = _take(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield is_sure
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a process is at work in the folder."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        _take(descriptor)
    except HeldError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        digits = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise HeldError(digits if digits.isdecimal() else "") from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True
