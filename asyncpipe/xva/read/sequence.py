"""The order of chunks: order of disks, counters, sizes, gaps and completeness.

Source: xen-api ``stream_vdi.ml``. The counter is a counter, not an offset: an empty keep-alive
chunk takes a value without moving the disk's cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asyncpipe.text.format import counted
from asyncpipe.text.safe import printable
from asyncpipe.xva.read.ova_facts import DeclaredDisk
from asyncpipe.xva.reject import MIB, RejectError

CHUNK_BYTES: Final = MIB
_BLOCK: Final = 512
_MAX_EMPTY_CHUNKS: Final = 65_536  # in a row; one per 5 s of silence, so almost four days
_USUAL_WIDTH: Final = 8
_MAX_WIDTH: Final = 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk whose header was accepted and what it does to its disk."""

    disk: int  # index in the declared disks
    name: str  # of the member
    offset_bytes: int  # in the disk
    size_bytes: int


@dataclass(slots=True)
class DiskProgress:
    """The progress of one disk."""

    declared: DeclaredDisk
    last: int = -1  # counter of the last chunk
    cursor_bytes: int = 0
    width: int = 0
    stored_bytes: int = 0
    data_bytes: int = 0
    chunks: int = 0
    empty_run: int = 0

    @property
    def complete(self) -> bool:
        """Whether the chunks reached the declared size."""
        return self.cursor_bytes >= self.declared.virtual_size_bytes

    @property
    def label(self) -> str:
        """The disk for people: its reference and its name."""
        name = f' "{printable(self.declared.name, 40)}"' if self.declared.name else ""
        return f"{printable(self.declared.reference, 60)}{name}"


