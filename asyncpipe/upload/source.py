"""A finished or a still-growing file -> bytes that may be read, and the proof they stayed so.

What makes a digest true: every byte digested must be the byte on disk when the upload completes.

* A file that shrinks, is deleted or replaced (another device or inode under its path) is seen by
  the next look at it, and at the latest by the last one: SourceChangedError.
* A rewrite in place leaves size and inode alone. It is *suspected* when the modification time
  moved without growth (of a growing file: and no growth followed within `SETTLING_S`), and
  decided by reading every part again and comparing its CRC64NVME. A ``touch`` is suspected too.
* A rewrite within the poll interval of a growth moves the modification time as the growth does. So
  the first part (headers are what programs patch), the last one and a random sample, together at
  most `SAMPLE_BYTES`, are always read again at the end of a growing file. Reading all again would
  cost seconds between the export's end and publication, and would still prove nothing about the
  moment after; that the bytes sent are a valid image is proven by the inspector's verdict over
  exactly those bytes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Final, Protocol, TypeVar

import anyio

from asyncpipe.errors import ArtifactError, SourceChangedError, UploadError
from asyncpipe.system.disk import STALL_S, Disk
from asyncpipe.upload.digests import DigestedPart, range_crc64nvme
from asyncpipe.upload.pace import Growth
from asyncpipe.upload.parts import MIB

SAMPLE_BYTES = 64 * MIB
SETTLING_S = 0.02  # far longer than one write takes, shorter than anybody waits for
_SLOWEST_BYTES_PER_S: Final = MIB  # a disk that reads more slowly has stalled
_CLOSE_S: Final = 1.0

_RANDOM = SystemRandom()

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """The state of a file at one moment; times in nanoseconds."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int

    @property
    def identity(self) -> tuple[int, int]:
        """Which file it is, whatever it contains."""
        return (self.device, self.inode)

    def moved_without_growth(self, before: FileState) -> bool:
        """Whether the modification time moved while the size stayed."""
        return self.mtime_ns != before.mtime_ns and self.size_bytes == before.size_bytes


class Source(Protocol):
    """A file that is sent while, or after, it is written."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        ...

    @property
    def grows(self) -> bool:
        """True while nobody knows the final size."""
        ...

    @property
    def state(self) -> FileState:
        """The last look at the file."""
        ...

    @property
    def descriptor(self) -> int:
        """The open file."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether a read was left behind: its thread may still write to the memory it was given."""
        ...

    async def open(self) -> None:
        """Open the file, waiting for it when it does not exist yet."""
        ...

    async def available(self, end_bytes: int) -> int:
        """Wait until ``end_bytes`` are there or the file has ended; return how many there are.

        A result below ``end_bytes`` is the final size.
        """
        ...

    async def read(self, work: Callable[[], Result], size_bytes: int) -> Result:
        """Run blocking ``work`` that reads so much of the file; TimeoutError if the disk stalls."""
        ...

    async def check(self, parts: Sequence[DigestedPart]) -> None:
        """Prove that what was digested is what is on disk; SourceChangedError."""
        ...

    async def close(self) -> None:
        """Close the file; idempotent."""
        ...


