"""A gzip-compressed XVA, decompressed in slices of 32 KiB (RFC 1952)."""

from __future__ import annotations

from typing import Any, Final, cast

from isal import isal_zlib

from asyncpipe.model.xva import Compression
from asyncpipe.xva.compression.container import AFTER, Emit, Members, Warn
from asyncpipe.xva.compression.tail import ZeroTail
from asyncpipe.xva.reject import MIB

GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_SLICE_BYTES: Final = 32 * 1024
_GZIP_STEP_BYTES: Final = MIB
_GZIP_WBITS: Final = 31  # a gzip header and trailer, the largest window
_GZIP_ERRORS: tuple[type[Exception], ...] = (cast("type[Exception]", isal_zlib.error), ValueError)


class GzipUnpacker(Members):
    """gzip with any number of members; errors are located to within 32 KiB."""

    compression = Compression.GZIP

    def __init__(self, emit: Emit, warn: Warn) -> None:
        super().__init__(emit, warn, "gzip member")
        self._slice = bytearray()
        self._read_bytes = 0  # of the file, behind the slices that were undone
        self._stream: Any = None  # None between two members
        self._held = b""  # half a magic number at the end of a slice

    def feed(self, view: memoryview) -> None:
        """Cut the file into slices at fixed offsets and decompress each complete one."""
        at = 0
        while at < len(view):
            piece = view[at : at + _GZIP_SLICE_BYTES - len(self._slice)]
            at += len(piece)
            self._slice += piece
            if len(self._slice) == _GZIP_SLICE_BYTES:
                self._undo_slice()

    def finish(self) -> None:
        """Decompress the last slice and check how the stream ended."""
        self._undo_slice()
        if self._stream is not None:
            raise self._cut_off(self._read_bytes)
        if self._held:
            self._tail = ZeroTail(self._read_bytes - 1, AFTER)
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
            self._tail = ZeroTail(at_bytes, AFTER)
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
