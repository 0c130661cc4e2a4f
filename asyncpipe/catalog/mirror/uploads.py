"""The multipart uploads of a mirror: found again after an interruption, made visible once."""

from __future__ import annotations

from dataclasses import dataclass

from asyncpipe.errors import (
    ConflictError,
    DestinationTakenError,
    TransientStoreError,
    UploadMissingError,
)
from asyncpipe.model.store import ObjectInfo, StoredPart, UploadHandle
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From where to where, and how large the parts are; memory is a handful of parts."""

    source: ObjectStore
    target: ObjectStore
    options: TransferOptions
    copied_part_bytes: int = 128 * 1024 * 1024  # of what the endpoint copies by itself


async def upload_of(
    way: Way, key: str, info: ObjectInfo
) -> tuple[UploadHandle, dict[int, StoredPart]]:
    """The open upload that has most, and its parts; else a new one."""
    best: tuple[UploadHandle, dict[int, StoredPart]] | None = None
    for upload in await way.target.list_uploads(key):
        if upload.handle.key != key:
            continue
        try:
            parts = {one.number: one for one in await way.target.list_parts(upload.handle)}
        except UploadMissingError:  # it ended meanwhile
            continue
        if best is None or len(parts) > len(best[1]):
            best = upload.handle, parts
    if best is not None:
        return best
    handle = await way.target.create_upload(
        key, content_type=info.content_type, metadata=dict(info.metadata)
    )
    return handle, {}


async def complete(
    way: Way,
    handle: UploadHandle,
    parts: list[StoredPart],
    size_bytes: int,
    crc64nvme: str,
) -> None:
    """Make it visible; when the answer is lost or somebody was faster, what is there decides."""

    async def ask() -> ObjectInfo:
        return await way.target.complete_upload(
            handle,
            parts,
            size_bytes=size_bytes,
            crc64nvme_base64=crc64nvme,
            create_only=True,
            timeout_s=way.options.complete_timeout_s,
        )

    try:
        await repeated(ask, way.options.retry)
    except (TransientStoreError, UploadMissingError, DestinationTakenError, ConflictError):
        there = await way.target.head(handle.key)
        same_crc = there is not None and there.crc64nvme_base64 in {None, crc64nvme}
        if there is None or there.size_bytes != size_bytes or not same_crc:
            raise
