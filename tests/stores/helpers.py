"""What the tests of every store use: bodies, digests, and an upload step by step."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from awscrt.checksums import crc64nvme

from asyncpipe.model.store import (
    ChecksumMode,
    ObjectInfo,
    PartDigests,
    StoredPart,
    StoreOptions,
    StoreProfile,
    UploadHandle,
    crc64nvme_base64,
)
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from tests.s3_standin.standin import StandIn

LIMIT_S = 60
TEXT = "text/plain"
XVA = "application/x-xva"


def payload(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes that repeat nowhere near a part's length."""
    block = hashlib.shake_256(str(seed).encode()).digest(min(size_bytes, 65_537))
    return (block * (size_bytes // max(len(block), 1) + 1))[:size_bytes]


def digests_of(store: ObjectStore, body: bytes, *, flip: int = 0) -> PartDigests:
    """Digests as the store's checksum mode wants them; ``flip`` makes every one wrong."""
    mode = store.capabilities.checksum
    wrong = bytes(body) if not flip else bytes([body[0] ^ flip]) + bytes(body[1:])
    sha256 = b64encode(hashlib.sha256(wrong).digest()).decode()
    md5 = b64encode(hashlib.md5(wrong).digest()).decode()
    return PartDigests(
        crc64nvme=crc64nvme(wrong),
        sha256_base64=sha256 if mode is ChecksumMode.SHA256_COMPOSITE else None,
        md5_base64=md5 if mode in {ChecksumMode.CONTENT_MD5, ChecksumMode.ETAG_MD5} else None,
    )


async def send(
    store: ObjectStore, handle: UploadHandle, bodies: Sequence[bytes], order: Sequence[int] = ()
) -> list[StoredPart]:
    """Send all bodies as parts 1..n, in ``order`` of their numbers."""
    sent = {}
    for number in order or range(1, len(bodies) + 1):
        body = bodies[number - 1]
        sent[number] = await store.upload_part(
            handle, number, memoryview(body), digests_of(store, body)
        )
    return [sent[number] for number in sorted(sent)]


async def complete(
    store: ObjectStore,
    handle: UploadHandle,
    parts: Sequence[StoredPart],
    bodies: Sequence[bytes],
    *,
    create_only: bool = False,
) -> ObjectInfo:
    """Complete with the true size and checksum of ``bodies``."""
    whole = b"".join(bodies)
    return await store.complete_upload(
        handle,
        parts,
        size_bytes=len(whole),
        crc64nvme_base64=crc64nvme_base64(crc64nvme(whole)),
        create_only=create_only,
        timeout_s=LIMIT_S,
    )


async def read_all(
    store: ObjectStore, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
) -> bytes:
    """Read an object, or a range of it, through ``stream``."""
    async with store.stream(key, offset_bytes=offset_bytes, size_bytes=size_bytes) as pieces:
        return b"".join([piece async for piece in pieces])


async def keys_of(store: ObjectStore, prefix: str) -> list[str]:
    """The keys that ``list`` tells, in its order."""
    return [info.key async for info in store.list(prefix)]


AWS = StoreOptions(profile=StoreProfile.AWS)


def opened(
    standin: StandIn,
    options: StoreOptions = AWS,
    environment: Mapping[str, str] | None = None,
) -> AbstractAsyncContextManager[ObjectStore]:
    return open_store(
        standin.destination,
        environment={**standin.environment, **(environment or {})},
        options=options,
    )


async def begun(store: ObjectStore) -> UploadHandle:
    return await store.create_upload("x.xva", content_type=XVA, metadata={"nonce": "n"})


async def one_part(
    store: ObjectStore, handle: UploadHandle, size_bytes: int = 200_000
) -> StoredPart:
    body = payload(size_bytes)
    return await store.upload_part(handle, 1, memoryview(body), digests_of(store, body))
