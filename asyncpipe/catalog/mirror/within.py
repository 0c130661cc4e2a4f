"""Copies that the endpoint makes by itself, where both stores are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

from asyncpipe.catalog.mirror.uploads import Way, complete, upload_of
from asyncpipe.errors import TransientStoreError, UploadError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.store import ChecksumMode, StoredPart, UploadHandle
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import repeated
from asyncpipe.upload.abort import abort_until_gone
from asyncpipe.upload.parts import Part, plan_parts


@runtime_checkable
class _CopiesParts(Protocol):
    """A store whose endpoint can copy from another store there."""

    async def copy_part(
        self,
        handle: UploadHandle,
        number: int,
        source: ObjectStore,
        *,
        offset_bytes: int,
        size_bytes: int,
    ) -> StoredPart | None:
        """Make a range of the upload's key at ``source`` a part; None: it cannot."""
        ...


async def copied_there(
    way: Way, entry: CatalogEntry, crc64nvme_base64: str, warn: Callable[[str], None]
) -> bool:
    """Let the endpoint copy the image; the CRC64NVME that was published has to come out.

    False where it cannot, or does not: the bytes are then sent, and judged by their SHA-256.
    """
    target, key, size_bytes = way.target, entry.xva.key, entry.xva.size_bytes
    proves = target.capabilities.checksum is ChecksumMode.CRC64NVME_FULL
    if not proves or not isinstance(target, _CopiesParts):
        return False
    options = replace(way.options, part_size_bytes=way.copied_part_bytes)
    plan = plan_parts(size_bytes, options, target.capabilities)
    info = await way.source.head(key)
    if info is None:
        return False
    handle, present = await upload_of(way, key, info)
    try:
        copy = partial(_copied, way, target, handle)
        parts: list[StoredPart] = []
        for number in range(1, -(-size_bytes // plan.part_size_bytes) + 1):
            part = plan.part(number, size_bytes)
            there = present.get(number)
            is_there = there is not None and there.size_bytes == part.size_bytes
            copied = there if is_there else await copy(part)
            if copied is None:
                return False
            parts.append(copied)
        await complete(way, handle, parts, size_bytes, crc64nvme_base64)
    except TransientStoreError:
        raise  # the next attempt goes on
    except UploadError as error:
        await abort_until_gone(target, handle, way.options)
        warn(f"{target.url_of(key)} is sent, for the store did not copy it: {error.message}")
        return False
    return True


async def _copied(
    way: Way, target: _CopiesParts, handle: UploadHandle, part: Part
) -> StoredPart | None:
    async def copy() -> StoredPart | None:
        return await target.copy_part(
            handle,
            part.number,
            way.source,
            offset_bytes=part.offset_bytes,
            size_bytes=part.size_bytes,
        )

    return await repeated(copy, way.options.retry)
