"""Small files replaced in one step: a reader sees the old or the new one, after a crash too.

Blocking: call it in a worker thread.
"""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, body: bytes, *, mode: int, durable: bool = True) -> None:
    """Give ``path`` a new content; its folder must exist.

    ``mode`` (minus the umask) is that of the new file. ``durable``: on disk, name and content, when
    this returns. Whatever fails before the new name stands leaves the old file and nothing else.

    Raises:
        OSError
    """
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_path(path.parent)


def sync_path(path: Path) -> None:
    """Flush a file's content, or the names in a folder, to disk; OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
