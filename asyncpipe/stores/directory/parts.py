"""Parts of an upload on disk: written in place, journalled, checked, joined without a copy."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from asyncpipe.errors import ChecksumError, UploadError, UploadMissingError
from asyncpipe.model.store import (
    StoredPart,
    UploadHandle,
    crc64nvme_base64,
    held_parts,
)
from asyncpipe.stores.directory.files import DirectoryFiles
from asyncpipe.stores.directory.records import FILE_MODE, Place, read_json, write_json
from asyncpipe.system.crc import combine_crc64nvme, crc64nvme
from asyncpipe.system.files import open_regular
from asyncpipe.system.memory import aligned_memory

_READ_BYTES = 4 * 1024 * 1024


class PartWriter:
    """One part on its way to disk; blocking, for worker threads, one call at a time.

    A write that was left behind in a stalled disk keeps the file open: the number of a closed
    descriptor could be another file's by the time the write goes on.
    """

    def __init__(
        self, files: DirectoryFiles, handle: UploadHandle, number: int, size_bytes: int
    ) -> None:
        self._at_work, self._is_closed = threading.Lock(), False
        self._folder = files.upload_folder(handle)
        self._number = number
        self._size_bytes = size_bytes
        self._written_bytes = 0
        self._crc64nvme = 0
        # the old bytes are no longer whole from here on
        _journal(self._folder, number).unlink(missing_ok=True)
        self._file, self._offset_bytes = _place(files, handle, number, size_bytes)
        flags = (
            os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if self._file == "data" else os.O_CREAT)
        )
        self._descriptor = os.open(self._folder / self._file, flags, FILE_MODE)
        if os.fstat(self._descriptor).st_nlink != 1:
            self.close()  # published by a call that was cut before it could tidy up
            raise UploadMissingError(f"The upload of {handle.key} is complete already.")

    def write(self, piece: memoryview) -> None:
        """Write the next bytes of the part."""
        with self._at_work:
            self._crc64nvme = crc64nvme(piece, self._crc64nvme)
            while piece and not self._is_closed:
                at = self._offset_bytes + self._written_bytes
                count = os.pwrite(self._descriptor, piece, at)
                self._written_bytes += count
                piece = piece[count:]

    def finish(self, expected_crc64nvme: int) -> StoredPart:
        """Compare the checksum and journal the part; ChecksumError."""
        if self._crc64nvme != expected_crc64nvme:
            raise ChecksumError(f"Part {self._number} changed between its digest and the disk.")
        # Linux starts to write dirty pages back on DONTNEED: fsync at the end has less to do
        with contextlib.suppress(OSError):
            os.posix_fadvise(
                self._descriptor, self._offset_bytes, self._size_bytes, os.POSIX_FADV_DONTNEED
            )
        write_json(
            _journal(self._folder, self._number),
            Place(
                file=self._file,
                offset_bytes=self._offset_bytes,
                size_bytes=self._size_bytes,
                crc64nvme=self._crc64nvme,
            ),
            durable=False,  # list_parts reads the bytes again, so a lost entry costs one part
        )
        if self._file == "data":
            (self._folder / _side_file(self._number)).unlink(missing_ok=True)
        return _stored(self._number, self._size_bytes, self._crc64nvme)

    def close(self) -> None:
        """Close the file, unless a write hangs; idempotent."""
        self._is_closed = True
        if self._descriptor >= 0 and self._at_work.acquire(blocking=False):
            os.close(self._descriptor)
            self._descriptor = -1
            self._at_work.release()


def list_parts(files: DirectoryFiles, handle: UploadHandle) -> list[StoredPart]:
    """Every journalled part whose bytes on disk still have the journalled checksum."""
    files.read_record(handle)
    folder = files.upload_folder(handle)
    parts = []
    for journal in sorted(folder.glob("part-[0-9][0-9][0-9][0-9][0-9].json")):
        place = _read_place(journal)
        if place is not None and _crc_of(folder, place) == place.crc64nvme:
            number = journal.stem.removeprefix("part-")
            parts.append(_stored(int(number), place.size_bytes, place.crc64nvme))
    return sorted(parts, key=lambda part: part.number)


def joined(
    files: DirectoryFiles,
    handle: UploadHandle,
    parts: Sequence[StoredPart],
    *,
    size_bytes: int,
    expected_crc64nvme: int,
) -> Path:
    """Return the file that holds exactly ``parts`` in order; equal parts need no copy.

    Raises:
        ChecksumError: size or checksum of the whole differ from what the caller has.
        UploadError: a part is missing, another one, or out of order.
    """
    files.read_record(handle)
    folder = files.upload_folder(handle)
    places = _places_of(folder, parts)
    crc = 0
    for place in places:
        crc = combine_crc64nvme(crc, place.crc64nvme, place.size_bytes)
    total_bytes = sum(place.size_bytes for place in places)
    if (total_bytes, crc) != (size_bytes, expected_crc64nvme):
        raise ChecksumError(
            f"The parts of {handle.key} have {total_bytes} bytes and CRC64NVME"
            f" {crc64nvme_base64(crc)}; {size_bytes} and"
            f" {crc64nvme_base64(expected_crc64nvme)} were expected."
        )
    return _assembled(folder, places, total_bytes)


def _places_of(folder: Path, parts: Sequence[StoredPart]) -> list[Place]:
    return held_parts(
        parts,
        held=lambda number: _read_place(_journal(folder, number)),
        etag_of=lambda place: _etag(place.crc64nvme),
    )


def _assembled(folder: Path, places: Sequence[Place], total_bytes: int) -> Path:
    starts, at = [], 0
    for place in places:
        starts.append(at)
        at += place.size_bytes
    data = folder / "data"
    in_place = [place.file == "data" for place in places]
    fits = all(
        place.offset_bytes == start
        for place, start, inside in zip(places, starts, in_place, strict=True)
        if inside
    )
    target = data if fits else folder / "joined"
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        for place, start, inside in zip(places, starts, in_place, strict=True):
            if not (fits and inside):
                _copy(folder, place, descriptor, start)
        os.ftruncate(descriptor, total_bytes)
    finally:
        os.close(descriptor)
    return target


def _copy(folder: Path, place: Place, target: int, start: int) -> None:
    source = open_regular(folder / place.file)
    done = 0
    try:
        while done < place.size_bytes:
            wanted = min(_READ_BYTES, place.size_bytes - done)
            piece = os.pread(source, wanted, place.offset_bytes + done)
            if not piece:
                raise UploadError(f"{folder / place.file} is shorter than its journal says.")
            os.pwrite(target, piece, start + done)
            done += len(piece)
    finally:
        os.close(source)


def _place(
    files: DirectoryFiles, handle: UploadHandle, number: int, size_bytes: int
) -> tuple[str, int]:
    """Choose file and offset: in place once part 1 has set the stride, beside it until then."""
    record = files.read_record(handle)
    stride_bytes = record.stride_bytes
    if stride_bytes is None and number == 1:
        stride_bytes = size_bytes
        files.write_record(
            files.upload_folder(handle), msgspec.structs.replace(record, stride_bytes=stride_bytes)
        )
    if stride_bytes is None or size_bytes > stride_bytes:
        return _side_file(number), 0
    return "data", (number - 1) * stride_bytes


def crc_of_range(path: Path, offset_bytes: int, size_bytes: int, crc: int = 0) -> int | None:
    """Continue ``crc`` over bytes that lie on disk, in a buffer of 4 MiB; None when some lack."""
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return None
    buffer = aligned_memory(min(_READ_BYTES, size_bytes))
    done = 0
    try:
        while done < size_bytes:
            wanted = buffer[: size_bytes - done]
            count = os.preadv(descriptor, [wanted], offset_bytes + done)
            if not count:
                return None
            crc = crc64nvme(wanted[:count], crc)
            done += count
    finally:
        os.close(descriptor)
    return crc


def _crc_of(folder: Path, place: Place) -> int | None:
    return crc_of_range(folder / place.file, place.offset_bytes, place.size_bytes)


def _read_place(journal: Path) -> Place | None:
    return read_json(journal, Place)


def _journal(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.json"


def _side_file(number: int) -> str:
    return f"part-{number:05d}.data"


def _etag(crc: int) -> str:
    return f"{crc:016x}"


def _stored(number: int, size_bytes: int, crc: int) -> StoredPart:
    return StoredPart(
        number=number,
        size_bytes=size_bytes,
        etag=_etag(crc),
        crc64nvme_base64=crc64nvme_base64(crc),
    )
