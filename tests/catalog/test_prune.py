from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from asyncpipe import catalog
from asyncpipe.errors import AccessDeniedError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import encode_pointer
from asyncpipe.model.store import ObjectInfo
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD, publish

pytestmark = pytest.mark.anyio


async def _three(store: MemoryStore) -> None:
    for timestamp in (OLD, MIDDLE, NEW):
        await publish(store, timestamp)


async def _left(store: MemoryStore) -> list[str]:
    return [entry.timestamp for entry in (await catalog.list_versions(store, fresh=True)).versions]


async def test_the_newest_versions_stay_and_nothing_of_the_others_does() -> None:
    store = MemoryStore()
    await _three(store)
    pruning = await catalog.plan_pruning(store, keep=2)
    assert await _left(store) == [NEW, MIDDLE, OLD]

    assert await catalog.prune(store, pruning) == ()

    assert await _left(store) == [NEW, MIDDLE]
    assert [e.timestamp for e in (await catalog.list_versions(store)).versions] == [NEW, MIDDLE]
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
        encode_pointer(old),
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
    assert [e.timestamp for e in (await catalog.list_versions(store)).versions] == [NEW, OLD]
    assert await _left(store) == [NEW, OLD]


@pytest.mark.parametrize("key", ["debian12/latest.json", "debian12/channels/stable.json"])
@pytest.mark.parametrize("body", [b"?", b"{}", b'{"schema_version": 2}', b" " * (2 << 20)])
async def test_a_pointer_that_cannot_be_read_saves_every_version_of_its_template(
    key: str, body: bytes
) -> None:
    store = MemoryStore()
    await _three(store)
    for timestamp in (OLD, NEW):
        await publish(store, timestamp, short_id="rocky9")
    await store.put(f"templates/{key}", body, content_type="x/x")

    pruning = await catalog.plan_pruning(store, keep=1)
    assert [entry.short_id for entry in pruning.remove] == ["rocky9"]
    assert len(pruning.protected) == 2
    assert any(key in warning for warning in pruning.warnings)

    await catalog.prune(store, pruning)
    assert sorted(await _left(store)) == [OLD, MIDDLE, NEW, NEW]


async def test_a_channel_that_breaks_between_plan_and_removal_saves_the_versions() -> None:
    store = MemoryStore()
    await _three(store)
    pruning = await catalog.plan_pruning(store, keep=1)
    await store.put(store_keys.channel_key("debian12", "stable"), b"?", content_type="x/x")
    warnings = await catalog.prune(store, pruning)
    assert any("was kept" in warning for warning in warnings)
    assert await _left(store) == [NEW, MIDDLE, OLD]


@pytest.mark.parametrize("timestamp", ["99999999T999999Z", "20991231T000000Z", "20261333T000000Z"])
async def test_planted_versions_with_impossible_times_push_no_real_one_out(timestamp: str) -> None:
    store = MemoryStore()
    await _three(store)
    real = store.objects[f"templates/debian12/{NEW}/metadata.json"].body
    folder = f"templates/debian12/{timestamp}"
    await store.put(f"{folder}/debian12.xva", b"xva", content_type="x/x")
    planted = real.replace(NEW.encode(), timestamp.encode())
    await store.put(f"{folder}/metadata.json", planted, content_type="x/x")
    segment = store_keys.segment_key("debian12", 1)
    listed = store.objects[segment].body.replace(NEW.encode(), timestamp.encode())
    other = store_keys.segment_key("debian12", 2)
    await store.put(other, listed, content_type="x/x")
    root = store.objects[store_keys.INDEX_KEY].body
    both = root.replace(f'"{segment}"'.encode(), f'"{segment}", "{other}"'.encode())
    await store.put(store_keys.INDEX_KEY, both, content_type="x/x")
    pruning = await catalog.plan_pruning(store, keep=2)
    assert [entry.timestamp for entry in pruning.remove] == [OLD]
    assert any(timestamp in warning for warning in pruning.warnings)


async def test_a_version_without_its_image_counts_for_nothing() -> None:
    store = MemoryStore()
    await _three(store)
    await store.delete(f"templates/debian12/{MIDDLE}/debian12.xva")
    pruning = await catalog.plan_pruning(store, keep=2)
    assert pruning.remove == ()
    assert any(MIDDLE in warning for warning in pruning.warnings)


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
        for entry in (await catalog.list_versions(store)).versions:
            assert {entry.metadata_key, entry.xva.key} <= store.objects.keys()
    assert seen


async def test_a_channel_that_was_set_after_the_plan_is_seen_before_the_removal() -> None:
    store = MemoryStore()
    await _three(store)
    pruning = await catalog.plan_pruning(store, keep=1)
    old = await catalog.resolve(store, f"debian12@{OLD}")
    await catalog.set_channel(store, "stable", old)
    [warning] = await catalog.prune(store, pruning)
    assert "channel stable" in warning
    assert await _left(store) == [NEW, OLD]


async def test_a_removal_that_is_cut_short_never_leaves_metadata_without_its_image() -> None:
    store = MemoryStore()
    await _three(store)
    deleted: list[str] = []
    delete = store.delete

    async def note(key: str) -> None:
        deleted.append(key.rsplit("/", 1)[1])
        await delete(key)

    store.delete = note  # type: ignore[method-assign]
    await catalog.prune(store, await catalog.plan_pruning(store, keep=2))
    assert deleted[0] == "metadata.json"
    assert len(set(deleted)) == 3


async def test_a_version_that_is_published_while_the_index_is_rebuilt_stays_in_it() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    listing = store.list
    added = False

    async def slow_list(prefix: str) -> AsyncIterator[ObjectInfo]:
        nonlocal added
        seen = [info async for info in listing(prefix)]
        if not added:
            added = True
            await publish(store, NEW)  # after the look, before the index is written
        for info in seen:
            yield info

    store.list = slow_list  # type: ignore[method-assign]
    await catalog.rebuild_index(store)
    index = (await catalog.list_versions(store)).versions
    assert [entry.timestamp for entry in index] == [NEW, OLD]
