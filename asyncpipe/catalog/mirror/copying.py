"""Copy one object from store to store: digested as it passes, visible when it was proved right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.catalog.fetch.streaming import Ahead, stream_ranges
from asyncpipe.catalog.mirror.uploads import Way, complete, upload_of
from asyncpipe.catalog.mirror.within import copied_there
from asyncpipe.errors import (
    ChecksumError,
    DestinationTakenError,
    ObjectMissingError,
    TransientStoreError,
    flattened,
)
from asyncpipe.model import store_keys
from asyncpipe.model.documents import fields
from asyncpipe.model.documents.catalog import CatalogEntry, entry_of
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.model.documents.metadata import PublishedMetadata
from asyncpipe.model.store import (
    ObjectInfo,
    PartDigests,
    StoredPart,
    UploadHandle,
    crc64nvme_base64,
)
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import RetryPolicy, repeated
from asyncpipe.upload.abort import abort_until_gone
from asyncpipe.upload.digests import combined_crc64nvme, digests_of
from asyncpipe.upload.parts import Part, PartPlan, plan_parts

MAX_SMALL_BYTES: Final = 16 * 1024 * 1024  # what is not an image: metadata, logs, statements
_PARTS_AT_ONCE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A version as its own metadata describes it: the sums of objects beside the image by key."""

    entry: CatalogEntry
    crc64nvme_base64: str  # of the image
    sums_hex: dict[str, str]


async def read_whole(way: Way, folder: str) -> Whole:
    """Read the metadata of a version at the source.

    Raises:
        ObjectMissingError: it is gone.
        UnreadableError, NewerSchemaError: it is not the metadata of this version.
    """
    key = f"{folder}/{store_keys.METADATA_NAME}"
    body = (await way.source.get(key, max_bytes=MAX_SMALL_BYTES)).body
    published = fields.decode(body, PublishedMetadata)
    entry = entry_of(published)
    if entry.folder_key != folder:
        raise UnreadableError("It is the metadata of another version.")
    log = published.files.log
    sums_hex = {log.key: log.sha256_hex, key: hashlib.sha256(body).hexdigest()}
    crc = published.files.xva.crc64nvme_base64
    return Whole(entry=entry, crc64nvme_base64=crc, sums_hex=sums_hex)


async def copy_small(way: Way, key: str, *, sha256_hex: str = "") -> int:
    """Copy a small object whole; returns its size.

    Raises:
        ChecksumError: its SHA-256 is not the one that the version's metadata names.
    """
    stored = await way.source.get(key, max_bytes=MAX_SMALL_BYTES)
    if sha256_hex and hashlib.sha256(stored.body).hexdigest() != sha256_hex:
        raise _differs(way, key)
    await place_bytes(way.target, key, stored.body, like=stored.info)
    return len(stored.body)


async def place_bytes(
    store: ObjectStore, key: str, body: bytes, *, like: ObjectInfo | None = None
) -> None:
    """Create a small object, unless the same one is there already.

    Raises:
        DestinationTakenError: another one is.
    """
    content_type = (like.content_type if like else "") or "application/octet-stream"

    async def put() -> None:
        await store.put(
            key,
            body,
            content_type=content_type,
            metadata=dict(like.metadata) if like else None,
            create_only=True,
        )

    try:
        await repeated(put, RetryPolicy())
    except DestinationTakenError:
        if (await store.get(key, max_bytes=len(body) + 1)).body != body:
            raise


async def copy_image(way: Way, version: Whole, warn: Callable[[str], None]) -> int:
    """Copy the XVA of a version; an upload that an earlier attempt left open is gone on with.

    Where both stores are one endpoint that proves a CRC64NVME of the whole, it copies by itself.
    Else every byte is read and digested, also of parts that the target has already: what becomes
    visible is what was published.

    Returns:
        How many bytes were sent.

    Raises:
        ChecksumError: the source holds other bytes than were published; nothing is visible.
        DestinationTakenError: another object has its key.
        UploadError: a store failed; what was sent stays, for the next attempt.
    """
    entry = version.entry
    key, size_bytes = entry.xva.key, entry.xva.size_bytes
    info = await way.source.head(key)
    if info is None:
        raise ObjectMissingError(f"{way.source.url_of(key)} is gone.")
    plan = plan_parts(size_bytes, way.options, way.target.capabilities)
    if size_bytes <= plan.part_size_bytes:
        return await _copy_whole(way, entry, info)
    if await copied_there(way, version.entry, version.crc64nvme_base64, warn):
        return 0
    handle, present = await upload_of(way, key, info)
    sending = _Sending(way, handle, present)
    sha256_hex = await sending.all_of(entry, plan)
    if entry.xva.sha256_hex not in {"", sha256_hex}:
        await abort_until_gone(way.target, handle, way.options)
        raise _differs(way, key)
    parts = [sending.done[number] for number in sorted(sending.done)]
    crc = combined_crc64nvme([sending.crcs[one.number] for one in parts])
    await complete(way, handle, parts, size_bytes, crc64nvme_base64(crc))
    return sending.sent_bytes


