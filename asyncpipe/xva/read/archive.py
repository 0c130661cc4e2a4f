"""The tar inside an XVA as a state machine: bytes in any pieces, one pass, one chunk of memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from asyncpipe.model.xva import ChunkChecksum
from asyncpipe.text.safe import printable
from asyncpipe.xva.compression.tail import ZeroTail
from asyncpipe.xva.read import foreign, refusals
from asyncpipe.xva.read.chunks import (
    ChunkSink,
    OpenChunk,
    check_size,
    checksum_suffix,
    compare,
    digest,
    zero_digest,
)
from asyncpipe.xva.read.extension import EXTENSION_KINDS, MAX_EXTENSION_BYTES, Extension
from asyncpipe.xva.read.ova import MAX_OVA_BYTES, OvaParser
from asyncpipe.xva.read.ova_facts import OvaFacts
from asyncpipe.xva.read.sequence import ChunkSequence
from asyncpipe.xva.read.tar import BLOCK, ZERO_BLOCK, TarHeader, padding_of, parse_header
from asyncpipe.xva.reject import HTTP_MARK, RejectError, http_reject

_RECORD_BYTES: Final = 10_240  # tar programs fill up to this; longer zeroes replaced data
_LAST_BYTES: Final = 4096  # of an unfinished chunk, to look for an error page at the end

# inside a chunk only an answer that reports an error counts: guests' disks hold HTTP as well
_ERROR_PAGE: Final = re.compile(rb"HTTP/1\.[01] [45]\d\d [^\r\n]{0,80}\r\n")

Warn = Callable[[str, int, str, str], None]  # code, offset, member, sentence
State = Callable[[memoryview], int]  # takes what it can, returns how much


class Archive:
    """Checks the decompressed bytes of an XVA; ``on_chunk`` gets valid chunks with data."""

    def __init__(
        self, warn: Warn, *, on_chunk: ChunkSink | None = None, allow_metadata_only: bool = False
    ) -> None:
        self.offset_bytes = 0  # of the next byte that a state gets
        self.facts: OvaFacts | None = None
        self.sequence = ChunkSequence(())
        self.checksums: set[str] = set()
        self.chunks_verified = 0
        self._warn = warn
        self._on_chunk = on_chunk
        self._allow_metadata_only = allow_metadata_only
        self._state: State = self._header
        self._block = bytearray()  # a header or a small member that is not whole yet
        self._open = OpenChunk()
        self._extension = Extension()
        self._ova: OvaParser | None = None
        self._member = TarHeader("", 0, b"")
        self._left_bytes = 0  # of the member or its padding
        self._suffix = ""  # of the checksum member that is being read
        self._tail: ZeroTail | None = None
        self._last = b""

    def feed(self, view: memoryview) -> None:
        """Take the next bytes; no reference to them is kept.

        Raises:
            RejectError: the first rule that is broken.
        """
        at = 0
        while at < len(view):
            taken = self._state(view[at:] if at else view)
            at += taken
            self.offset_bytes += taken
        self._open.settle()
        if self._state == self._chunk:
            self._remember_end(view)

    def _remember_end(self, view: memoryview) -> None:
        """Keep the last bytes of the chunk that is not whole yet, and no others."""
        kept = min(_LAST_BYTES, self._member.size_bytes - self._left_bytes)
        self._last = (self._last + bytes(view[-_LAST_BYTES:]))[-kept:] if kept else b""

    @property
    def checksum(self) -> ChunkChecksum | None:
        """The algorithm of the chunks verified so far."""
        if len(self.checksums) > 1:
            return ChunkChecksum.MIXED
        kinds = {".xxhash": ChunkChecksum.XXH64, ".checksum": ChunkChecksum.SHA1}
        return next((kinds[suffix] for suffix in self.checksums), None)

    # -- headers ----------------------------------------------------------------------------

    def _collect(self, view: memoryview, size_bytes: int) -> tuple[int, bytes | None]:
        """Gather ``size_bytes`` over any number of pieces; None until they are whole."""
        if not self._block and len(view) >= size_bytes:
            return size_bytes, bytes(view[:size_bytes])
        taken = min(size_bytes - len(self._block), len(view))
        self._block += view[:taken]
        if len(self._block) < size_bytes:
            return taken, None
        whole = bytes(self._block)
        self._block.clear()
        return taken, whole

    def _header(self, view: memoryview) -> int:
        at_bytes = self.offset_bytes - len(self._block)
        taken, block = self._collect(view, BLOCK)
        if block is None:
            return taken
        if block.startswith(HTTP_MARK):
            raise http_reject(block, at_bytes)
        if self.facts is None:
            foreign.refuse_known(block, at_bytes)
        if block == ZERO_BLOCK:
            self._state = self._second_zero
            return taken
        header = parse_header(block, at_bytes)
        if self.facts is None:
            self._begin_ova(header, at_bytes)
        elif header.kind in EXTENSION_KINDS:
            self._begin_extension(header, at_bytes)
        else:
            self._begin_member(header, at_bytes)
        return taken

    def _begin(self, header: TarHeader, state: State) -> None:
        self._member = header
        self._left_bytes = header.size_bytes
        self._state = state if header.size_bytes else self._header

    def _begin_ova(self, header: TarHeader, at_bytes: int) -> None:
        if header.name != "ova.xml":
            raise RejectError(
                "ova-not-first",
                at_bytes,
                f'the first member is "{printable(header.name, 100)}", ova.xml must be',
                member=header.name,
            )
        refusals.check_kind(header, at_bytes)
        if header.size_bytes > MAX_OVA_BYTES:
            raise RejectError(
                "ova-too-big",
                at_bytes,
                f"ova.xml has {header.size_bytes:,} bytes, more than {MAX_OVA_BYTES:,}",
                member=header.name,
            )
        self._ova = OvaParser(at_bytes + BLOCK)
        self._begin(header, self._ova_data)
        if not header.size_bytes:
            self._end_ova()

    def _begin_extension(self, header: TarHeader, at_bytes: int) -> None:
        if header.size_bytes > MAX_EXTENSION_BYTES:
            raise RejectError(
                "tar-header", at_bytes, f"an extension header of {header.size_bytes:,} bytes"
            )
        self._warn("tar-extension", at_bytes, header.name, "pax or GNU headers that xapi ignores")
        self._begin(header, self._extension_data)

    def _begin_member(self, header: TarHeader, at_bytes: int) -> None:
        refusals.check_kind(header, at_bytes)
        self._extension.check(header, at_bytes)
        suffix = checksum_suffix(header.name)
        opened = self._open.chunk
        if opened is not None:
            if not suffix or header.name != opened.name + suffix:
                raise refusals.no_checksum(
                    opened.name, f'"{printable(header.name, 100)}"', at_bytes
                )
            self._suffix = suffix
            check_size(suffix, header.size_bytes, at_bytes, header.name)
            self._begin(header, self._checksum_data)
        elif suffix:
            self._refuse_checksum(header, at_bytes)
        else:
            self._begin_chunk(header, at_bytes)

    def _refuse_checksum(self, header: TarHeader, at_bytes: int) -> None:
        shown = printable(header.name, 100)
        if self.sequence.begun and self.sequence.complete:
            message = f'"{shown}" follows the last disk, nothing may'
            raise RejectError("extra-member", at_bytes, message, member=header.name)
        message = f'the checksum "{shown}" does not follow its chunk'
        raise RejectError("checksum-before-data", at_bytes, message, member=header.name)

    def _begin_chunk(self, header: TarHeader, at_bytes: int) -> None:
        chunk = self.sequence.accept(header.name, header.size_bytes, at_bytes)
        for code, message in self.sequence.notes:
            self._warn(code, at_bytes, header.name, message)
        self.sequence.notes.clear()
        self._open.begin(chunk)
        self._begin(header, self._chunk)

    # -- members ----------------------------------------------------------------------------

    def _take(self, view: memoryview) -> memoryview:
        """Return what ``view`` has of the member; after its last byte comes the padding."""
        piece = view[: self._left_bytes]
        self._left_bytes -= len(piece)
        if not self._left_bytes:
            self._left_bytes = padding_of(self._member.size_bytes)
            self._state = self._padding if self._left_bytes else self._header
        return piece

    def _ova_data(self, view: memoryview) -> int:
        piece = self._take(view)
        assert self._ova is not None
        self._ova.feed(piece)
        if self._state != self._ova_data:
            self._end_ova()
        return len(piece)

    def _end_ova(self) -> None:
        assert self._ova is not None
        self.facts = self._ova.finish()
        self._ova = None
        self.sequence = ChunkSequence(self.facts.disks)
        for code, message in self.facts.warnings():
            self._warn(code, BLOCK, "ova.xml", message)

    def _extension_data(self, view: memoryview) -> int:
        at_bytes = self.offset_bytes - len(self._block)
        taken, data = self._collect(view, self._member.size_bytes)
        if data is not None:
            self._extension.read(self._member.kind, data, at_bytes)
            self._left_bytes = padding_of(len(data))
            self._state = self._padding if self._left_bytes else self._header
        return taken

    def _chunk(self, view: memoryview) -> int:
        piece = self._take(view)
        self._open.add(piece)
        return len(piece)

    def _checksum_data(self, view: memoryview) -> int:
        at_bytes = self.offset_bytes - len(self._block)
        taken, stored = self._collect(view, self._member.size_bytes)
        if stored is not None:
            self._close_chunk(stored, at_bytes)
            self._left_bytes = padding_of(len(stored))
            self._state = self._padding
        return taken

    def _close_chunk(self, stored: bytes, at_bytes: int) -> None:
        chunk = self._open.chunk
        assert chunk is not None
        data = self._open.data()
        actual = digest(self._suffix, data)
        compare(stored, actual, at_bytes, self._member.name)
        self.checksums.add(self._suffix)
        if len(self.checksums) > 1:
            message = "chunks are guarded by XXH64 and SHA-1 in turn"
            self._warn("checksum-mixed", at_bytes, self._member.name, message)
        self.chunks_verified += 1
        disk = self.sequence.disks[chunk.disk]
        disk.chunks += 1
        disk.stored_bytes += chunk.size_bytes
        if actual != zero_digest(self._suffix, chunk.size_bytes):
            disk.data_bytes += chunk.size_bytes
            if self._on_chunk is not None:
                self._on_chunk(chunk, data)
        self._open.close()
        self._last = b""

    def _padding(self, view: memoryview) -> int:
        piece = view[: self._left_bytes]
        rest = bytes(piece).lstrip(b"\0")
        if rest:
            at_bytes = self.offset_bytes + len(piece) - len(rest)
            message = "the padding behind this member is not zero"
            self._warn("pad-nonzero", at_bytes, self._member.name, message)
        self._left_bytes -= len(piece)
        if not self._left_bytes:
            self._state = self._header
        return len(piece)

    # -- the end ----------------------------------------------------------------------------

    def _second_zero(self, view: memoryview) -> int:
        at_bytes = self.offset_bytes - len(self._block)
        taken, block = self._collect(view, BLOCK)
        if block is None:
            return taken
        if block.startswith(HTTP_MARK):
            raise http_reject(block, at_bytes)
        if block != ZERO_BLOCK:
            raise refusals.zeroed_header(at_bytes)
        self._tail = ZeroTail(at_bytes + BLOCK, "the end of the archive")
        self._state = self._after_end
        return taken

    def _after_end(self, view: memoryview) -> int:
        assert self._tail is not None
        try:
            self._tail.feed(view)
        except RejectError as error:
            if error.code == "trailing-padding":
                self._refuse_missing(at_bytes=error.offset_bytes)
            raise
        return len(view)

    def finish(self) -> None:
        """Say what the end of the bytes means.

        Raises:
            RejectError: truncated, no-end-of-archive, what is missing, what follows the end.
        """
        if self._tail is not None:
            self._tail.finish()
            self._refuse_missing(at_bytes=self.offset_bytes - self._tail.zero_bytes)
            return
        at_bytes = self.offset_bytes
        start = bytes(self._block)
        if start.startswith(HTTP_MARK):
            raise http_reject(start, at_bytes - len(start))
        if at_bytes < BLOCK:
            foreign.refuse_short(start)
        page = _ERROR_PAGE.search(self._last) if self._state == self._chunk else None
        if page:
            page_at_bytes = at_bytes - len(self._last) + page.start()
            raise http_reject(self._last[page.start() :], page_at_bytes)
        if self._state == self._second_zero and start.strip(b"\0"):
            raise refusals.zeroed_header(at_bytes - len(start))
        raise self._ends_early(start)

    def _ends_early(self, start: bytes) -> RejectError:
        between = self._state in {self._header, self._second_zero}
        if between and self.facts and self._open.chunk is None and self.sequence.complete:
            return refusals.no_end(self.offset_bytes, overwritten=bool(start.strip(b"\0")))
        missing = self.sequence.missing() if self.facts else None
        inside = "" if between else self._member.name
        return refusals.truncated(self.offset_bytes, inside, missing[1] if missing else "")

    def _refuse_missing(self, at_bytes: int) -> None:
        """Reject an archive that ended in order but lacks data."""
        assert self._tail is not None
        opened = self._open.chunk
        missing = self.sequence.missing()
        zeroes = self._tail.zero_bytes
        if (opened or missing) and zeroes > _RECORD_BYTES:
            lost = missing[1] if missing else f"the checksum of {opened and opened.name} is missing"
            raise refusals.unwritten_end(at_bytes, lost)
        if opened:
            raise refusals.no_checksum(opened.name, "the end of the archive", at_bytes)
        if missing and not (missing[0] == "metadata-only" and self._allow_metadata_only):
            raise RejectError(missing[0], at_bytes, missing[1])