class _OpenFile:
    """The descriptor and the looks at it that both kinds of source share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._disk = Disk(path.name)
        self._descriptor: int | None = None
        self._state: FileState | None = None

    @property
    def descriptor(self) -> int:
        assert self._descriptor is not None, "the source is not open"
        return self._descriptor

    @property
    def state(self) -> FileState:
        assert self._state is not None, "the source is not open"
        return self._state

    @property
    def is_lost(self) -> bool:
        return self._disk.is_lost

    async def read(self, work: Callable[[], Result], size_bytes: int) -> Result:
        limit_s = STALL_S + size_bytes / _SLOWEST_BYTES_PER_S
        return await self._disk.call(work, limit_s=limit_s)

    async def close(self) -> None:
        if self._disk.is_lost:
            self._disk.later(self._close_now)
        elif self._descriptor is not None:
            with suppress(OSError):  # it is closed even so
                await self._disk.call(self._close_now, limit_s=_CLOSE_S)

    async def _open(self) -> None:
        if self._descriptor is None:
            await self._disk.call(self._open_now)

    def _open_now(self) -> None:
        """In the thread: should nobody wait any more, ``_close_now`` comes after it."""
        self._descriptor = _open_file(self.path)
        self._state = _state_of(self._descriptor)

    def _close_now(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    async def _look(self) -> FileState:
        """Look again at the open file and at its path; raises when they are two files now."""
        now, there = await self._disk.call(_states, self.descriptor, self.path)
        before = self.state
        if there != now.identity:
            raise _changed(self.path, "was deleted or replaced by another file")
        if now.size_bytes < before.size_bytes:
            raise _changed(self.path, f"shrank from {before.size_bytes} to {now.size_bytes} bytes")
        self._state = now
        return now

    async def _compare(self, parts: Sequence[DigestedPart]) -> None:
        read_bytes = sum(digested.part.size_bytes for digested in parts)
        changed = await self.read(partial(_first_changed, self.descriptor, parts), read_bytes)
        if changed is not None:
            raise _changed(
                self.path,
                f"was rewritten at bytes {changed.part.offset_bytes} to"
                f" {changed.part.end_bytes}, which had been read already",
            )


class FinishedFile(_OpenFile):
    """A file that nobody writes to any more."""

    grows = False

    async def open(self) -> None:
        """Open the file; raises ArtifactError unless it is a regular file."""
        await self._open()

    async def available(self, end_bytes: int) -> int:
        """Return ``end_bytes`` or the size, whichever is less."""
        return min(end_bytes, self.state.size_bytes)

    async def check(self, parts: Sequence[DigestedPart]) -> None:
        """Compare size and identity; read all again when the modification time moved."""
        before = self.state
        now = await self._look()
        if now.size_bytes != before.size_bytes:
            raise _changed(self.path, f"grew from {before.size_bytes} to {now.size_bytes} bytes")
        if now.moved_without_growth(before):
            await self._compare(parts)


class GrowingFile(_OpenFile):
    """A file that is still written, in place and in order, until ``finished`` is set."""

    grows = True

    def __init__(self, path: Path, finished: anyio.Event, *, poll_interval_s: float = 0.05) -> None:
        super().__init__(path)
        self._finished = finished
        self._poll_interval_s = poll_interval_s
        self._growth = Growth(poll_interval_s)
        self._suspect = False

    async def open(self) -> None:
        """Wait for the file and open it; raises ArtifactError when it never appears."""
        while not await self._exists():
            if self._finished.is_set() and not await self._exists():
                raise ArtifactError(
                    f"{self.path} was never written",
                    hint="read the build log: the export did not begin",
                )
            await self._rest(self._poll_interval_s)
        await self._open()

    async def available(self, end_bytes: int) -> int:
        """Follow the file until ``end_bytes`` are there, or it ended before."""
        while True:
            ended = self._finished.is_set()  # asked first: a look after the end sees all of it
            now = await self._look()
            if now.size_bytes >= end_bytes:
                return end_bytes
            if ended:
                return now.size_bytes
            await self._rest(self._growth.pause_s(now.size_bytes, end_bytes))

    async def check(self, parts: Sequence[DigestedPart]) -> None:
        """Prove that the file ended where it was read to and holds what was read."""
        await self._finished.wait()
        read_bytes = parts[-1].part.end_bytes if parts else 0
        now = await self._look()
        if now.size_bytes != read_bytes:
            raise _changed(self.path, f"has {now.size_bytes} bytes where {read_bytes} were read")
        await self._compare(parts if self._suspect else sampled(parts))
        last = await self._look()
        if last != now:
            raise _changed(self.path, "is still being written to after its end was announced")

    async def _look(self) -> FileState:
        """Look; a change of time that no growth explains makes the file suspect.

        An append moves the time before the size, so an apparent rewrite is checked twice.
        """
        before = self.state
        now = await super()._look()
        if self._suspect or not now.moved_without_growth(before):
            return now
        await anyio.sleep(SETTLING_S)
        later = await super()._look()
        self._suspect = later.size_bytes == now.size_bytes
        return later

    async def _exists(self) -> bool:
        return await self._disk.call(os.path.exists, self.path)

    async def _rest(self, pause_s: float) -> None:
        with anyio.move_on_after(pause_s):
            await self._finished.wait()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a refusal of the system (EIO, ENOMEM, EMFILE ...) into an UploadError."""
    try:
        yield
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UploadError(
            f"{path} could not be read and sent: {why}",
            hint="look at this machine's disk, memory and open files, then try --resume",
        ) from error


def sampled(
    parts: Sequence[DigestedPart], most_bytes: int = SAMPLE_BYTES
) -> Sequence[DigestedPart]:
    """Return the first part, the last and random others, ``most_bytes`` in all (one at least)."""
    others = list(parts[1:-1])
    _RANDOM.shuffle(others)
    candidates = [*parts[:1], *(parts[-1:] if len(parts) > 1 else ()), *others]
    chosen: list[DigestedPart] = []
    total_bytes = 0
    for candidate in candidates:
        total_bytes += candidate.part.size_bytes
        if chosen and total_bytes > most_bytes:
            break
        chosen.append(candidate)
    return chosen


def _first_changed(descriptor: int, parts: Sequence[DigestedPart]) -> DigestedPart | None:
    for digested in parts:
        if range_crc64nvme(descriptor, digested.part) != digested.digests.crc64nvme:
            return digested
    return None


def _changed(path: Path, what: str) -> SourceChangedError:
    return SourceChangedError(
        f"{path} {what} during its upload", hint="start again once nothing writes to it"
    )


def _open_file(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArtifactError(f"{path} is not a regular file")
    return descriptor


def _state_of(descriptor: int) -> FileState:
    status = os.fstat(descriptor)
    return FileState(
        device=status.st_dev,
        inode=status.st_ino,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


def _states(descriptor: int, path: Path) -> tuple[FileState, tuple[int, int] | None]:
    now = _state_of(descriptor)
    try:
        there = path.stat()
    except OSError:
        return now, None
    return now, (there.st_dev, there.st_ino)
