"""The compression around the whole archive (none, gzip or zstd), undone in bounded steps.

Both decompressors work on units whose borders the file alone decides (32 KiB of gzip, one block of
zstd), so that a damaged file gives the same verdict however its bytes arrive. One step yields at
most 1 MiB (gzip) or 128 KiB (zstd), whatever the file claims.
Sources: RFC 1952, RFC 8878; which wrappings import takes: xen-api ``import.ml``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from asyncpipe.model.xva import Compression
from asyncpipe.xva.compression.tail import ZeroTail
from asyncpipe.xva.reject import RejectError

_MAX_EMPTY_MEMBERS: Final = 1024  # in a row: no program writes them, and each costs a decompressor
AFTER: Final = "the compressed stream"

Emit = Callable[[memoryview], None]
Warn = Callable[[int, str], None]  # offset in the file, sentence


class Unpacker(Protocol):
    """Turns the file's bytes into the archive's bytes."""

    compression: Compression

    def feed(self, view: memoryview) -> None:
        """Take the next bytes; ContainerRejectError, and whatever the archive raises."""

    def finish(self) -> None:
        """Take the end of the file (truncated, trailing-garbage)."""


class ContainerRejectError(RejectError):
    """A reject whose offset counts in the file itself, not in the archive inside."""


class PlainUnpacker:
    """Passes everything through; the archive itself detects its end."""

    compression = Compression.NONE

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def feed(self, view: memoryview) -> None:
        """Pass the bytes through."""
        self._emit(view)

    def finish(self) -> None:
        """Do nothing."""


class Members:
    """What gzip members and zstd frames have in common: how many, and what may follow them."""

    def __init__(self, emit: Emit, warn: Warn, what: str) -> None:
        self._emit = emit
        self._warn = warn
        self._what = what
        self._count = 0
        self._empty = 0  # members in a row that yielded nothing
        self._tail: ZeroTail | None = None

    def _begin_member(self, at_bytes: int) -> None:
        self._count += 1
        self._empty += 1
        if self._count == 2:
            self._warn(at_bytes, f"the file consists of several {self._what}s")
        if self._empty > _MAX_EMPTY_MEMBERS:
            message = f"more than {_MAX_EMPTY_MEMBERS} empty {self._what}s in a row"
            raise ContainerRejectError("decompress", at_bytes, message)

    def _out(self, data: bytes) -> None:
        if data:
            self._empty = 0
            self._emit(memoryview(data))

    def _feed_tail(self, piece: memoryview) -> None:
        assert self._tail is not None
        try:
            self._tail.feed(piece)
        except RejectError as error:
            raise ContainerRejectError(error.code, error.offset_bytes, error.message) from error

    def _finish_tail(self) -> None:
        assert self._tail is not None
        try:
            self._tail.finish()
        except RejectError as error:
            raise ContainerRejectError(error.code, error.offset_bytes, error.message) from error

    def _damaged(self, at_bytes: int, error: Exception) -> ContainerRejectError:
        message = f"the {self._what} is damaged near here: {str(error)[:100]}"
        return ContainerRejectError("decompress", at_bytes, message)

    def _cut_off(self, at_bytes: int) -> ContainerRejectError:
        message = f"the file ends inside the {self._what}: the export or the copy was cut off"
        return ContainerRejectError("truncated", at_bytes, message)
