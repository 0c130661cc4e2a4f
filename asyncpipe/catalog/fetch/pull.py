"""Fetch a version's XVA to a file: verified against its metadata before it gets its name."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from asyncpipe.catalog.fetch.streaming import stream_ranges
from asyncpipe.catalog.read import read_version
from asyncpipe.errors import (
    ChecksumError,
    TransientStoreError,
    UploadError,
    UsageError,
    XvaInvalidError,
    flattened,
)
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.xva import XvaReport
from asyncpipe.ports import ObjectStore, Piece
from asyncpipe.text.format import size_text

if TYPE_CHECKING:
    from asyncpipe.xva.read.validator import XvaValidator

_BUFFER_BYTES: Final = 1024 * 1024
_HOLE_BYTES: Final = 64 * 1024  # zeros of that length, aligned to a piece, are not written
_ZEROS: Final = bytes(_HOLE_BYTES)
_RESERVE_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A file that holds what was published."""

    path: Path
    entry: CatalogEntry
    resumed_bytes: int = 0  # that an earlier attempt had fetched already
    verified: tuple[str, ...] = ("size", "sha256")  # without the latter: published without one


async def pull(
    store: ObjectStore,
    entry: CatalogEntry,
    path: Path,
    *,
    validator: XvaValidator | None = None,
    trusted: bool = False,
) -> Pulled:
    """Fetch the XVA of ``entry`` to ``path``, going on where an earlier attempt stopped.

    Size and SHA-256 are those of the version's own metadata.json, which is read again unless the
    entry is ``trusted`` to be of metadata that was checked; ``validator`` judges the same bytes in
    the same pass. Blocks of zeros become holes. Memory is a few ranges of the stream. Where the
    whole is wrong and its beginning was an earlier attempt's, all of it is fetched once more.

    Raises:
        UsageError: ``path`` exists, or there is no room for it.
        ChecksumError: what came is not what was published; nothing is left under ``path``.
        XvaInvalidError: ``validator`` rejects it; nothing is left under ``path``.
    """
    if not trusted:
        entry = await read_version(store, entry.folder_key)
    token = (entry.xva.sha256_hex or entry.timestamp)[:16]
    partial = path.with_name(f".{path.name}.{token}.partial")
    has_beginning = await anyio.to_thread.run_sync(partial.exists)
    try:
        return await _pulled(store, entry, path, partial, validator)
    except (ChecksumError, XvaInvalidError):
        if not has_beginning:
            raise
    return await _pulled(store, entry, path, partial, validator and validator.anew())


async def _pulled(
    store: ObjectStore,
    entry: CatalogEntry,
    path: Path,
    partial: Path,
    validator: XvaValidator | None,
) -> Pulled:
    """One attempt, which leaves ``partial`` only where a later one may go on."""
    await anyio.to_thread.run_sync(require_room, entry.xva.size_bytes, partial, path)
    sink = await anyio.to_thread.run_sync(_Sink.open, partial, validator)
    try:
        resumed_bytes = sink.size_bytes
        if resumed_bytes > entry.xva.size_bytes:
            sink = await anyio.to_thread.run_sync(sink.restart)
            resumed_bytes = 0
        async with stream_ranges(store, entry, offset_bytes=resumed_bytes) as ranges:
            async for pieces in ranges:
                await sink.take(pieces)
        verified = await anyio.to_thread.run_sync(sink.finish, entry)
        await anyio.to_thread.run_sync(place, partial, path)
    except (UploadError, XvaInvalidError) as error:
        # what a broken connection left is worth resuming; what was refused is not
        if not isinstance(error, TransientStoreError) or not sink.size_bytes:
            _remove(partial)
        raise
    finally:
        sink.file.close()
    return Pulled(path=path, entry=entry, resumed_bytes=resumed_bytes, verified=verified)


def _remove(partial: Path) -> None:
    partial.unlink(missing_ok=True)


