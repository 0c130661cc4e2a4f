"""The index: a small root and segments; what a publication costs, and what survives damage."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from asyncpipe import catalog
from asyncpipe.errors import TransientStoreError
from asyncpipe.model import store_keys
from asyncpipe.model.documents import index
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import End, Revocation
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD, UNGUARDED, FailingStore, publish, put_version

pytestmark = pytest.mark.anyio
BAD_KERNEL = Revocation(reason="bad kernel", by="ann", revoked_utc="2026-11-24T10:00:00Z")
PAST = End(expires_utc="2026-11-24T10:00:00Z", by="ann", reason="", set_utc="2026-11-23T10:00:00Z")


@pytest.fixture
def anyio_backend() -> str:
    """Documents do not care; one backend is quicker."""
    return "asyncio"


def stamp(number: int) -> str:
    """One version an hour, from 2020 on."""
    return f"2020{number // 672 + 1:02}{number // 24 % 28 + 1:02}T{number % 24:02}0000Z"


async def full(store: MemoryStore, number: int) -> list[CatalogEntry]:
    """List ``number`` versions of debian12 that have no objects, and no latest."""
    one = await put_version(MemoryStore(), NEW)
    entries = []
    for at in range(number):
        key = store_keys.xva_key("debian12", stamp(at))
        xva = msgspec.structs.replace(one.xva, key=key)
        entries.append(msgspec.structs.replace(one, timestamp=stamp(at), xva=xva))
    await catalog.change_index(store, add=entries)
    return entries


def written(store: MemoryStore) -> dict[str, int]:
    """Bytes of each object of the index that was written since the calls were cleared."""
    keys = {call.key for call in store.calls if call.operation == "put"}
    return {key: len(store.objects[key].body) for key in keys if "index" in key}


async def listed(store: MemoryStore) -> list[str]:
    return [entry.timestamp for entry in (await catalog.list_versions(store)).versions]


@pytest.mark.parametrize("number", [0, 63, 64, 1000])
async def test_a_publication_writes_at_most_two_small_objects_of_the_index(number: int) -> None:
    store = MemoryStore()
    await full(store, number)
    store.calls.clear()
    await publish(store, NEW)
    objects = written(store)
    assert len(objects) <= (2 if number % index.SEGMENT_VERSIONS == 0 else 1)
    assert sum(objects.values()) < 100_000
    index_reads = [call for call in store.calls if "index" in call.key and call.operation == "get"]
    assert len(index_reads) <= 4
    assert not [call for call in store.calls if call.operation == "list" and number]
    assert len(await listed(store)) == number + 1


async def test_one_template_reads_its_own_segments_alone() -> None:
    store = MemoryStore()
    await full(store, 200)
    await publish(store, NEW, short_id="rocky9")
    store.calls.clear()
    await catalog.list_versions(store, "rocky9")
    assert [call.key for call in store.calls] == [
        store_keys.INDEX_KEY,
        store_keys.segment_key("rocky9", 1),
    ]


async def put_old_index(store: MemoryStore, entries: list[CatalogEntry]) -> None:
    document = {"schema_version": 1, "versions": msgspec.to_builtins(entries)}
    body = json.dumps(document).encode()
    await store.put(store_keys.INDEX_KEY, body, content_type="application/json")


async def test_an_index_of_the_first_form_is_read_and_converted_by_the_next_publication() -> None:
    store = MemoryStore()
    old = [await put_version(store, stamp(number)) for number in range(70)]
    await put_old_index(store, old)
    assert await listed(store) == [entry.timestamp for entry in reversed(old)]
    newest = await publish(store, NEW)
    root = index.decode_root(store.objects[store_keys.INDEX_KEY].body)
    assert root.old is None
    assert root.of("debian12") == [store_keys.segment_key("debian12", n) for n in (1, 2)]
    assert await listed(store) == [NEW, *(entry.timestamp for entry in reversed(old))]
    assert (await catalog.latest(store, "debian12")) == newest


async def test_what_an_older_asyncpipe_publishes_during_the_conversion_is_not_lost() -> None:
    store = MemoryStore()
    old = [await put_version(store, stamp(number)) for number in range(3)]
    late = await put_version(store, MIDDLE)
    await put_old_index(store, old)
    put = store.put
    raced = False

    async def racing(key: str, body: bytes, **more: Any) -> Any:
        nonlocal raced
        if key == store_keys.INDEX_KEY and not raced:
            raced = True
            await put_old_index(store, [*old, late])
        return await put(key, body, **more)

    store.put = racing  # type: ignore[method-assign]
    await publish(store, NEW)
    assert {MIDDLE, NEW} <= set(await listed(store))
    assert len(await listed(store)) == 5


async def test_a_conversion_that_is_cut_short_loses_nothing_and_is_finished_by_the_next() -> None:
    for left in range(9):  # calls until the store is away
        store = FailingStore()
        old = [await put_version(store, stamp(number)) for number in range(3)]
        await put_old_index(store, old)
        new = await put_version(store, NEW)
        store.left = left
        with contextlib.suppress(TransientStoreError):
            await catalog.change_index(store, add=[new])
        store.left = None
        assert {entry.timestamp for entry in old} <= set(await listed(store))
        await catalog.move_pointer(store, new)
        assert len(await listed(store)) == 4


async def test_segments_that_pruning_empties_go_and_the_last_stays() -> None:
    store = MemoryStore()
    entries = await full(store, 200)
    gone = frozenset(entry.folder_key for entry in entries[:150])
    await catalog.change_index(store, remove=gone)
    root = index.decode_root(store.objects[store_keys.INDEX_KEY].body)
    assert root.of("debian12") == [store_keys.segment_key("debian12", n) for n in (3, 4)]
    assert store_keys.segment_key("debian12", 1) not in store.objects
    await catalog.change_index(store, remove=frozenset(one.folder_key for one in entries))
    assert index.decode_root(store.objects[store_keys.INDEX_KEY].body).of("debian12") == [
        store_keys.segment_key("debian12", 4)
    ]
    await publish(store, NEW)
    assert await listed(store) == [NEW]


async def test_nothing_is_added_to_a_segment_that_is_about_to_go() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    key = store_keys.segment_key("debian12", 1)
    await store.put(key, index.encode_segment((), sealed=True), content_type="x/x")
    await publish(store, NEW)
    await store.delete(key)
    assert NEW in await listed(store)


DAMAGE = ["missing", "unreadable", "foreign"]


async def damage(store: MemoryStore, key: str, how: str) -> None:
    if how == "missing":
        await store.delete(key)
    else:
        body = b"<html>" if how == "unreadable" else b'{"schema_version": 1, "versions": [5]}'
        await store.put(key, body, content_type="x/x")


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("key", [store_keys.INDEX_KEY, store_keys.segment_key("debian12", 1)])
async def test_a_damaged_index_hides_no_version_for_good(key: str, how: str) -> None:
    store = MemoryStore()
    for timestamp in (OLD, MIDDLE):
        await publish(store, timestamp)
    await publish(store, OLD, short_id="rocky9")
    await damage(store, key, how)
    if how != "foreign":  # an entry that cannot be read is left out with a warning
        assert len(await listed(store)) == 3
    await publish(store, NEW)
    await catalog.repair(store)
    found = await catalog.list_versions(store)
    assert [entry.timestamp for entry in found.versions] == [NEW, MIDDLE, OLD, OLD]
    assert found.warnings == ()


async def test_rebuild_lists_exactly_what_is_there() -> None:
    store = MemoryStore()
    entries = await full(store, 5)  # of which nothing is there
    await publish(store, OLD)
    await put_version(store, NEW)  # published, but the index was not reached
    assert len(await listed(store)) == len(entries) + 1
    rebuilt = await catalog.rebuild_index(store)
    assert [entry.timestamp for entry in rebuilt.versions] == await listed(store) == [NEW, OLD]


@pytest.mark.parametrize("where", ["folder", "memory"])
async def test_a_rebuild_names_each_version_that_it_cannot_list_and_lists_the_others(
    where: str, tmp_path: Path
) -> None:
    store: ObjectStore = DirectoryStore(tmp_path) if where == "folder" else MemoryStore()
    good, damaged, newer, other, large, headless = [
        await put_version(store, stamp(number)) for number in range(6)
    ]
    document = (await store.get(good.metadata_key, max_bytes=1 << 20)).body
    late = document.replace(b'"schema_version": 1', b'"schema_version": 2')
    for entry, body in {damaged: document[:-9], newer: late, other: document}.items():
        await store.put(entry.metadata_key, body, content_type="x/x")
    await store.put(large.metadata_key, bytes((16 << 20) + 1), content_type="x/x")
    await store.delete(headless.xva.key)
    rebuilt = await catalog.rebuild_index(store)
    assert [entry.timestamp for entry in rebuilt.versions] == [good.timestamp]
    said = dict(zip((damaged, newer, other, large, headless), rebuilt.warnings, strict=True))
    assert all(entry.timestamp in text for entry, text in said.items())
    assert "It is not JSON" in said[damaged]
    assert "schema version 2, this asyncpipe knows 1" in said[newer]
    assert "metadata of another version" in said[other]
    assert "too large" in said[large]
    assert "its image is not there" in said[headless]


async def test_a_repair_reads_only_versions_that_the_index_does_not_list() -> None:
    store = MemoryStore()
    for timestamp in (OLD, MIDDLE):
        await publish(store, timestamp)
    await put_version(store, NEW)
    store.calls.clear()
    await catalog.repair(store)
    read = [c.key for c in store.calls if c.operation == "get" and "metadata" in c.key]
    assert read == [f"templates/debian12/{NEW}/metadata.json"]


LATEST = store_keys.latest_key("debian12")


@pytest.mark.parametrize("how", ["missing", "unreadable"])
@pytest.mark.parametrize("mark", ["revoked", "expired"])
async def test_a_damaged_latest_is_repaired_and_never_names_a_bad_version(
    how: str, mark: str
) -> None:
    store = MemoryStore()
    made = [await publish(store, timestamp) for timestamp in (OLD, MIDDLE, NEW)]
    if mark == "revoked":
        await catalog.revoke(store, made[2], BAD_KERNEL)
    else:
        await catalog.set_end(store, made[2], PAST)
    await damage(store, LATEST, how)
    repaired = await catalog.repair(store)
    assert repaired.changed == (f"latest of debian12 is {MIDDLE}",)
    assert await catalog.latest(store, "debian12") == made[1]
    assert (await catalog.repair(store)).changed == ()


async def test_a_latest_that_names_a_version_that_is_gone_goes_back_and_not_forward() -> None:
    store = MemoryStore()
    for timestamp in (OLD, MIDDLE, NEW):
        await publish(store, timestamp)
    pointer = store.objects[LATEST].body.replace(NEW.encode(), MIDDLE.encode())
    await store.put(LATEST, pointer, content_type="x/x")
    await store.delete(f"templates/debian12/{MIDDLE}/metadata.json")
    assert (await catalog.repair(store)).changed == (f"latest of debian12 is {OLD}",)


async def test_a_damaged_channel_is_reported_and_left_as_it_is() -> None:
    store = MemoryStore()
    await catalog.set_channel(store, "stable", await publish(store, NEW))
    key = store_keys.channel_key("debian12", "stable")
    await store.put(key, b"?", content_type="x/x")
    repaired = await catalog.repair(store)
    assert any(key in warning for warning in repaired.warnings)
    assert store.objects[key].body == b"?"


async def test_without_conditions_a_version_that_a_race_hid_is_found_again() -> None:
    store = MemoryStore(capabilities=UNGUARDED)
    entry = await put_version(store, NEW)
    warnings = await catalog.change_index(store, add=[entry])
    assert any("compare-and-swap" in warning for warning in warnings)
    await store.delete(store_keys.segment_key("debian12", 1))  # as if another had overwritten it
    await catalog.repair(store)
    assert await listed(store) == [NEW]
