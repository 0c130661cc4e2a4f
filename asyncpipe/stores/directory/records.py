"""What the directory store keeps beside the bytes, as small JSON files; blocking.

The folder may be anybody's to write to, so what is read has bounds, and a file that is damaged, a
link, a FIFO or a device is as good as none.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from asyncpipe.model.documents.fields import Count, Key, Text
from asyncpipe.system.files import read_regular, replace_file

FILE_MODE: Final = 0o644  # minus the umask
_MAX_JSON_BYTES: Final = 1024 * 1024
# whatever has this name is not a file of ours, whoever put it there
NOT_OURS: Final = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EINVAL,
        errno.ENXIO,
        errno.EFBIG,
        errno.EACCES,
    )
)

Value = TypeVar("Value")


class UploadRecord(Struct, frozen=True, kw_only=True):
    """What ``upload.json`` holds; ``stride_bytes`` is the size of part 1, once that is known."""

    key: Key
    content_type: Text
    metadata: dict[str, str]
    initiated_utc: Text
    stride_bytes: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    small: bool = False  # a single put on its way: nobody resumes it


class Sidecar(Struct, frozen=True, kw_only=True):
    """What is known of a published file beside its bytes."""

    key: Key
    content_type: Text
    metadata: dict[str, str]
    crc64nvme_base64: Text | None


class Place(Struct, frozen=True, kw_only=True):
    """Where a finished part of an upload lies (``part-NUMBER.json``)."""

    file: Annotated[str, Meta(pattern=r"^(data|part-[0-9]{5}\.data)$", max_length=20)]
    offset_bytes: Count
    size_bytes: Count
    crc64nvme: Annotated[int, Meta(ge=0)]

    def __post_init__(self) -> None:
        if self.crc64nvme >= 2**64:
            raise ValueError("a CRC64NVME has 64 bits")


def write_json(path: Path, value: Struct, *, durable: bool = True) -> None:
    """Replace a small file atomically, and durably when asked."""
    replace_file(path, msgspec.json.encode(value), mode=FILE_MODE, durable=durable)


def read_json(path: Path, kind: type[Value]) -> Value | None:
    """Read a small file; None when it is absent, damaged, or not a file of ours."""
    try:
        return msgspec.json.decode(read_regular(path, max_bytes=_MAX_JSON_BYTES), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    except OSError as error:
        if error.errno not in NOT_OURS:
            raise
        return None
