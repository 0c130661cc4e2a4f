"""ObjectStore on a local folder: whole, durable, create-only files; every call in a thread.

A disk that stalls holds no cancellation: a call that does not return is left behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio import move_on_after

from asyncpipe.errors import (
    AccessDeniedError,
    BucketMissingError,
    ChecksumError,
    DestinationTakenError,
    ObjectTooLargeError,
    UploadError,
    UploadMissingError,
)
from asyncpipe.model.store import (
    ChecksumMode,
    ObjectInfo,
    OpenUpload,
    PartDigests,
    StoreCapabilities,
    StoredBytes,
    StoredPart,
    UploadHandle,
    crc64nvme_base64,
    crc64nvme_value,
    require_part_number,
)
from asyncpipe.model.store_keys import PROBE_ROOT
from asyncpipe.stores.directory import abandoned, lock, looking
from asyncpipe.stores.directory.files import DirectoryFiles
from asyncpipe.stores.directory.parts import PartWriter, crc_of_range, joined, list_parts
from asyncpipe.stores.directory.records import UploadRecord
from asyncpipe.system.crc import crc64nvme
from asyncpipe.system.disk import DiskPool
from asyncpipe.text.format import utc_text

DIRECTORY_CAPABILITIES = StoreCapabilities(
    profile="directory",
    checksum=ChecksumMode.CRC64NVME_FULL,
    conditional_put=True,
    conditional_complete=True,
    compare_and_swap=True,
    object_size_checked=True,
    comparable_etag=False,  # ETags are made of inode, time and size, or of a part's CRC64NVME
    gains_by_parallel_parts=False,
    min_part_bytes=1,
)
_SLICE_BYTES = 8 * 1024 * 1024  # a thread hop costs 0.1 ms; a disk takes this in some ms
_READ_BYTES = 1024 * 1024
_LISTED_AT_ONCE = 500  # objects; a thread hop for each would take longer than looking at it
_CLEAN_UP_S = 4.0  # a cancelled step has seconds
_CHECK_BYTES = 256 * 1024 * 1024  # cancellation waits for one of these at most

T = TypeVar("T")


class DirectoryStore:
    """An ObjectStore below ``root``; unpublished bytes stay in ``root/.asyncpipe-uploads``.

    ETags are ``inode-mtime-size``; content types and metadata live beside the unpublished bytes
    and are reported as long as the file is the one that was published.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
        self._files = DirectoryFiles(self._root)
        self._disk = DiskPool("destination")

    @property
    def url(self) -> str:
        """``file:///folder/``."""
        return self._root.as_uri().rstrip("/") + "/"

    @property
    def capabilities(self) -> StoreCapabilities:
        """What a folder honours."""
        return DIRECTORY_CAPABILITIES

    def url_of(self, key: str) -> str:
        """The ``file://`` URL of an object."""
        return (self._root / key).as_uri()

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        create_only: bool = False,
        if_match: str | None = None,
    ) -> ObjectInfo:
        """Store a small object whole; DestinationTakenError, ConflictError."""
        record = _record(key, content_type, metadata or {}, small=True)
        return await self._run(
            lambda: self._put(record, body, create_only=create_only, if_match=if_match)
        )

    def _put(
        self, record: UploadRecord, body: bytes, *, create_only: bool, if_match: str | None
    ) -> ObjectInfo:
        handle = self._files.create_upload(record)
        try:
            data = self._files.upload_folder(handle) / "data"
            data.write_bytes(body)
            self._check(record.key, crc_of_range(data, 0, len(body)), crc64nvme(body))
            return self._files.publish(
                handle,
                data,
                create_only=create_only,
                if_match=if_match,
                crc64nvme_base64=crc64nvme_base64(crc64nvme(body)),
            )
        except BaseException:
            with contextlib.suppress(UploadMissingError):
                self._files.remove_upload(handle)
            raise

    async def get(self, key: str, *, max_bytes: int) -> StoredBytes:
        """Read a small object whole; ObjectMissingError; UploadError when above ``max_bytes``."""
        return await self._run(lambda: self._get(key, max_bytes))

    def _get(self, key: str, max_bytes: int) -> StoredBytes:
        with (
            lock.locked_to_read(self._files.work),
            os.fdopen(self._files.open_object(key), "rb") as file,
        ):
            body = file.read(max_bytes + 1)
            info = self._files.info(key)
        if len(body) > max_bytes:
            raise ObjectTooLargeError(f"{self.url_of(key)} has more than {max_bytes} bytes.")
        if info is None:
            raise UploadError(f"{self.url_of(key)} was removed while it was read.")
        return StoredBytes(info=info, body=body)

    async def get_many(
        self, keys: Sequence[str], *, max_bytes: int
    ) -> Sequence[bytes | UploadError]:
        """Read the first of ``keys`` in one thread hop; ObjectMissingError and so on in place."""
        read = partial(looking.bodies, self._root, keys, max_bytes=max_bytes)
        return await self._run(partial(read, path_of=self._files.path_of))

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read an object, or a range of it, in pieces of at most 1 MiB."""
        descriptor = await self._run(lambda: self._files.open_object(key))
        try:
            async with aclosing(self._pieces(descriptor, offset_bytes, size_bytes)) as pieces:
                yield pieces
        finally:
            os.close(descriptor)

    async def _pieces(
        self, descriptor: int, offset_bytes: int, size_bytes: int | None
    ) -> AsyncGenerator[bytes, None]:
        end_bytes = sys.maxsize if size_bytes is None else offset_bytes + size_bytes
        while count := min(_READ_BYTES, end_bytes - offset_bytes):
            piece = await self._run(partial(os.pread, descriptor, count, offset_bytes))
            if not piece:
                return
            offset_bytes += len(piece)
            yield piece

    async def head(self, key: str) -> ObjectInfo | None:
        """Look at an object, None when absent."""
        return await self._run(lambda: self._files.info(key))

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in key order."""
        keys = await self._run(partial(looking.keys, self._root, prefix))
        for first in range(0, len(keys), _LISTED_AT_ONCE):
            some = keys[first : first + _LISTED_AT_ONCE]
            for info in await self._run(partial(looking.infos, self._root, some)):
                yield info

    async def delete(self, key: str) -> None:
        """Remove one object and the folders that it leaves empty; no error when absent."""
        await self._run(lambda: self._files.delete(key))

    async def create_upload(
        self, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> UploadHandle:
        """Begin an upload in a hidden folder of the same file system."""
        record = _record(key, content_type, metadata)
        return await self._run(lambda: self._files.create_upload(record))

    async def upload_part(
        self,
        handle: UploadHandle,
        number: int,
        body: memoryview,
        digests: PartDigests,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> StoredPart:
        """Write one part to its place; ChecksumError when ``body`` has another CRC64NVME."""
        require_part_number(number, DIRECTORY_CAPABILITIES)
        writer = await self._run(lambda: PartWriter(self._files, handle, number, len(body)))
        try:
            for start in range(0, len(body), _SLICE_BYTES):
                piece = body[start : start + _SLICE_BYTES]
                await self._run(partial(writer.write, piece))
                if progress:
                    progress(len(piece))
            return await self._run(lambda: writer.finish(digests.crc64nvme))
        finally:
            writer.close()

    async def complete_upload(
        self,
        handle: UploadHandle,
        parts: Sequence[StoredPart],
        *,
        size_bytes: int,
        crc64nvme_base64: str,
        create_only: bool,
        timeout_s: float,  # noqa: ARG002 - fsync of a local disk cannot be cut short
    ) -> ObjectInfo:
        """Read the bytes again, then give them their name, durably, without a second copy."""
        expected = crc64nvme_value(crc64nvme_base64)
        data = await self._run(
            lambda: joined(
                self._files, handle, parts, size_bytes=size_bytes, expected_crc64nvme=expected
            )
        )
        self._check(handle.key, await self._crc_of(data, size_bytes), expected)
        return await self._run(
            lambda: self._files.publish(
                handle, data, create_only=create_only, crc64nvme_base64=crc64nvme_base64
            )
        )

    async def _crc_of(self, data: Path, size_bytes: int) -> int | None:
        crc = 0
        for start in range(0, size_bytes, _CHECK_BYTES):
            count = min(_CHECK_BYTES, size_bytes - start)
            found = await self._run(partial(crc_of_range, data, start, count, crc))
            if found is None:
                return None
            crc = found
        return crc

    def _check(self, key: str, found: int | None, expected: int) -> None:
        if found != expected:
            raise ChecksumError(
                f"The bytes on disk of {self.url_of(key)} are not those that were written;"
                " nothing was published.",
                hint="Check the disk and its file system, or choose another destination.",
            )

    async def abort_upload(self, handle: UploadHandle) -> None:
        """Drop an upload; UploadMissingError when it is gone."""
        await self._run(lambda: self._files.remove_upload(handle))

    async def list_parts(self, handle: UploadHandle) -> Sequence[StoredPart]:
        """Every part whose bytes, read again, have the checksum they were stored with."""
        return await self._run(lambda: list_parts(self._files, handle))

    async def list_uploads(self, prefix: str) -> Sequence[OpenUpload]:
        """Every open upload whose key begins with ``prefix``, oldest first."""
        return [
            OpenUpload(handle=handle, initiated_utc=record.initiated_utc)
            for handle, record in await self._run(self._files.uploads)
            if handle.key.startswith(prefix)
        ]

    async def remains(self, before_utc: datetime) -> Sequence[str]:
        """Paths of what killed or refused calls left beside the open uploads."""
        before_s = before_utc.timestamp()
        return [
            str(path) for path in await self._run(lambda: abandoned.found(self._files, before_s))
        ]

    async def remove_remains(self, path: str) -> None:
        """Remove what ``remains`` named; UploadError."""
        await self._run(lambda: abandoned.remove(Path(path)))

    async def probe(self) -> None:
        """Prove that files can be created, refused when present, and removed; leaves nothing."""
        key = f"{PROBE_ROOT}{secrets.token_hex(8)}"
        missing = await self._run(lambda: lock.missing(self._files.work))
        try:
            await self.put(key, b"?", content_type="text/plain", create_only=True)
            with contextlib.suppress(DestinationTakenError):
                await self.put(key, b"?", content_type="text/plain", create_only=True)
                raise UploadError(f"{self.url} does not refuse a name that is taken.")
        finally:
            with move_on_after(_CLEAN_UP_S, shield=True):
                await self.delete(key)
                if missing:
                    await self._run(lambda: lock.remove_new(self._files.work, missing))

    async def _run(self, function: Callable[[], T]) -> T:
        try:
            return await self._disk.call(function)
        except OSError as error:
            raise self._translated(error) from error

    def _translated(self, error: OSError) -> UploadError:
        why = os.strerror(error.errno) if error.errno else str(error)
        message = f"{error.filename or self._root}: {why}."
        match error.errno:
            case errno.EACCES | errno.EPERM | errno.EROFS:
                return AccessDeniedError(message, hint="Check the owner and mode of the folder.")
            case errno.ENOTDIR | errno.EEXIST:
                return BucketMissingError(message, hint="A file is in the way of a folder.")
            case errno.ENOSPC | errno.EDQUOT:
                return UploadError(message, hint="Free some space; an upload can be resumed.")
            case errno.ENOENT:
                return UploadMissingError(message, hint="Something removed files of the upload.")
            case _:
                return UploadError(message)


def _record(
    key: str, content_type: str, metadata: Mapping[str, str], *, small: bool = False
) -> UploadRecord:
    return UploadRecord(
        key=key,
        content_type=content_type,
        metadata=dict(metadata),
        initiated_utc=utc_text(datetime.now(UTC)),
        small=small,
    )
