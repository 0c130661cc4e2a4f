"""The wrapping of the whole archive: none, gzip or zstd, undone in bounded steps.

Both decompressors work on units whose borders the file alone decides (32 KiB of gzip, one block of
zstd), so that a damaged file gives the same verdict however its bytes arrive. One step yields at
most 1 MiB (gzip) or 128 KiB (zstd), whatever the file claims.
Sources: RFC 1952, RFC 8878; which wrappings import takes: xen-api ``import.ml``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import zstandard
from isal import isal_zlib

from asyncpipe.model.xva import Compression
from asyncpipe.xva.reject import MIB, RejectError
from asyncpipe.xva.tail import ZeroTail

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_GZIP_SLICE_BYTES: Final = 32 * 1024
_GZIP_STEP_BYTES: Final = MIB
_GZIP_WBITS: Final = 31  # a gzip header and trailer, the largest window
_MAX_EMPTY_MEMBERS: Final = 1024  # in a row: nobody writes them, each one costs a decompressor
_MAX_ZSTD_BLOCK_BYTES: Final = 128 * 1024
_MAX_ZSTD_WINDOW_BYTES: Final = 128 * MIB  # what "zstd -d" takes without --memory
_SKIPPABLE_FIRST: Final = 0x184D2A50  # and the 15 magic numbers after it
_GZIP_ERRORS: tuple[type[Exception], ...] = (cast("type[Exception]", isal_zlib.error), ValueError)
_AFTER: Final = "the compressed stream"

Emit = Callable[[memoryview], None]
Warn = Callable[[int, str], None]  # offset in the file, sentence


class Unpacker(Protocol):
    """Takes the file's bytes, hands the archive's bytes on."""

    compression: Compression

    def feed(self, view: memoryview) -> None:
        """Take the next bytes; ContainerRejectError, and whatever the archive raises."""

    def finish(self) -> None:
        """Take the end of the file (truncated, trailing-garbage)."""


class ContainerRejectError(RejectError):
    """A reject whose offset counts in the file itself, not in the archive inside."""


class PlainUnpacker:
    """Hands everything on; the archive knows its own end."""

    compression = Compression.NONE

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def feed(self, view: memoryview) -> None:
        """Hand the bytes on."""
        self._emit(view)

    def finish(self) -> None:
        """Do nothing."""


class _Members:
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


class GzipUnpacker(_Members):
    """gzip with any number of members; what is wrong is found to within 32 KiB."""

    compression = Compression.GZIP

    def __init__(self, emit: Emit, warn: Warn) -> None:
        super().__init__(emit, warn, "gzip member")
        self._slice = bytearray()
        self._read_bytes = 0  # of the file, behind the slices that were undone
        self._stream: Any = None  # None between two members
        self._held = b""  # half a magic number at the end of a slice

    def feed(self, view: memoryview) -> None:
        """Cut the file into slices at fixed offsets and undo each when it is whole."""
        at = 0
        while at < len(view):
            piece = view[at : at + _GZIP_SLICE_BYTES - len(self._slice)]
            at += len(piece)
            self._slice += piece
            if len(self._slice) == _GZIP_SLICE_BYTES:
                self._undo_slice()

    def finish(self) -> None:
        """Undo the last slice and look how the stream ended."""
        self._undo_slice()
        if self._stream is not None:
            raise self._cut_off(self._read_bytes)
        if self._held:
            self._tail = ZeroTail(self._read_bytes - 1, _AFTER)
            self._feed_tail(memoryview(self._held))
        if self._tail is not None:
            self._finish_tail()

    def _undo_slice(self) -> None:
        data = bytes(self._slice)
        self._slice.clear()
        self._read_bytes += len(data)
        while data:
            if self._tail is not None:
                self._feed_tail(memoryview(data))
                return
            data = self._between(data) if self._stream is None else self._undo(data)

    def _between(self, data: bytes) -> bytes:
        data = self._held + data
        self._held = b""
        at_bytes = self._read_bytes - len(data)
        if len(data) < len(GZIP_MAGIC) and GZIP_MAGIC.startswith(data):
            self._held = data
            return b""
        if data.startswith(GZIP_MAGIC):
            self._begin_member(at_bytes)
            self._stream = isal_zlib.decompressobj(_GZIP_WBITS)
        else:
            self._tail = ZeroTail(at_bytes, _AFTER)
        return data

    def _undo(self, data: bytes) -> bytes:
        """Undo bytes of one member and return what lies behind its end."""
        while True:
            try:
                out = self._stream.decompress(data, _GZIP_STEP_BYTES)
            except _GZIP_ERRORS as error:
                raise self._damaged(self._read_bytes - len(data), error) from error
            self._out(out)
            if self._stream.eof:
                rest = bytes(self._stream.unused_data)
                self._stream = None
                return rest
            data = self._stream.unconsumed_tail
            if not data and len(out) < _GZIP_STEP_BYTES:
                return b""


class ZstdUnpacker(_Members):
    """zstd with any number of frames, undone block by block; skippable frames are skipped."""

    compression = Compression.ZSTD

    def __init__(self, emit: Emit, warn: Warn) -> None:
        super().__init__(emit, warn, "zstd frame")
        self._unit = bytearray()
        self._need_bytes = 4
        self._next: Callable[[memoryview], None] = self._magic
        self._read_bytes = 0
        self._skip_bytes = 0
        self._header = b""
        self._checksummed = False
        self._last_block = False
        self._stream: Any = None

    def feed(self, view: memoryview) -> None:
        """Gather magic numbers, headers and blocks; undo each when it is whole."""
        at = 0
        while at < len(view):
            if self._tail is not None:
                self._feed_tail(view[at:])
                return
            if self._skip_bytes:
                taken = min(self._skip_bytes, len(view) - at)
                self._skip_bytes -= taken
                self._read_bytes += taken
            else:
                taken = self._gather(view[at:] if at else view)
            at += taken

    def finish(self) -> None:
        """Look how the stream ended."""
        between = self._next == self._magic and not self._skip_bytes
        if self._tail is None and between and self._unit:
            self._tail = ZeroTail(self._read_bytes - len(self._unit), _AFTER)
            self._feed_tail(memoryview(bytes(self._unit)))
        if self._tail is not None:
            self._finish_tail()
        elif not between:
            raise self._cut_off(self._read_bytes)

    def _gather(self, view: memoryview) -> int:
        taken = min(self._need_bytes - len(self._unit), len(view))
        self._read_bytes += taken
        if taken == self._need_bytes:
            self._next(view[:taken])
            return taken
        self._unit += view[:taken]
        if len(self._unit) == self._need_bytes:
            unit = bytes(self._unit)
            self._unit.clear()
            self._next(memoryview(unit))
        return taken

    def _expect(self, need_bytes: int, state: Callable[[memoryview], None]) -> None:
        self._need_bytes = need_bytes
        self._next = state

    def _magic(self, unit: memoryview) -> None:
        magic = bytes(unit)
        at_bytes = self._read_bytes - 4
        if magic == ZSTD_MAGIC:
            self._begin_member(at_bytes)
            limits = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW_BYTES)
            self._stream = limits.decompressobj()
            self._expect(1, self._descriptor)
        elif 0 <= int.from_bytes(magic, "little") - _SKIPPABLE_FIRST < 16:
            self._begin_member(at_bytes)
            self._expect(4, self._skippable)
        else:
            self._tail = ZeroTail(at_bytes, _AFTER)
            self._feed_tail(memoryview(magic))

    def _skippable(self, unit: memoryview) -> None:
        self._skip_bytes = int.from_bytes(unit, "little")
        self._expect(4, self._magic)

    def _descriptor(self, unit: memoryview) -> None:
        flags = unit[0]
        single_segment = flags >> 5 & 1
        content_size_bytes = (single_segment, 2, 4, 8)[flags >> 6]
        rest_bytes = (1 - single_segment) + (0, 1, 2, 4)[flags & 3] + content_size_bytes
        self._checksummed = bool(flags & 4)
        self._header = ZSTD_MAGIC + bytes(unit)
        self._expect(max(1, rest_bytes), self._frame_header)

    def _frame_header(self, unit: memoryview) -> None:
        self._undo(self._header + unit)
        self._expect(3, self._block_header)

    def _block_header(self, unit: memoryview) -> None:
        bits = int.from_bytes(unit, "little")
        self._last_block = bool(bits & 1)
        kind, size_bytes = bits >> 1 & 3, bits >> 3
        if kind == 3 or size_bytes > _MAX_ZSTD_BLOCK_BYTES:
            raise self._damaged(self._read_bytes - 3, ValueError("no such block"))
        self._undo(unit)
        stored_bytes = 1 if kind == 1 else size_bytes
        if stored_bytes:
            self._expect(stored_bytes, self._block)
        else:
            self._end_block()

    def _block(self, unit: memoryview) -> None:
        self._undo(unit)
        self._end_block()

    def _end_block(self) -> None:
        if not self._last_block:
            self._expect(3, self._block_header)
        elif self._checksummed:
            self._expect(4, self._content_checksum)
        else:
            self._end_frame()

    def _content_checksum(self, unit: memoryview) -> None:
        self._undo(unit)
        self._end_frame()

    def _end_frame(self) -> None:
        if not self._stream.eof:
            raise self._damaged(self._read_bytes, ValueError("the frame does not end here"))
        self._expect(4, self._magic)

    def _undo(self, data: bytes | memoryview) -> None:
        try:
            out = self._stream.decompress(data)
        except zstandard.ZstdError as error:
            raise self._damaged(self._read_bytes - len(data), error) from error
        self._out(out)
