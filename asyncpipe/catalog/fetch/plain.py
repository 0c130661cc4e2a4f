"""A compressed version's XVA as it was exported: to a file, or in pieces; both digests compared.

What comes out is written, or handed on, while it is decompressed, in pieces of at most 1 MiB and
never more than was published: a damaged object costs neither memory nor disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.streams.memory import MemoryObjectSendStream

from asyncpipe.catalog.fetch.pull import Pulled, compare, judge, place, require_room
from asyncpipe.catalog.fetch.streaming import stream_ranges
from asyncpipe.catalog.read import read_version
from asyncpipe.errors import ChecksumError, flattened
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.xva import ANY_COMPRESSION
from asyncpipe.ports import ObjectStore, Piece
from asyncpipe.xva.compression.container import Emit, PlainUnpacker, Unpacker
from asyncpipe.xva.compression.gzip import GzipUnpacker
from asyncpipe.xva.compression.zstd import ZstdUnpacker
from asyncpipe.xva.read.validator import XvaValidator
from asyncpipe.xva.reject import RejectError

_PIECE_BYTES: Final = 1024 * 1024
_ZEROS: Final = bytes(_PIECE_BYTES)
_AHEAD: Final = 2  # pieces


async def pull_plain(
    store: ObjectStore, entry: CatalogEntry, path: Path, *, trusted: bool = False
) -> Pulled:
    """Fetch the XVA of ``entry`` to ``path``, decompressed; as `pull`, but never resumed.

    Raises:
        UsageError: ``path`` exists, or there is no room for it.
        ChecksumError: what came is not what was published; nothing is left under ``path``.
        XvaInvalidError: it is no valid XVA; nothing is left under ``path``.
    """
    if not trusted:
        entry = await read_version(store, entry.folder_key)
    token = (entry.xva.content_sha256_hex or entry.timestamp)[:16]
    partial = path.with_name(f".{path.name}.{token}.plain.partial")
    await anyio.to_thread.run_sync(require_room, entry.xva.content_size_bytes, partial, path)
    plain = await anyio.to_thread.run_sync(_PlainFile, partial, entry)
    try:
        async with stream_ranges(store, entry) as ranges:
            async for pieces in ranges:
                await anyio.to_thread.run_sync(plain.take, pieces)
        verified = await anyio.to_thread.run_sync(plain.finish)
        await anyio.to_thread.run_sync(place, partial, path)
    finally:
        plain.close()
        partial.unlink(missing_ok=True)
    return Pulled(path=path, entry=entry, verified=verified)


class _PlainFile:
    """A file that gets the archive, and the digests of what came and of what is in it."""

    def __init__(self, partial: Path, entry: CatalogEntry) -> None:
        self._entry = entry
        self._sha256 = hashlib.sha256()
        self._validator = XvaValidator(digest_of=ANY_COMPRESSION, on_content=self._write)
        self._at_bytes = 0
        partial.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor: int | None = os.open(partial, flags, 0o644)

    def take(self, pieces: Sequence[Piece]) -> None:
        """Decompress and write the next stored bytes."""
        for piece in pieces:
            self._sha256.update(piece)
            self._validator.feed(piece)

    def finish(self) -> tuple[str, ...]:
        """Compare with what was published; returns what was verified."""
        assert self._descriptor is not None
        verified = ["size"]
        if self._entry.xva.sha256_hex:
            compare(self._entry, self._sha256.hexdigest())
            verified.append("sha256")
        verified += judge(self._entry, self._validator.finish())
        os.ftruncate(self._descriptor, self._at_bytes)
        os.fsync(self._descriptor)
        return tuple(verified)

    def close(self) -> None:
        """Close the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _write(self, view: memoryview) -> None:
        """Zeros are left out, so that they cost no disk."""
        assert self._descriptor is not None
        _refuse_more(self._entry, self._at_bytes + len(view))
        while view:
            piece = view[:_PIECE_BYTES]
            is_zeros = _ZEROS.startswith(piece)  # == would compare a view item by item
            done = len(piece) if is_zeros else os.pwrite(self._descriptor, piece, self._at_bytes)
            self._at_bytes += done
            view = view[done:]


@asynccontextmanager
async def stream_plain(
    store: ObjectStore, entry: CatalogEntry
) -> AsyncGenerator[AsyncIterator[bytes]]:
    """Read the XVA of ``entry`` in pieces, decompressed.

    Raises:
        ChecksumError: it is not what was published; the reader already has what came before.
        UploadError: the store refuses, or stays away.
    """
    send, receive = anyio.create_memory_object_stream[bytes](_AHEAD)
    with flattened():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_decompress, store, entry, send)
            async with receive:  # closed, it breaks the send that a thread may wait in
                yield receive
            tasks.cancel_scope.cancel()


async def _decompress(
    store: ObjectStore, entry: CatalogEntry, send: MemoryObjectSendStream[bytes]
) -> None:
    handing = _Handing(entry, send)
    with send:
        try:
            async with stream_ranges(store, entry) as ranges:
                async for pieces in ranges:
                    await anyio.to_thread.run_sync(handing.take, pieces)
            await anyio.to_thread.run_sync(handing.finish)
        except anyio.BrokenResourceError:
            return  # nobody reads any more


class _Handing:
    """Decompresses in a thread and hands the pieces to the event loop, one after the other."""

    def __init__(self, entry: CatalogEntry, send: MemoryObjectSendStream[bytes]) -> None:
        self._entry = entry
        self._send = send
        self._sha256 = hashlib.sha256()
        self._unpacker = _unpacker(entry, self._gather)
        self._gathered = bytearray()
        self._out_bytes = 0

    def take(self, pieces: Sequence[Piece]) -> None:
        """Decompress the next stored bytes."""
        for piece in pieces:
            self._sha256.update(piece)
            self._guarded(piece)

    def finish(self) -> None:
        """Check how the stream ended, and hand on the rest."""
        self._guarded(None)
        if self._entry.xva.sha256_hex:
            compare(self._entry, self._sha256.hexdigest())
        self._hand_on()

    def _guarded(self, piece: Piece | None) -> None:
        try:
            if piece is None:
                self._unpacker.finish()
            else:
                self._unpacker.feed(memoryview(piece))
        except RejectError as error:
            raise ChecksumError(
                f"The XVA under {self._entry.folder_key} cannot be decompressed: {error.message}.",
                hint="Look who changed the object at the store.",
            ) from error

    def _gather(self, view: memoryview) -> None:
        self._out_bytes += len(view)
        _refuse_more(self._entry, self._out_bytes)
        self._gathered += view
        if len(self._gathered) >= _PIECE_BYTES:
            self._hand_on()

    def _hand_on(self) -> None:
        if self._gathered:
            anyio.from_thread.run(self._send.send, bytes(self._gathered))
            self._gathered.clear()


def _unpacker(entry: CatalogEntry, emit: Emit) -> Unpacker:
    def warn(_at_bytes: int, _text: str) -> None:
        """Several frames are no harm here."""

    match entry.xva.compression:
        case "zstd":
            return ZstdUnpacker(emit, warn)
        case "gzip":
            return GzipUnpacker(emit, warn)
        case _:
            return PlainUnpacker(emit)


def _refuse_more(entry: CatalogEntry, size_bytes: int) -> None:
    known = entry.xva.plain_size_bytes is not None or entry.xva.compression is None
    if known and size_bytes > entry.xva.content_size_bytes:
        raise ChecksumError(
            f"The XVA under {entry.folder_key} is not the one that was published: it has more than "
            f"{entry.xva.content_size_bytes:,} bytes.",
            hint="Nothing was kept. Look who changed the object at the store.",
        )