class ChunkSequence:
    """Accepts chunk headers in the only order that import takes; says what is missing at the end.

    ``notes`` collects what is odd but fine, as (code, sentence).
    """

    def __init__(self, disks: tuple[DeclaredDisk, ...]) -> None:
        self.disks = [DiskProgress(disk) for disk in disks]
        self.notes: list[tuple[str, str]] = []
        self._index_of = {disk.reference: index for index, disk in enumerate(disks)}
        self._current = 0
        self._unit_bytes = 0  # import moves over a gap in steps of the stream's first chunk

    @property
    def complete(self) -> bool:
        """Whether every declared disk is whole."""
        return all(disk.complete for disk in self.disks[self._current :])

    @property
    def begun(self) -> bool:
        """Whether any chunk was seen."""
        return self._unit_bytes > 0

    def accept(self, name: str, size_bytes: int, at_bytes: int) -> Chunk:
        """Check a chunk's header and move on; ``at_bytes`` is where the header stands.

        Raises:
            RejectError: every code about disks, order and chunk sizes.
        """
        try:
            return self._accept(name, size_bytes)
        except _Refused as error:
            raise RejectError(error.code, at_bytes, error.message, member=name) from error

    def _accept(self, name: str, size_bytes: int) -> Chunk:
        reference, _, suffix = name.rpartition("/")
        index = self._index_of.get(reference)
        if index is None:
            self._refuse_stranger(name)
        else:
            self._advance(index, suffix)
        disk = self.disks[self._current]
        counter = self._counter(disk, suffix)
        gap_bytes = (counter - disk.last - 1) * self._unit_bytes
        self._check_gap(disk, gap_bytes, size_bytes)
        offset_bytes = disk.cursor_bytes + gap_bytes
        self._check_size(disk, offset_bytes, size_bytes)
        self._unit_bytes = self._unit_bytes or size_bytes
        disk.last = counter
        disk.cursor_bytes = offset_bytes + size_bytes
        return Chunk(self._current, name, offset_bytes, size_bytes)

    def _refuse_stranger(self, name: str) -> None:
        shown = printable(name, 100)
        if self.begun and self.complete:
            raise _Refused("extra-member", f'"{shown}" follows the last disk, nothing may')
        raise _Refused("unknown-disk", f'"{shown}" belongs to no disk that ova.xml declares')

    def _advance(self, index: int, suffix: str) -> None:
        """Make disk ``index`` the current one, or say why it may not be."""
        disk = self.disks[self._current]
        if index == self._current:
            if disk.complete:
                last = self._current == len(self.disks) - 1
                if not last:
                    self._counter(disk, suffix)  # repeated or swapped says more than too much
                raise _Refused(
                    "extra-member" if last else "disk-overrun",
                    f"disk {disk.label} is complete, another chunk of it follows",
                )
            return
        if disk.last >= 0 and not disk.complete:
            raise _Refused("disk-incomplete", f"{_short(disk)} where the next disk begins")
        expected = self._current + 1 if disk.complete else self._current
        if index != expected or expected >= len(self.disks):
            wanted = self.disks[min(expected, len(self.disks) - 1)].label
            raise _Refused(
                "disk-order",
                f"disk {self.disks[index].label} stands where {wanted} must: disks follow one "
                "another in the byte order of their references",
            )
        self._current = index

    def _counter(self, disk: DiskProgress, suffix: str) -> int:
        if not (suffix.isascii() and suffix.isdigit() and len(suffix) <= _MAX_WIDTH):
            raise _Refused(
                "chunk-name", f'the chunk\'s number "{printable(suffix, 40)}" is not decimal'
            )
        if disk.width and len(suffix) != disk.width:
            raise _Refused(
                "chunk-name",
                f"the chunk's number has {len(suffix)} digits, the earlier ones {disk.width}",
            )
        counter = int(suffix)
        if counter <= disk.last:
            raise _Refused(
                "chunk-order",
                f"chunk {counter} of {disk.label} follows chunk {disk.last}: repeated or swapped",
            )
        if disk.last < 0 and counter != 0:
            raise _Refused(
                "first-chunk-missing",
                f"disk {disk.label} begins with chunk {counter}: import would read zeroes for "
                "its boot sector",
            )
        if not disk.width and len(suffix) != _USUAL_WIDTH:
            message = f"chunk numbers have {len(suffix)} digits, xapi writes {_USUAL_WIDTH}"
            self.notes.append(("chunk-name-width", message))
        disk.width = len(suffix)
        return counter

    def _check_gap(self, disk: DiskProgress, gap_bytes: int, size_bytes: int) -> None:
        end_bytes = disk.cursor_bytes + gap_bytes
        if gap_bytes and self._unit_bytes != CHUNK_BYTES:
            raise _Refused(
                "chunk-size",
                f"the first chunk of the file has {self._unit_bytes:,} bytes, so import measures "
                f"the gap before this chunk of {size_bytes:,} bytes wrongly",
            )
        if end_bytes >= disk.declared.virtual_size_bytes:
            raise _Refused(
                "disk-overrun",
                f"the chunk lies at byte {end_bytes:,} of disk {disk.label}, which ends at "
                f"{disk.declared.virtual_size_bytes:,}",
            )

    def _check_size(self, disk: DiskProgress, offset_bytes: int, size_bytes: int) -> None:
        if size_bytes == 0:
            self._check_empty(disk)
            return
        disk.empty_run = 0
        left_bytes = disk.declared.virtual_size_bytes - offset_bytes
        if size_bytes > CHUNK_BYTES or size_bytes % _BLOCK:
            raise _Refused(
                "chunk-size",
                f"the chunk has {size_bytes:,} bytes: {CHUNK_BYTES:,} is the most, and a multiple "
                f"of {_BLOCK} it must be",
            )
        if size_bytes < min(left_bytes, CHUNK_BYTES):
            raise _Refused(
                "chunk-size",
                f"the chunk has {size_bytes:,} bytes where {min(left_bytes, CHUNK_BYTES):,} belong",
            )
        if size_bytes > left_bytes:
            self._check_padded_end(disk, left_bytes, size_bytes)

    @staticmethod
    def _check_empty(disk: DiskProgress) -> None:
        if disk.last < 0:
            raise _Refused("chunk-size", f"the first chunk of disk {disk.label} is empty")
        disk.empty_run += 1
        if disk.empty_run > _MAX_EMPTY_CHUNKS:
            raise _Refused("chunk-size", f"more than {_MAX_EMPTY_CHUNKS} empty chunks in a row")

    def _check_padded_end(self, disk: DiskProgress, left_bytes: int, size_bytes: int) -> None:
        beyond = f"the last chunk of disk {disk.label} goes {size_bytes - left_bytes:,} bytes"
        if size_bytes not in {CHUNK_BYTES, left_bytes + -left_bytes % _BLOCK}:
            raise _Refused("disk-overrun", f"{beyond} beyond the disk's end")
        message = f"{beyond} beyond its end (padded; Xen Orchestra does so)"
        self.notes.append(("disk-overrun", message))

    def missing(self) -> tuple[str, str] | None:
        """Return (code, sentence) for what is absent now that the archive has ended."""
        for disk in self.disks[self._current :]:
            if disk.complete:
                continue
            if not self.begun:
                declared = f"ova.xml declares {counted(len(self.disks), 'disk')}"
                return "metadata-only", f"{declared}, the file has no data: only a description"
            if disk.last < 0:
                return "disk-missing", f"disk {disk.label} is declared, but has no data"
            return "disk-incomplete", f"{_short(disk)} where the archive ends"
        return None


def _short(disk: DiskProgress) -> str:
    return (
        f"disk {disk.label} has {disk.cursor_bytes:,} of {disk.declared.virtual_size_bytes:,} bytes"
    )


class _Refused(Exception):  # noqa: N818 - becomes a RejectError where the place is known
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
