"""Stores with published versions, and stores that behave badly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from asyncpipe import catalog, metadata
from asyncpipe.errors import TransientStoreError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.store import ObjectInfo
from asyncpipe.ports import ObjectStore
from asyncpipe.testing.store import MEMORY_CAPABILITIES, MemoryStore
from tests.metadata import documents as make

OLD = "20261101T000000Z"
MIDDLE = "20261110T000000Z"
NEW = "20261123T170000Z"
UNGUARDED = replace(MEMORY_CAPABILITIES, compare_and_swap=False, conditional_put=False)


@cache
def _document(short_id: str, timestamp: str, body: bytes) -> tuple[bytes, CatalogEntry]:
    document = make.published(short_id=short_id, timestamp=timestamp, body=body)
    return metadata.encode(document), catalog.entry_of(metadata.published(document))


async def put_version(
    store: ObjectStore, timestamp: str, *, short_id: str = "debian12", body: bytes = b"xva"
) -> CatalogEntry:
    """Store the three objects of a version, no pointer."""
    document, entry = _document(short_id, timestamp, body)
    await store.put(entry.xva.key, body, content_type="x/x")
    await store.put(f"{entry.folder_key}/build.log", b"log", content_type="text/plain")
    await store.put(entry.metadata_key, document, content_type="application/json")
    return entry


async def publish(
    store: ObjectStore, timestamp: str, *, short_id: str = "debian12", body: bytes = b"xva"
) -> CatalogEntry:
    """Store a version and make readers find it."""
    entry = await put_version(store, timestamp, short_id=short_id, body=body)
    await catalog.move_pointer(store, entry)
    return entry


class RacingStore(MemoryStore):
    """Just before the next write of ``key`` another writer is faster."""

    def __init__(self, *, unguarded: bool = False) -> None:
        super().__init__(capabilities=UNGUARDED if unguarded else MEMORY_CAPABILITIES)
        self.faster: list[tuple[str, bytes]] = []
        self.afterwards: list[tuple[str, bytes]] = []

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
        await self._race(self.faster, key)
        info = await super().put(
            key,
            body,
            content_type=content_type,
            metadata=metadata,
            create_only=create_only,
            if_match=if_match,
        )
        await self._race(self.afterwards, key)
        return info

    async def _race(self, others: list[tuple[str, bytes]], key: str) -> None:
        if others and others[0][0] == key:
            await super().put(key, others.pop(0)[1], content_type="application/json")


class FailingStore(MemoryStore):
    """Every call after the next ``left`` fails, until ``left`` is None."""

    left: int | None = None

    async def _meet(self, *given: Any, **more: Any) -> Any:
        if self.left is not None:
            if not self.left:
                raise TransientStoreError("the store is away")
            self.left -= 1
        return await super()._meet(*given, **more)
