"""Everything that is computed over the bytes in the one pass that reads them.

The functions block and belong into worker threads; hashing and reading release the GIL.
CRC64NVME is polynomial 0xad93d23594c93659, reflected, as the S3 API names it; at S3 its value
is the base64 of 8 big-endian bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from asyncpipe.errors import SourceChangedError
from asyncpipe.model.store import ChecksumMode, PartDigests
from asyncpipe.system.crc import combine_crc64nvme, crc64nvme
from asyncpipe.system.memory import aligned_memory
from asyncpipe.upload.parts import MIB, Part

PIECE_BYTES = MIB  # small enough to be still in the cache when the second reader comes by


class Inspector(Protocol):
    """Looks at every byte in order and may reject the source, early or at its end."""

    @property
    def rejected(self) -> bool:
        """True as soon as the bytes seen so far can no longer become good."""
        ...

    def feed(self, data: memoryview) -> None:
        """Take the next bytes; the view is valid during the call only."""
        ...

    def finish(self) -> object:
        """Say what was found, after the last byte."""
        ...


def combined_crc64nvme(parts: Iterable[tuple[int, int]]) -> int:
    """Return the CRC64NVME of a whole from (crc, size_bytes) of its parts, in order."""
    whole = 0
    for crc, size_bytes in parts:
        whole = combine_crc64nvme(whole, crc, size_bytes)
    return whole


def multipart_etag(part_md5s_base64: Iterable[str]) -> str:
    """Return S3's ETag of a multipart object: MD5 over the parts' MD5s, then ``-N``."""
    md5s = [base64.b64decode(value) for value in part_md5s_base64]
    whole = hashlib.md5(b"".join(md5s), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(md5s)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestedPart:
    """A part whose bytes were read, and their digests."""

    part: Part
    digests: PartDigests


class PartReader:
    """Reads a file's parts in order into buffers, digesting each piece while it is in the cache."""

    def __init__(self, mode: ChecksumMode, inspector: Inspector | None = None) -> None:
        self._mode = mode
        self._inspector = inspector

    def read(self, descriptor: int, part: Part, view: memoryview) -> DigestedPart:
        """Fill ``view`` with the part; raises SourceChangedError when bytes are missing."""
        digesting = _Digesting(self._mode)
        for start in range(0, part.size_bytes, PIECE_BYTES):
            piece = view[start : min(start + PIECE_BYTES, part.size_bytes)]
            read_exactly(descriptor, piece, part.offset_bytes + start)
            digesting.update(piece)
        # whole: a chunk of an XVA that lies across two pieces is copied, one inside is not
        if self._inspector is not None and not self._inspector.rejected:
            self._inspector.feed(view[: part.size_bytes])
        return DigestedPart(part=part, digests=digesting.finish())


class _Digesting:
    """The digests of one part: those that its store uses."""

    def __init__(self, mode: ChecksumMode) -> None:
        self._crc = 0
        self._sha256 = hashlib.sha256() if mode is ChecksumMode.SHA256_COMPOSITE else None
        self._md5 = None
        if mode in {ChecksumMode.CONTENT_MD5, ChecksumMode.ETAG_MD5}:
            self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, piece: memoryview) -> None:
        self._crc = crc64nvme(piece, self._crc)
        for algorithm in (self._sha256, self._md5):
            if algorithm is not None:
                algorithm.update(piece)

    def finish(self) -> PartDigests:
        sha256, md5 = self._sha256, self._md5
        return PartDigests(
            crc64nvme=self._crc,
            sha256_base64=base64.b64encode(sha256.digest()).decode() if sha256 else None,
            md5_base64=base64.b64encode(md5.digest()).decode() if md5 else None,
        )


def digests_of(mode: ChecksumMode, body: memoryview) -> PartDigests:
    """Return the digests of a part that is in memory, as a store of this mode wants them."""
    digesting = _Digesting(mode)
    digesting.update(body)
    return digesting.finish()


def read_exactly(descriptor: int, view: memoryview, offset_bytes: int) -> None:
    """Fill ``view`` from ``offset_bytes`` on; raises SourceChangedError at an early end."""
    done_bytes = 0
    while done_bytes < len(view):
        count = os.preadv(descriptor, [view[done_bytes:]], offset_bytes + done_bytes)
        if count == 0:
            raise SourceChangedError(
                f"the file ended at byte {offset_bytes + done_bytes} while it was read:"
                " it was cut short",
                hint="start again once nothing writes to it",
            )
        done_bytes += count


def range_crc64nvme(descriptor: int, part: Part) -> int:
    """Read a part's range again, in small pieces, and return its CRC64NVME."""
    scratch = aligned_memory(min(PIECE_BYTES, part.size_bytes))
    crc = 0
    for start in range(0, part.size_bytes, PIECE_BYTES):
        piece = scratch[: min(PIECE_BYTES, part.size_bytes - start)]
        read_exactly(descriptor, piece, part.offset_bytes + start)
        crc = crc64nvme(piece, crc)
    return crc
