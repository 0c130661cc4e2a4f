"""One chunk's bytes from its header to its checksum: held without a copy where that is safe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import xxhash

from asyncpipe.text.safe import printable
from asyncpipe.xva.read.sequence import CHUNK_BYTES, Chunk
from asyncpipe.xva.reject import RejectError

ChunkSink = Callable[[Chunk, memoryview], None]

_SUFFIX_BYTES: Final = {".xxhash": 16, ".checksum": 40}
_UPPER: Final = frozenset(b"0123456789ABCDEF")
_LOWER: Final = frozenset(b"0123456789abcdef")


def checksum_suffix(name: str) -> str:
    """Return ``.xxhash`` or ``.checksum`` when ``name`` ends so, else the empty string."""
    return next((suffix for suffix in _SUFFIX_BYTES if name.endswith(suffix)), "")


def digest(suffix: str, data: memoryview | bytes) -> bytes:
    """Return the checksum member of a chunk: XXH64 upper-case or SHA-1 lower-case hex."""
    if suffix == ".xxhash":
        return b"%016X" % xxhash.xxh64_intdigest(data)
    return hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()


@lru_cache(maxsize=64)
def zero_digest(suffix: str, size_bytes: int) -> bytes:
    """Return the checksum of ``size_bytes`` (at most one chunk) zeroes: finds zero chunks free."""
    return digest(suffix, bytes(size_bytes))


class OpenChunk:
    """The bytes of the chunk that waits for its checksum.

    A chunk that lies whole in one piece of the feed is held as a view; ``settle`` copies it before
    the caller gets its buffer back. Memory: one chunk.
    """

    def __init__(self) -> None:
        self.chunk: Chunk | None = None
        self._buffer = bytearray(CHUNK_BYTES)
        self._filled = 0
        self._whole: memoryview | None = None

    def begin(self, chunk: Chunk) -> None:
        """Open a chunk; none may be open."""
        self.chunk = chunk
        self._filled = 0
        self._whole = None

    def add(self, piece: memoryview) -> None:
        """Take the next bytes of the chunk."""
        if self.chunk is not None and len(piece) == self.chunk.size_bytes:
            self._whole = piece
            return
        end = self._filled + len(piece)
        self._buffer[self._filled : end] = piece
        self._filled = end

    def settle(self) -> None:
        """Let go of the caller's buffer."""
        if self._whole is not None:
            self._buffer[: len(self._whole)] = self._whole
            self._filled = len(self._whole)
            self._whole = None

    def data(self) -> memoryview:
        """Return the bytes so far; valid until the next call of another method."""
        return self._whole if self._whole is not None else memoryview(self._buffer)[: self._filled]

    def close(self) -> None:
        """Forget the chunk."""
        self.chunk = None
        self._whole = None


def check_size(suffix: str, size_bytes: int, offset_bytes: int, member: str) -> None:
    """Reject a checksum member whose size cannot be right (checksum-format)."""
    wanted = _SUFFIX_BYTES[suffix]
    if size_bytes != wanted:
        raise RejectError(
            "checksum-format",
            offset_bytes,
            f"the checksum has {size_bytes:,} bytes, {wanted} hexadecimal digits belong here",
            member=member,
        )


def compare(stored: bytes, actual: bytes, offset_bytes: int, member: str) -> None:
    """Compare a stored checksum with the computed one.

    Raises:
        RejectError: checksum-format, checksum-mismatch.
    """
    if stored == actual:
        return
    shown = printable(stored.decode("ascii", "backslashreplace"), 80)
    if not set(stored) <= _UPPER and not set(stored) <= _LOWER and not _is_hex(stored):
        raise RejectError(
            "checksum-format",
            offset_bytes,
            f'the checksum "{shown}" is not a hexadecimal number',
            member=member,
        )
    same = stored.lower() == actual.lower()
    why = (
        "is right but in the wrong case, which import compares"
        if same
        else f"does not match the data ({actual.decode()}): the chunk or its checksum is damaged"
    )
    message = f"the stored checksum {shown} {why}"
    raise RejectError("checksum-mismatch", offset_bytes, message, member=member)


def _is_hex(stored: bytes) -> bool:
    return set(stored) <= _UPPER | _LOWER
