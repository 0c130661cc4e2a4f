from __future__ import annotations

import pytest

from asyncpipe import catalog
from asyncpipe.catalog.entries import UnreadableError
from asyncpipe.errors import AccessDeniedError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD, publish

pytestmark = pytest.mark.anyio


async def _three(store: MemoryStore) -> None:
    for timestamp in (OLD, MIDDLE, NEW):
        await publish(store, timestamp)


async def _left(store: MemoryStore) -> list[str]:
    return [entry.timestamp for entry in await catalog.list_versions(store, fresh=True)]


async def test_the_newest_versions_stay_and_nothing_of_the_others_does() -> None:
    store = MemoryStore()
    await _three(store)
    pruning = await catalog.plan_pruning(store, keep=2)
    assert await _left(store) == [NEW, MIDDLE, OLD]

    assert await catalog.prune(store, pruning) == ()

    assert await _left(store) == [NEW, MIDDLE]
    assert [e.timestamp for e in await catalog.list_versions(store)] == [NEW, MIDDLE]
    assert not [key for key in store.objects if OLD in key]
    assert pruning.freed_bytes == 3


async def test_what_a_channel_names_is_never_removed() -> None:
    store = MemoryStore()
    await _three(store)
    old = await catalog.resolve(store, f"debian12@{OLD}")
    await catalog.set_channel(store, "stable", old)
    pruning = await catalog.plan_pruning(store, keep=1)
    assert pruning.protected == ((old, "channel stable"),)
    await catalog.prune(store, pruning)
    assert await _left(store) == [NEW, OLD]


async def test_what_latest_names_is_never_removed_even_when_it_is_not_the_newest() -> None:
    store = MemoryStore()
    await _three(store)
    old = await catalog.resolve(store, f"debian12@{OLD}")
    await store.put(
        store_keys.latest_key("debian12"),
        catalog.entries.encode_pointer(old),
        content_type="application/json",
    )
    await catalog.prune(store, await catalog.plan_pruning(store, keep=1))
    assert await _left(store) == [NEW, OLD]


async def test_a_channel_set_between_plan_and_removal_saves_its_version() -> None:
    store = MemoryStore()
    await _three(store)
    pruning = await catalog.plan_pruning(store, keep=1)
    await catalog.set_channel(store, "stable", await catalog.resolve(store, f"debian12@{OLD}"))
    warnings = await catalog.prune(store, pruning)
    assert any("channel stable" in warning for warning in warnings)
    assert [e.timestamp for e in await catalog.list_versions(store)] == [NEW, OLD]
    assert await _left(store) == [NEW, OLD]


async def test_an_unreadable_channel_forbids_every_removal() -> None:
    store = MemoryStore()
    await _three(store)
    await store.put(store_keys.channel_key("debian12", "stable"), b"?", content_type="x/x")
    with pytest.raises(UnreadableError, match="stable"):
        await catalog.plan_pruning(store, keep=1)


async def test_young_versions_stay_whatever_their_number() -> None:
    store = MemoryStore()
    await _three(store)
    pruning = await catalog.plan_pruning(store, keep=1, older_than=MIDDLE)
    assert [entry.timestamp for entry in pruning.remove] == [OLD]


async def test_templates_are_counted_each_for_itself() -> None:
    store = MemoryStore()
    await _three(store)
    await publish(store, OLD, short_id="rocky9")
    pruning = await catalog.plan_pruning(store, keep=1)
    assert {entry.short_id for entry in pruning.remove} == {"debian12"}
    assert (await catalog.plan_pruning(store, keep=1, short_id="rocky9")).remove == ()


async def test_at_least_one_version_is_kept() -> None:
    with pytest.raises(UsageError):
        await catalog.plan_pruning(MemoryStore(), keep=0)


async def test_an_interrupted_removal_leaves_no_version_that_readers_see_by_halves() -> None:
    store = MemoryStore()
    await _three(store)
    pruning = await catalog.plan_pruning(store, keep=1)
    seen: list[str] = []
    for failing in range(1, 9):
        store.fail("delete", AccessDeniedError("stopped here"))
        try:
            await catalog.prune(store, pruning)
        except AccessDeniedError:
            seen.append(f"stopped {failing}")
        for entry in await catalog.list_versions(store):
            assert {entry.metadata_key, entry.xva_key} <= store.objects.keys()
    assert seen
