"""An ObjectStore in memory: the shipped fake, with knobs that make it fail as real stores do."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

import anyio.lowlevel

from asyncpipe.errors import (
    ChecksumError,
    ConflictError,
    DestinationTakenError,
    ObjectMissingError,
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
    held_parts,
    require_part_number,
)
from asyncpipe.model.store_keys import checked_key
from asyncpipe.system.crc import crc64nvme
from asyncpipe.testing.faults import FaultyCalls
from asyncpipe.text.format import utc_text

MEMORY_CAPABILITIES = StoreCapabilities(
    profile="memory",
    checksum=ChecksumMode.CRC64NVME_FULL,
    conditional_put=True,
    conditional_complete=True,
    compare_and_swap=True,
    object_size_checked=True,
    comparable_etag=True,
    min_part_bytes=1,
)
_SLICE_BYTES = 1024 * 1024


@dataclass(slots=True, kw_only=True)
class _Upload:
    handle: UploadHandle
    content_type: str
    metadata: Mapping[str, str]
    initiated_utc: str
    parts: dict[int, tuple[StoredPart, bytes]] = field(default_factory=dict)


class MemoryStore(FaultyCalls):
    """Keeps everything in memory; what ``capabilities`` do not claim is not honoured either."""

    def __init__(
        self,
        *,
        url: str = "memory://store/",
        capabilities: StoreCapabilities = MEMORY_CAPABILITIES,
    ) -> None:
        super().__init__()
        self._url = url if url.endswith("/") else url + "/"
        self._capabilities = capabilities
        self._ids = count(1)
        self.objects: dict[str, StoredBytes] = {}
        self.uploads: dict[str, _Upload] = {}

    # -- the port ------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """``memory://store/``."""
        return self._url

    @property
    def capabilities(self) -> StoreCapabilities:
        """What this store honours."""
        return self._capabilities

    def url_of(self, key: str) -> str:
        """The URL of an object, for people."""
        return self._url + key

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
        late, _ = await self._meet("put", checked_key(key))
        present = self.objects.get(key)
        if create_only and present:  # without conditions a store is looked at first
            raise DestinationTakenError(f"{self.url_of(key)} exists already.")
        if if_match is not None and self._capabilities.compare_and_swap:
            self._check_match(key, present, if_match)
        info = ObjectInfo(
            key=key,
            size_bytes=len(body),
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            modified_utc=_now_utc(),
            content_type=content_type,
            metadata=dict(metadata or {}),
            crc64nvme_base64=self._told(crc64nvme(body)),
        )
        self.objects[key] = StoredBytes(info=info, body=bytes(body))
        if late:
            raise late
        return info

    def _check_match(self, key: str, present: StoredBytes | None, if_match: str) -> None:
        if present is None or present.info.etag != if_match:
            raise ConflictError(f"{self.url_of(key)} is no longer the object that was read.")

    async def get(self, key: str, *, max_bytes: int) -> StoredBytes:
        """Read a small object whole; ObjectMissingError; UploadError when above ``max_bytes``."""
        await self._meet("get", checked_key(key))
        stored = self._object(key)
        if stored.info.size_bytes > max_bytes:
            raise ObjectTooLargeError(
                f"{self.url_of(key)} has {stored.info.size_bytes} bytes, more than {max_bytes}."
            )
        return stored

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read an object, or a range of it, in pieces of at most 1 MiB."""
        await self._meet("stream", checked_key(key))
        body = self._object(key).body
        wanted = body if size_bytes is None else body[: offset_bytes + size_bytes]
        async with aclosing(_pieces(wanted, offset_bytes)) as pieces:
            yield pieces

    def _object(self, key: str) -> StoredBytes:
        try:
            return self.objects[key]
        except KeyError:
            raise ObjectMissingError(f"There is no object {self.url_of(key)}.") from None

    async def head(self, key: str) -> ObjectInfo | None:
        """Look at an object, None when absent."""
        await self._meet("head", checked_key(key))
        stored = self.objects.get(key)
        return stored.info if stored else None

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in key order."""
        await self._meet("list", prefix)
        for key in sorted(self.objects):
            if key.startswith(prefix) and key in self.objects:
                yield self.objects[key].info

    async def delete(self, key: str) -> None:
        """Remove one object; no error when absent."""
        late, _ = await self._meet("delete", checked_key(key))
        self.objects.pop(key, None)
        if late:
            raise late

    async def create_upload(
        self, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> UploadHandle:
        """Begin a multipart upload."""
        late, _ = await self._meet("create_upload", checked_key(key))
        handle = UploadHandle(key=key, upload_id=f"upload-{next(self._ids)}")
        self.uploads[handle.upload_id] = _Upload(
            handle=handle,
            content_type=content_type,
            metadata=dict(metadata),
            initiated_utc=_now_utc(),
        )
        if late:
            raise late
        return handle

    async def upload_part(
        self,
        handle: UploadHandle,
        number: int,
        body: memoryview,
        digests: PartDigests,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> StoredPart:
        """Keep one part, having compared its digests."""
        late, corrupt = await self._meet("upload_part", handle.key, number)
        self._upload(handle)
        require_part_number(number, self._capabilities)
        kept = bytearray()
        while len(kept) < len(body):
            piece = body[len(kept) : len(kept) + _SLICE_BYTES]
            kept += piece
            if progress:
                progress(len(piece))
            await anyio.lowlevel.checkpoint()
        part = self._checked_part(number, bytes(kept), digests)
        if corrupt:
            kept[0] ^= 0xFF
        self._upload(handle).parts[number] = (part, bytes(kept))
        if late:
            raise late
        return part

    def _checked_part(self, number: int, body: bytes, digests: PartDigests) -> StoredPart:
        md5 = hashlib.md5(body, usedforsecurity=False)
        sha256_base64 = b64encode(hashlib.sha256(body).digest()).decode()
        mode = self._capabilities.checksum
        wrong = (
            (mode is ChecksumMode.CRC64NVME_FULL and digests.crc64nvme != crc64nvme(body))
            or (digests.sha256_base64 is not None and digests.sha256_base64 != sha256_base64)
            or (
                digests.md5_base64 is not None
                and digests.md5_base64 != b64encode(md5.digest()).decode()
            )
        )
        if wrong and mode is not ChecksumMode.NONE:
            raise ChecksumError(f"The store refused part {number}: its bytes have another digest.")
        composite = mode is ChecksumMode.SHA256_COMPOSITE
        return StoredPart(
            number=number,
            size_bytes=len(body),
            etag=md5.hexdigest(),
            crc64nvme_base64=self._told(crc64nvme(body)),
            sha256_base64=sha256_base64 if composite else None,
        )

    def _told(self, value: int) -> str | None:
        full = self._capabilities.checksum is ChecksumMode.CRC64NVME_FULL
        return crc64nvme_base64(value) if full else None

    async def complete_upload(
        self,
        handle: UploadHandle,
        parts: Sequence[StoredPart],
        *,
        size_bytes: int,
        crc64nvme_base64: str,
        create_only: bool,
        timeout_s: float,
    ) -> ObjectInfo:
        """Make the object visible; ``timeout_s`` bounds injected delays too."""
        late = await self._meet_in_time("complete_upload", handle.key, timeout_s)
        upload = self._upload(handle)
        if create_only and handle.key in self.objects and self._capabilities.conditional_complete:
            raise DestinationTakenError(f"{self.url_of(handle.key)} exists already.")
        body = self._joined(upload, parts)
        info = self._object_info(upload, body, parts)
        if self._capabilities.object_size_checked and size_bytes != info.size_bytes:
            raise ChecksumError(
                f"{self.url_of(handle.key)} would have {info.size_bytes} bytes, not {size_bytes}."
            )
        if info.crc64nvme_base64 not in {None, crc64nvme_base64}:
            raise ChecksumError(f"The store refused {self.url_of(handle.key)}: wrong checksum.")
        self.objects[handle.key] = StoredBytes(info=info, body=body)
        del self.uploads[handle.upload_id]
        if late:
            raise late
        return info

    def _joined(self, upload: _Upload, parts: Sequence[StoredPart]) -> bytes:
        held = held_parts(parts, upload.parts.get, etag_of=lambda one: one[0].etag)
        bodies = [body for _stored, body in held]
        if any(len(body) < self._capabilities.min_part_bytes for body in bodies[:-1]):
            raise UploadError("A part other than the last is smaller than the store allows.")
        return b"".join(bodies)

    def _object_info(self, upload: _Upload, body: bytes, parts: Sequence[StoredPart]) -> ObjectInfo:
        stored = [upload.parts[part.number][0] for part in parts]
        md5s = b"".join(bytes.fromhex(part.etag) for part in stored)
        digest = hashlib.md5(md5s, usedforsecurity=False).hexdigest()
        return ObjectInfo(
            key=upload.handle.key,
            size_bytes=len(body),
            etag=f"{digest}-{len(stored)}",
            modified_utc=_now_utc(),
            content_type=upload.content_type,
            metadata=upload.metadata,
            crc64nvme_base64=self._told(crc64nvme(body)),
        )

    async def abort_upload(self, handle: UploadHandle) -> None:
        """Drop an upload; UploadMissingError when it is gone."""
        late, _ = await self._meet("abort_upload", handle.key)
        self._upload(handle)
        del self.uploads[handle.upload_id]
        if late:
            raise late

    async def list_parts(self, handle: UploadHandle) -> Sequence[StoredPart]:
        """Every part the store has, in order; UploadMissingError."""
        await self._meet("list_parts", handle.key)
        parts = self._upload(handle).parts
        return [parts[number][0] for number in sorted(parts)]

    async def list_uploads(self, prefix: str) -> Sequence[OpenUpload]:
        """Every open upload whose key begins with ``prefix``."""
        await self._meet("list_uploads", prefix)
        return [
            OpenUpload(handle=upload.handle, initiated_utc=upload.initiated_utc)
            for upload in self.uploads.values()
            if upload.handle.key.startswith(prefix)
        ]

    async def probe(self) -> None:
        """Nothing can be missing here; faults of ``probe`` still apply."""
        await self._meet("probe", "")

    def _upload(self, handle: UploadHandle) -> _Upload:
        upload = self.uploads.get(handle.upload_id)
        if upload is None or upload.handle.key != handle.key:
            raise UploadMissingError(
                f"The store does not know the upload of {self.url_of(handle.key)}."
            )
        return upload


async def _pieces(body: bytes, offset_bytes: int) -> AsyncGenerator[bytes, None]:
    for start in range(offset_bytes, len(body), _SLICE_BYTES):
        await anyio.lowlevel.checkpoint()
        yield body[start : start + _SLICE_BYTES]


def _now_utc() -> str:
    return utc_text(datetime.now(UTC))
