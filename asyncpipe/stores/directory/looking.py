"""What a directory store has below its root: which objects there are, and many bodies in one go.

Blocking. No symbolic link is followed below the root, so nothing leads out of it; names that no
key can have, and what is not a regular file, are not objects.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from asyncpipe.errors import ObjectMissingError, ObjectTooLargeError, UploadError, UsageError
from asyncpipe.model.store import ObjectInfo
from asyncpipe.model.store_keys import checked_key
from asyncpipe.stores.directory.records import NOT_OURS
from asyncpipe.system.files import read_regular
from asyncpipe.text.format import utc_text

_MANY_BYTES: Final = 16 * 1024 * 1024  # of bodies that are held at once


def keys(root: Path, prefix: str) -> list[str]:
    """Every key that begins with ``prefix``, in order."""
    top = prefix.rpartition("/")[0]
    if top and not _is_own_folder(os.fspath(root), top, set()):
        return []
    found: list[str] = []
    todo = [f"{top}/" if top else ""]
    while todo:
        here = todo.pop()
        for entry in _entries(root / here):
            key = here + entry.name
            if not _is_dir(entry):  # a link to a folder is one too, and not entered
                found += [key] if key.startswith(prefix) and _is_key(key) else []
            elif _may_hold(f"{key}/", prefix) and _is_key(key) and not entry.is_symlink():
                todo.append(f"{key}/")
    return sorted(found)


def infos(root: Path, keys: Iterable[str]) -> list[ObjectInfo]:
    """Look at objects that ``keys`` found: their sizes, times and ETags, as a listing has them."""
    found = ((key, _seen(f"{root}/{key}")) for key in keys)
    return [info_of(key, seen) for key, seen in found if seen and stat.S_ISREG(seen.st_mode)]


def info_of(key: str, seen: os.stat_result) -> ObjectInfo:
    """What a file's own status says of an object."""
    return ObjectInfo(
        key=key,
        size_bytes=seen.st_size,
        etag=f"{seen.st_ino:x}-{seen.st_mtime_ns:x}-{seen.st_size:x}",
        modified_utc=utc_text(datetime.fromtimestamp(seen.st_mtime, UTC)),
    )


def bodies(
    root: Path, keys: Sequence[str], *, max_bytes: int, path_of: Callable[[str], Path]
) -> list[bytes | UploadError]:
    """Read the first of ``keys``, at least one, and no more of them than fit into memory.

    One that is missing or too large is an error in its place. ``path_of`` judges a key with a
    symbolic link in it. Raises OSError when the disk fails.
    """
    found: list[bytes | UploadError] = []
    own: set[str] = set()  # folders that were looked at
    room_bytes = _MANY_BYTES
    for key in keys:
        is_plain = _is_own_folder(os.fspath(root), key.rpartition("/")[0], own)
        body = _body(root / checked_key(key) if is_plain else path_of(key), max_bytes)
        found.append(body)
        room_bytes -= len(body) if isinstance(body, bytes) else 0
        if room_bytes <= 0:
            break
    return found


def _body(path: Path, max_bytes: int) -> bytes | UploadError:
    try:
        return read_regular(path, max_bytes=max_bytes)
    except OSError as error:
        if error.errno == errno.EFBIG:
            return ObjectTooLargeError(f"{path.as_uri()} has more than {max_bytes} bytes.")
        if error.errno not in NOT_OURS - {errno.EACCES}:
            raise
        return ObjectMissingError(f"There is no object {path}.")


def _is_own_folder(root: str, key: str, own: set[str]) -> bool:
    """Whether each part of ``key`` is a folder, not a link; remembers those that are in ``own``."""
    if not key or key in own:
        return True
    above = key.rpartition("/")[0]
    seen = _seen(f"{root}/{key}") if _is_key(key) and _is_own_folder(root, above, own) else None
    if seen is None or not stat.S_ISDIR(seen.st_mode):
        return False
    own.add(key)
    return True


def _seen(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing of one that is gone or closed to us."""
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _is_key(key: str) -> bool:
    try:
        return checked_key(key) == key
    except UsageError:
        return False


def _may_hold(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)
