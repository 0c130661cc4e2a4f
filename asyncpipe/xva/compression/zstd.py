"""A zstd-compressed XVA, decompressed block by block (RFC 8878)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import zstandard

from asyncpipe.model.xva import Compression
from asyncpipe.xva.compression.container import AFTER, Emit, Members, Warn
from asyncpipe.xva.compression.tail import ZeroTail
from asyncpipe.xva.reject import MIB

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_MAX_ZSTD_BLOCK_BYTES: Final = 128 * 1024
_MAX_ZSTD_WINDOW_BYTES: Final = 128 * MIB  # what "zstd -d" takes without --memory
_SKIPPABLE_FIRST: Final = 0x184D2A50  # and the 15 magic numbers after it


class ZstdUnpacker(Members):
    """zstd with any number of frames, decompressed block by block; skippable frames are skipped."""

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
        """Gather magic numbers, headers and blocks; decompress each complete block."""
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
        """Check how the stream ended."""
        between = self._next == self._magic and not self._skip_bytes
        if self._tail is None and between and self._unit:
            self._tail = ZeroTail(self._read_bytes - len(self._unit), AFTER)
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
            self._tail = ZeroTail(at_bytes, AFTER)
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
