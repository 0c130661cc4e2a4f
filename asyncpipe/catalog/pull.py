"""Fetch a version's XVA to a file: verified against its metadata before it gets its name."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import anyio
import anyio.to_thread

from asyncpipe.catalog.read import read_version
from asyncpipe.catalog.streaming import stream_xva
from asyncpipe.errors import ChecksumError, TransientStoreError, UploadError, UsageError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import size_text

_BUFFER_BYTES: Final = 1024 * 1024
_RESERVE_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A file that holds what was published."""

    path: Path
    entry: CatalogEntry
    resumed_bytes: int = 0  # that an earlier attempt had fetched already
    verified: tuple[str, ...] = ("size", "sha256")  # without the latter: published without one


async def pull(store: ObjectStore, entry: CatalogEntry, path: Path) -> Pulled:
    """Fetch the XVA of ``entry`` to ``path``, going on where an earlier attempt stopped.

    Size and SHA-256 are those of the version's own metadata.json. Memory is one piece of the store.

    Raises:
        UsageError: ``path`` exists, or the disk has too little room.
        ChecksumError: what came is not what was published; nothing is left under ``path``.
    """
    entry = await read_version(store, entry.folder_key)
    token = (entry.xva.sha256_hex or entry.timestamp)[:16]
    partial = path.with_name(f".{path.name}.{token}.partial")
    await anyio.to_thread.run_sync(_require_room, entry, partial, path)
    sink = await anyio.to_thread.run_sync(_Sink.open, partial)
    try:
        resumed_bytes = sink.size_bytes
        if resumed_bytes > entry.xva.size_bytes:
            await anyio.to_thread.run_sync(sink.restart)
            resumed_bytes = 0
        await _fetch(store, entry, sink)
        verified = await anyio.to_thread.run_sync(sink.finish, entry)
        await anyio.to_thread.run_sync(_place, partial, path)
    except UploadError as error:
        # what a broken connection left is worth going on with; what was refused is not
        if not isinstance(error, TransientStoreError) or not sink.size_bytes:
            partial.unlink(missing_ok=True)
        raise
    finally:
        sink.file.close()
    return Pulled(path=path, entry=entry, resumed_bytes=resumed_bytes, verified=verified)


class _Sink:
    """The partial file and the digest of what it holds."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()

    @classmethod
    def open(cls, partial: Path) -> _Sink:
        partial.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        sink = cls(os.fdopen(os.open(partial, flags, 0o644), "r+b"))
        while piece := sink.file.read(_BUFFER_BYTES):
            sink._count(piece)
        return sink

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        self.file.write(piece)
        self._count(piece)

    def finish(self, entry: CatalogEntry) -> tuple[str, ...]:
        self.file.flush()
        os.fsync(self.file.fileno())
        if not entry.xva.sha256_hex:
            return ("size",)
        if self._sha256.hexdigest() != entry.xva.sha256_hex:
            raise ChecksumError(
                f"The XVA under {entry.folder_key} is not the one that was published: "
                f"its SHA-256 is {self._sha256.hexdigest()}, not {entry.xva.sha256_hex}.",
                hint="Nothing was kept. Look who changed the object at the store.",
            )
        return ("size", "sha256")

    def _count(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self.size_bytes += len(piece)


async def _fetch(store: ObjectStore, entry: CatalogEntry, sink: _Sink) -> None:
    async with aclosing(stream_xva(store, entry, offset_bytes=sink.size_bytes)) as pieces:
        async for piece in pieces:
            await anyio.to_thread.run_sync(sink.write, piece)


def _require_room(entry: CatalogEntry, partial: Path, path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists and is not overwritten.", hint="Name another --output.")
    folder = next(parent for parent in partial.absolute().parents if parent.exists())
    have_bytes = partial.stat().st_size if partial.exists() else 0
    need_bytes = entry.xva.size_bytes - have_bytes + _RESERVE_BYTES
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes:
        raise UsageError(
            f"{folder} has {size_text(free_bytes)} free, {size_text(need_bytes)} are needed.",
            hint="Name an --output on a larger disk.",
        )


def _place(partial: Path, path: Path) -> None:
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