async def require_image(store: ObjectStore, entry: CatalogEntry, validator: XvaValidator) -> None:
    """Read the XVA of ``entry`` and hold it against the entry's SHA-256; nothing is kept.

    Raises:
        ChecksumError: it is not what was published.
        XvaInvalidError: ``validator`` rejects it.
    """
    digest = hashlib.sha256()

    def take(pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            digest.update(piece)
            validator.feed(piece)

    async with stream_ranges(store, entry) as ranges:
        async for pieces in ranges:
            await anyio.to_thread.run_sync(take, pieces)
    compare(entry, digest.hexdigest())
    judge(entry, validator.finish())


class _Sink:
    """The partial file, with the digest and the verdict of what it holds."""

    def __init__(self, file: FileIO, validator: XvaValidator | None) -> None:
        self.file = file
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        self._validator = validator

    @classmethod
    def open(cls, partial: Path, validator: XvaValidator | None) -> _Sink:
        """Open what an earlier attempt left, which is read again: nothing of it is trusted."""
        partial.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        sink = cls(FileIO(os.open(partial, flags, 0o644), "r+"), validator)
        while piece := sink.file.read(_BUFFER_BYTES):
            sink._digest([piece])
            sink.size_bytes += len(piece)
        return sink

    def restart(self) -> _Sink:
        """Forget all that was there."""
        self.file.truncate(0)
        return _Sink(self.file, self._validator and self._validator.anew())

    async def take(self, pieces: Sequence[Piece]) -> None:
        """Append the next pieces and digest them, which takes about as long, side by side."""
        with flattened():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, self._digest, pieces)
                tasks.start_soon(anyio.to_thread.run_sync, self._write, pieces)

    def _write(self, pieces: Sequence[Piece]) -> None:
        """Append the next pieces; zeros are left out, so that they cost no disk."""
        descriptor = self.file.fileno()
        for piece in pieces:
            view = memoryview(piece)
            for begin, end in _without_holes(view):
                _write_all(descriptor, view[begin:end], self.size_bytes + begin)
            self.size_bytes += len(view)
        os.ftruncate(descriptor, self.size_bytes)

    def _digest(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._sha256.update(piece)
            if self._validator is not None:
                self._validator.feed(piece)

    def finish(self, entry: CatalogEntry) -> tuple[str, ...]:
        """Compare with what was published; return what was verified."""
        os.fsync(self.file.fileno())
        verified = ["size"]
        if entry.xva.sha256_hex:
            compare(entry, self._sha256.hexdigest())
            verified.append("sha256")
        if self._validator is not None:
            verified += judge(entry, self._validator.finish())
        return tuple(verified)


def compare(entry: CatalogEntry, sha256_hex: str) -> None:
    """Raise ChecksumError when the stored object has another digest than was published."""
    if sha256_hex != entry.xva.sha256_hex:
        raise ChecksumError(
            f"The XVA under {entry.folder_key} is not the one that was published: "
            f"its SHA-256 is {sha256_hex}, not {entry.xva.sha256_hex}.",
            hint="Nothing was kept. Look who changed the object at the store.",
        )


def judge(entry: CatalogEntry, report: XvaReport) -> tuple[str, ...]:
    """Return what a validator has proved.

    Raises:
        ChecksumError: the archive inside is not the one that was published.
        XvaInvalidError: it is no valid XVA.
    """
    if report.rejection is not None:
        raise XvaInvalidError(
            f"The XVA under {entry.folder_key} is not valid: {report.rejection}",
            hint="Nothing was kept. --no-verify-xva fetches it all the same.",
        )
    published_hex, found_hex = entry.xva.plain_sha256_hex, report.content_sha256_hex
    if not published_hex or found_hex is None:
        return ("xva",)
    if found_hex != published_hex:
        raise ChecksumError(
            f"The XVA under {entry.folder_key} does not hold what was published: decompressed, its "
            f"SHA-256 is {found_hex}, not {published_hex}.",
            hint="Nothing was kept. Look who changed the object at the store.",
        )
    return ("xva", "content-sha256")


def _without_holes(view: memoryview) -> Iterator[tuple[int, int]]:
    """Yield where the data between blocks of zeros begins and ends."""
    begin = 0
    for at in range(0, len(view), _HOLE_BYTES):
        if _ZEROS.startswith(view[at : at + _HOLE_BYTES]):  # == would compare item by item
            if begin < at:
                yield begin, at
            begin = at + _HOLE_BYTES
    if begin < len(view):
        yield begin, len(view)


def _write_all(descriptor: int, view: memoryview, at_bytes: int) -> None:
    while view:  # a disk that is nearly full writes less, then refuses
        done_bytes = os.pwrite(descriptor, view, at_bytes)
        view, at_bytes = view[done_bytes:], at_bytes + done_bytes


def require_room(size_bytes: int, partial: Path, path: Path) -> None:
    """Raise UsageError when ``path`` exists, or there is no room for so much there."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists and is not overwritten.", hint="Name another --output.")
    folder = next(parent for parent in partial.absolute().parents if parent.exists())
    have_bytes = partial.stat().st_size if partial.exists() else 0
    need_bytes = size_bytes - have_bytes + _RESERVE_BYTES
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes:
        raise UsageError(
            f"{folder} has {size_text(free_bytes)} free, {size_text(need_bytes)} are needed.",
            hint="Name an --output on a larger disk.",
        )


def place(partial: Path, path: Path) -> None:
    """Give the file its name, unless somebody else took it meanwhile."""
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise UsageError(f"{path} exists and is not overwritten.") from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise UsageError(f"{path} exists and is not overwritten.") from None
        partial.rename(path)
        return
    partial.unlink()
