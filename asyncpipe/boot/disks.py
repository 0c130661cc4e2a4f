"""XVA -> raw disks in one pass, and whether a text is in them as the image was published."""

from __future__ import annotations

import mmap
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio.to_thread

from asyncpipe.errors import BootTestNotRunError, XvaInvalidError
from asyncpipe.model.boot.machine import GROWN_BYTES, BootImage, image_of
from asyncpipe.system.memory import aligned_memory
from asyncpipe.xva.read.sequence import Chunk
from asyncpipe.xva.read.validator import XvaValidator

_PIECE_BYTES: Final = 8 * 1024**2
_WINDOW_BYTES: Final = 16 * 1024**2  # a search holds the interpreter for one of these at a time


class XvaDisks:
    """Takes an XVA's bytes (``validator.feed``) and writes each of its disks as a sparse file.

    The files are the only copy that a test needs: what the guest writes goes elsewhere. Leaving
    the context closes them; they belong to the folder, whose owner removes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, int] = {}
        self.validator = XvaValidator(on_chunk=self._write)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)

    def finish(self) -> BootImage:
        """Give each disk its size, the boot disk more: a clone's owner does that too.

        Raises:
            XvaInvalidError: the XVA is not valid, or has no disk.
        """
        report = self.validator.finish()
        if report.rejection is not None:
            raise XvaInvalidError(f"The XVA is not valid: {report.rejection}")
        facts = self.validator.facts
        if facts is None or not facts.disks:
            raise XvaInvalidError("The XVA has no disk: there is nothing to start.")
        order = sorted(range(len(facts.disks)), key=lambda at: (facts.disks[at].position, at))
        for number in order:
            more_bytes = GROWN_BYTES if number == order[0] else 0
            size_bytes = facts.disks[number].virtual_size_bytes + more_bytes
            os.ftruncate(self._file(number), size_bytes)
        return image_of(report, tuple(self._path(number) for number in order))

    def _path(self, number: int) -> Path:
        return self._folder / f"disk-{number}.raw"

    def _file(self, number: int) -> int:
        if number not in self._files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._files[number] = os.open(self._path(number), flags, 0o600)
        return self._files[number]

    def _write(self, chunk: Chunk, data: memoryview) -> None:
        descriptor, at_bytes = self._file(chunk.disk), chunk.offset_bytes
        while data:
            count = os.pwrite(descriptor, data, at_bytes)
            data, at_bytes = data[count:], at_bytes + count


@contextmanager
def refused_disk(folder: Path) -> Iterator[None]:
    """Turn what this machine's disk refuses into BootTestNotRunError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise BootTestNotRunError(
            f"The image's disks could not be written to {folder}: {why}.",
            hint="The work folder needs room for the data of the image (--work-directory).",
        ) from error


async def unpack(pieces: AsyncIterator[memoryview], folder: Path) -> BootImage:
    """Write the disks of an XVA that comes in pieces into ``folder``.

    Raises:
        XvaInvalidError: it is not valid.
        BootTestNotRunError: this machine's disk refuses.
    """
    with refused_disk(folder), XvaDisks(folder) as disks:
        async for piece in pieces:
            await anyio.to_thread.run_sync(disks.validator.feed, piece)
            if disks.validator.rejected:
                break
        return await anyio.to_thread.run_sync(disks.finish)


async def pieces_of(xva: Path) -> AsyncGenerator[memoryview]:
    """Read a file; each piece is valid until the next one is asked for."""
    buffer = aligned_memory(_PIECE_BYTES)
    with xva.open("rb", buffering=0) as file:
        while count := await anyio.to_thread.run_sync(file.readinto, buffer):
            yield buffer[:count]


def any_occurs(disks: Sequence[Path], texts: Sequence[str]) -> bool:
    """Whether one of these texts stands in one of the files; holes are not read. Blocks."""
    needles = [text.encode() for text in texts]
    return any(_occurs(disk, needles) for disk in disks) if needles else False


def _occurs(disk: Path, needles: Sequence[bytes]) -> bool:
    with disk.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        longest = max(map(len, needles))
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            for begin, end in _extents(file.fileno()):
                for at in range(begin, end, _WINDOW_BYTES):
                    stop = min(end, at + _WINDOW_BYTES + longest)
                    if any(data.find(needle, at, stop) >= 0 for needle in needles):
                        return True
    return False


def _extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Where a sparse file has data: (first byte, the byte after the last)."""
    end = 0
    with suppress(OSError):  # ENXIO: nothing but a hole follows
        while True:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, begin, os.SEEK_HOLE)
            yield begin, end
