from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.catalog import streaming
from asyncpipe.errors import ChecksumError, TransientStoreError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.store import StoredBytes
from asyncpipe.retry import RetryPolicy
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import NEW, publish

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024
BODY = bytes(range(256)) * 12288  # 3 MiB: three pieces


class BreakingStore(MemoryStore):
    """Streams break off after ``pieces`` pieces."""

    def __init__(self, *, pieces: int) -> None:
        super().__init__()
        self._pieces = pieces
        self.offsets: list[int] = []

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.offsets.append(offset_bytes)
        async with super().stream(key, offset_bytes=offset_bytes) as pieces:
            yield self._broken(pieces)

    async def _broken(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            yield await anext(pieces)
        raise TransientStoreError("reset")


async def read(store: MemoryStore, entry: CatalogEntry) -> bytes:
    with anyio.fail_after(600):
        async with aclosing(catalog.stream_xva(store, entry)) as pieces:
            return b"".join([piece async for piece in pieces])


async def test_a_stream_that_breaks_goes_on_at_the_right_byte() -> None:
    store = BreakingStore(pieces=1)
    entry = await publish(store, NEW, body=BODY)
    assert await read(store, entry) == BODY
    assert store.offsets == [0, MIB, 2 * MIB]


async def test_a_store_that_brings_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_RETRY", RetryPolicy(attempts=8, base_s=0.001))
    store = BreakingStore(pieces=0)
    entry = await publish(store, NEW, body=BODY)
    with pytest.raises(TransientStoreError, match="reset"):
        await read(store, entry)
    assert len(store.offsets) == 8


async def test_an_object_that_is_too_short_is_refused() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    stored = store.objects[entry.xva.key]
    store.objects[entry.xva.key] = StoredBytes(info=stored.info, body=BODY[:-1])
    with pytest.raises(ChecksumError, match="ends after"):
        await read(store, entry)


async def test_an_object_that_is_longer_than_what_was_published_is_refused() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    stored = store.objects[entry.xva.key]
    store.objects[entry.xva.key] = StoredBytes(info=stored.info, body=BODY + b"more")
    with pytest.raises(ChecksumError, match="larger than"):
        await read(store, entry)


async def test_a_stream_begins_at_the_byte_that_is_asked_for() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    async with aclosing(catalog.stream_xva(store, entry, offset_bytes=MIB + 5)) as pieces:
        assert b"".join([piece async for piece in pieces]) == BODY[MIB + 5 :]
