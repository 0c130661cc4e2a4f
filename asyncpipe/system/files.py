"""Small files: replaced in one step, and read without trusting what stands under the name.

Blocking: call it in a worker thread.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def replace_file(path: Path, body: bytes, *, mode: int, durable: bool = True) -> None:
    """Give ``path`` a new content; a reader sees the old or the new one, after a crash too.

    The folder must exist. ``mode`` (minus the umask) is that of the new file. ``durable``: on disk,
    name and content, when this returns. Whatever fails before the new name stands leaves the old
    file and nothing else.

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


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Make a folder with this mode, and the ones above it with 0755, less the umask; OSError.

    ``Path.mkdir`` would leave those above it open to everybody where the umask is 000.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir(mode=mode, exist_ok=True)
    except FileExistsError:  # a file has this name; say so as open(2) would
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def sync_path(path: Path) -> None:
    """Flush a file's content, or the names in a folder, to disk; OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> int:
    """Open a regular file for reading; returns the descriptor.

    Others may write to the folder: a symbolic link is not followed, and a FIFO or a device,
    which could block for ever, is refused.

    Raises:
        OSError: ELOOP for a link, EINVAL for what is not a regular file, or as open(2).
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """Read a small regular file whole; OSError, EFBIG when it is larger than ``max_bytes``."""
    with os.fdopen(open_regular(path), "rb") as file:
        body = file.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes", str(path))
    return body
