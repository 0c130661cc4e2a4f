"""The lock of a directory store, and how a probe leaves nothing where nothing was before.

``.asyncpipe-uploads/lock`` serialises what replaces or removes an object. A probe removes the
folders that it made, and the lock's file with them; so whoever waits for the lock looks afterwards
whether its file is still the one at that path.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from asyncpipe.stores.directory.records import FILE_MODE
from asyncpipe.system.files import make_folder

Result = TypeVar("Result")

_NAME: Final = "lock"
_MOST_ATTEMPTS: Final = 100  # of making a folder that others keep removing


@contextmanager
def locked(work: Path) -> Iterator[None]:
    """Hold the lock against other processes and threads."""
    descriptor = insist(lambda: _taken(work))
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_to_read(work: Path) -> Iterator[None]:
    """Hold the lock where somebody made one: looking creates nothing and may be all we may."""
    try:
        descriptor = os.open(work / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def insist(make: Callable[[], Result]) -> Result:
    """Make something in a folder that ``remove_new`` of another process may remove while empty."""
    for _ in range(_MOST_ATTEMPTS):
        with suppress(FileNotFoundError):
            return make()
    return make()


def missing(work: Path) -> tuple[Path, ...]:
    """Which of the store's own files and folders are not there yet, the deepest first."""
    own = (work / "objects", work / _NAME, work, *work.parents)
    return tuple(path for path in own if not path.exists())


def remove_new(work: Path, missing: tuple[Path, ...]) -> None:
    """Remove what ``missing`` named and was made since, as far as nobody has put more there."""
    with locked(work), suppress(OSError):
        for path in missing:
            if path != work / _NAME:
                path.rmdir()
            elif {entry.name for entry in work.iterdir()} == {_NAME}:
                path.unlink()


def _taken(work: Path) -> int:
    """Wait for the lock; FileNotFoundError when ``remove_new`` took its file away meanwhile."""
    make_folder(work)
    path = work / _NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        still = os.path.samestat(os.fstat(descriptor), path.stat())
    except BaseException:
        os.close(descriptor)
        raise
    if not still:
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "replaced", str(path))
    return descriptor