async def _copy_whole(way: Way, entry: CatalogEntry, info: ObjectInfo) -> int:
    async with stream_ranges(way.source, entry) as ranges:
        body = b"".join([piece async for pieces in ranges for piece in pieces])
    if entry.xva.sha256_hex not in {"", hashlib.sha256(body).hexdigest()}:
        raise _differs(way, entry.xva.key)
    await place_bytes(way.target, entry.xva.key, body, like=info)
    return len(body)


class _Sending:
    """The parts of one upload on their way."""

    def __init__(self, way: Way, handle: UploadHandle, present: dict[int, StoredPart]) -> None:
        self._way, self._handle, self._present = way, handle, present
        self.done: dict[int, StoredPart] = {}
        self.crcs: dict[int, tuple[int, int]] = {}
        self.sent_bytes = 0

    async def all_of(self, entry: CatalogEntry, plan: PartPlan) -> str:
        """Read every part in order, send what is not there; returns the SHA-256 of the whole."""
        sha256 = hashlib.sha256()
        room = anyio.Semaphore(_PARTS_AT_ONCE)
        ahead = Ahead(range_bytes=plan.part_size_bytes)
        with flattened():
            async with (
                stream_ranges(self._way.source, entry, ahead=ahead) as ranges,
                anyio.create_task_group() as tasks,
            ):
                async for pieces in ranges:
                    part = plan.part(len(self.crcs) + 1, entry.xva.size_bytes)
                    body = b"".join(pieces)
                    digests = await anyio.to_thread.run_sync(partial(self._digest, body, sha256))
                    self.crcs[part.number] = (digests.crc64nvme, part.size_bytes)
                    there = self._present.get(part.number)
                    if there is not None and _is_same(there, part, digests):
                        self.done[part.number] = there
                        continue
                    await room.acquire()
                    tasks.start_soon(self._send, part, body, digests, room)
        return sha256.hexdigest()

    def _digest(self, body: bytes, sha256: hashlib._Hash) -> PartDigests:
        sha256.update(body)
        return digests_of(self._way.target.capabilities.checksum, memoryview(body))

    async def _send(
        self, part: Part, body: bytes, digests: PartDigests, room: anyio.Semaphore
    ) -> None:
        view = memoryview(body)
        try:
            self.done[part.number] = await repeated(
                partial(self._sent, part.number, view, digests), self._way.options.retry
            )
            self.sent_bytes += part.size_bytes
        finally:
            room.release()

    async def _sent(self, number: int, view: memoryview, digests: PartDigests) -> StoredPart:
        """Send a part; a TransientStoreError when nothing of it leaves for a while."""
        stall_s = self._way.options.stall_timeout_s
        with anyio.move_on_after(stall_s) as limit:

            def advance(_sent_bytes: int) -> None:
                limit.deadline = anyio.current_time() + stall_s

            return await self._way.target.upload_part(
                self._handle, number, view, digests, progress=advance
            )
        raise TransientStoreError(f"Part {number} of {self._handle.key} stood for {stall_s:g} s.")


def _is_same(there: StoredPart, part: Part, digests: PartDigests) -> bool:
    """Whether the store proves that it has this part."""
    crc = crc64nvme_base64(digests.crc64nvme)
    return there.size_bytes == part.size_bytes and there.crc64nvme_base64 == crc


def _differs(way: Way, key: str) -> ChecksumError:
    return ChecksumError(
        f"{way.source.url_of(key)} is not what was published: its SHA-256 is another one.",
        hint="Nothing of this version was made visible. Look who changed the object.",
    )
