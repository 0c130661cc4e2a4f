from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import create_task_group

from asyncpipe import catalog
from asyncpipe.catalog.fetch import streaming
from asyncpipe.catalog.fetch.streaming import Ahead, stream_ranges
from asyncpipe.errors import ChecksumError, TransientStoreError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.store import StoredBytes
from asyncpipe.retry import RetryPolicy
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import NEW, publish
from tests.upload.helpers import until

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
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.offsets.append(offset_bytes)
        reading = super().stream(key, offset_bytes=offset_bytes, size_bytes=size_bytes)
        async with reading as pieces:
            yield self._broken(pieces)

    async def _broken(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            yield await anext(pieces)
        raise TransientStoreError("reset")


async def read(store: MemoryStore, entry: CatalogEntry) -> bytes:
    with anyio.fail_after(600):
        async with catalog.stream_xva(store, entry) as pieces:
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


async def test_breaks_are_counted_anew_with_every_byte_that_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "_RETRY", RetryPolicy(attempts=2, base_s=0.001))
    store = BreakingStore(pieces=1)
    entry = await publish(store, NEW, body=2 * BODY)
    assert await read(store, entry) == 2 * BODY
    assert len(store.offsets) == 6


async def test_an_object_that_is_too_short_is_refused() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    stored = store.objects[entry.xva.key]
    store.objects[entry.xva.key] = StoredBytes(info=stored.info, body=BODY[:-1])
    with pytest.raises(ChecksumError, match="ends after"):
        await read(store, entry)


SMALL = Ahead(range_bytes=MIB // 2, connections=3, window=4, stall_s=1)


class RecordingStore(MemoryStore):
    """Remembers the ranges that were asked for; chosen ones hang at their first request."""

    def __init__(self, *, hanging: set[int] | None = None) -> None:
        super().__init__()
        self.asked: list[tuple[int, int | None]] = []
        self.hanging = hanging or set()

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append((offset_bytes, size_bytes))
        if offset_bytes in self.hanging:
            self.hanging.remove(offset_bytes)
            yield _silent()
            return
        async with super().stream(key, offset_bytes=offset_bytes, size_bytes=size_bytes) as pieces:
            yield pieces


async def _silent() -> AsyncIterator[bytes]:
    await anyio.sleep_forever()
    yield b""


async def test_ranges_arrive_in_order_and_only_so_many_are_fetched_ahead() -> None:
    store = RecordingStore()
    entry = await publish(store, NEW, body=BODY)
    read_bytes = 0
    with anyio.fail_after(600):
        async with stream_ranges(store, entry, ahead=SMALL) as ranges:
            async for pieces in ranges:
                await anyio.wait_all_tasks_blocked()
                asked_bytes = len(store.asked) * SMALL.range_bytes
                assert asked_bytes <= read_bytes + (SMALL.window + 1) * SMALL.range_bytes
                part = b"".join(pieces)
                assert part == BODY[read_bytes : read_bytes + len(part)]
                read_bytes += len(part)
    assert read_bytes == len(BODY)
    assert len(store.asked) == 6


async def test_a_range_that_stalls_is_asked_for_again_and_holds_up_only_its_turn() -> None:
    store = RecordingStore(hanging={MIB})
    entry = await publish(store, NEW, body=BODY)
    with anyio.fail_after(600):
        async with stream_ranges(store, entry, ahead=SMALL) as ranges:
            found = [b"".join(pieces) async for pieces in ranges]
    assert b"".join(found) == BODY
    assert [offset for offset, _ in store.asked].count(MIB) == 2
    again = [offset for offset, _ in store.asked].index(MIB, 3)
    assert again >= 5, "the others were fetched meanwhile"


async def _first_of(ranges: AsyncIterator[object]) -> None:
    await anext(ranges)


async def test_a_reader_that_waits_gets_connections_up_to_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "_SLOW_S", 0.01)
    few = Ahead(range_bytes=MIB // 2, connections=1, window=4)
    store = RecordingStore(hanging=set(range(0, len(BODY), few.range_bytes)))
    entry = await publish(store, NEW, body=BODY)
    with anyio.fail_after(10):
        async with stream_ranges(store, entry, ahead=few) as ranges, create_task_group() as tasks:
            tasks.start_soon(_first_of, ranges)
            await until(lambda: len(store.asked) == few.window)
            await anyio.sleep(5 * streaming._SLOW_S)
            assert len(store.asked) == few.window
            tasks.cancel_scope.cancel()


async def test_a_reader_that_never_waits_keeps_few_connections() -> None:
    few = Ahead(range_bytes=MIB // 2, connections=1, window=4)
    store = RecordingStore()
    entry = await publish(store, NEW, body=BODY)
    with anyio.fail_after(10):
        async with stream_ranges(store, entry, ahead=few) as ranges:
            await anyio.wait_all_tasks_blocked()
            for read in range(6):
                assert len(store.asked) <= read + few.connections + 1
                assert await anext(ranges)
                await anyio.wait_all_tasks_blocked()


async def test_a_range_is_let_go_when_the_next_one_is_asked_for() -> None:
    store = RecordingStore()
    entry = await publish(store, NEW, body=BODY)
    with anyio.fail_after(10):
        async with stream_ranges(store, entry, ahead=SMALL) as ranges:
            first = await anext(ranges)
            assert b"".join(first) == BODY[: SMALL.range_bytes]
            await anext(ranges)
            assert not first


async def test_a_reader_that_leaves_ends_what_is_on_its_way() -> None:
    store = RecordingStore(hanging={MIB // 2, MIB})
    entry = await publish(store, NEW, body=BODY)
    with anyio.fail_after(10):
        async with stream_ranges(store, entry, ahead=SMALL) as ranges:
            assert await anext(ranges)
    assert store.hanging == set()


async def test_an_object_that_grew_is_refused_by_its_last_range() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    stored = store.objects[entry.xva.key]
    store.objects[entry.xva.key] = StoredBytes(info=stored.info, body=BODY + b"more")
    with anyio.fail_after(10), pytest.raises(ChecksumError, match="larger"):
        async with stream_ranges(store, entry, ahead=SMALL) as ranges:
            [None async for _ in ranges]


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
    async with stream_ranges(store, entry, offset_bytes=MIB + 5) as ranges:
        found = [b"".join(pieces) async for pieces in ranges]
    assert b"".join(found) == BODY[MIB + 5 :]


async def test_all_ranges_but_the_last_end_at_a_multiple_of_their_size() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    at_bytes = MIB + 5
    async with stream_ranges(store, entry, offset_bytes=at_bytes, ahead=SMALL) as ranges:
        sizes = [sum(map(len, pieces)) async for pieces in ranges]
    assert at_bytes + sum(sizes) == len(BODY)
    assert [sum(sizes[: n + 1]) + at_bytes for n in range(len(sizes) - 1)] == [
        MIB + (n + 1) * SMALL.range_bytes for n in range(len(sizes) - 1)
    ]
