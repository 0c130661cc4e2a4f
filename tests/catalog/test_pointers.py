from __future__ import annotations

import json
from importlib import resources
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from asyncpipe import catalog
from asyncpipe.errors import ConflictError, ObjectMissingError, TransientStoreError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents import catalog as entries
from asyncpipe.model.documents import index
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import (
    MIDDLE,
    NEW,
    OLD,
    UNGUARDED,
    RacingStore,
    publish,
    put_version,
)

pytestmark = pytest.mark.anyio
LATEST = store_keys.latest_key("debian12")
SEGMENT = store_keys.segment_key("debian12", 1)


def _schema(name: str) -> Draft202012Validator:
    text = (resources.files("asyncpipe") / "schemas" / f"{name}.schema.json").read_text()
    return Draft202012Validator(json.loads(text))


def _json(store: MemoryStore, key: str) -> Any:
    return json.loads(store.objects[key].body)


async def test_a_first_publication_can_be_found_by_pointer_and_index() -> None:
    store = MemoryStore()
    entry = await put_version(store, NEW)
    result = await catalog.move_pointer(store, entry)

    assert result.moved
    assert result.warnings == ()
    assert result.previous_metadata is None
    _schema("latest-1").validate(_json(store, LATEST))
    _schema("index-2").validate(_json(store, store_keys.INDEX_KEY))
    _schema("segment-1").validate(_json(store, SEGMENT))
    assert await catalog.latest(store, "debian12") == entry
    assert (await catalog.list_versions(store)).versions == (entry,)


async def test_a_newer_version_moves_the_pointer_and_brings_the_metadata_of_the_one_before() -> (
    None
):
    store = MemoryStore()
    await publish(store, OLD)
    result = await catalog.move_pointer(store, await put_version(store, NEW))

    assert result.moved
    assert result.previous_metadata is not None
    assert result.previous_metadata["timestamp"] == OLD


async def test_an_older_version_is_listed_but_never_becomes_the_latest() -> None:
    store = MemoryStore()
    newest = await publish(store, NEW)
    result = await catalog.move_pointer(store, await put_version(store, OLD))

    assert not result.moved
    assert result.latest_timestamp == NEW
    assert await catalog.latest(store, "debian12") == newest
    assert [e.timestamp for e in (await catalog.list_versions(store)).versions] == [NEW, OLD]


async def test_moving_the_pointer_twice_changes_nothing() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW)
    before = dict(store.objects)
    result = await catalog.move_pointer(store, entry)
    assert result.moved
    assert store.objects == before


async def test_a_newer_version_that_wins_the_race_stays_the_latest() -> None:
    store = RacingStore()
    newest = await put_version(store, NEW)
    older = await put_version(store, MIDDLE)
    store.faster.append((LATEST, entries.encode_pointer(newest)))

    result = await catalog.move_pointer(store, older)

    assert not result.moved
    assert result.latest_timestamp == NEW
    assert await catalog.latest(store, "debian12") == newest


async def test_an_older_version_that_wins_the_race_is_overtaken_and_is_the_previous_one() -> None:
    store = RacingStore()
    older = await put_version(store, OLD)
    newest = await put_version(store, NEW)
    store.faster.append((LATEST, entries.encode_pointer(older)))

    result = await catalog.move_pointer(store, newest)

    assert result.moved
    assert result.previous_metadata is not None
    assert result.previous_metadata["timestamp"] == OLD


async def test_concurrent_publications_are_all_listed() -> None:
    store = RacingStore()
    mine = await put_version(store, NEW)
    other = await put_version(store, OLD)
    store.faster.append((SEGMENT, index.encode_segment([other])))
    await catalog.move_pointer(store, mine)
    assert (await catalog.list_versions(store)).versions == (mine, other)


async def test_many_publications_at_once_are_all_listed_and_the_newest_is_the_latest() -> None:
    store = MemoryStore()
    made = [await put_version(store, f"202611{day:02}T000000Z") for day in range(1, 9)]
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for entry in made:
                tasks.start_soon(catalog.move_pointer, store, entry)
    assert (await catalog.list_versions(store)).versions == tuple(reversed(made))
    assert await catalog.latest(store, "debian12") == made[-1]


async def test_a_store_without_compare_and_swap_is_told_never_silent() -> None:
    store = MemoryStore(capabilities=UNGUARDED)
    result = await catalog.move_pointer(store, await put_version(store, NEW))
    assert result.moved
    assert any("compare-and-swap" in warning for warning in result.warnings)


async def test_without_compare_and_swap_a_lost_update_is_seen_and_made_again() -> None:
    store = RacingStore(unguarded=True)
    mine = await put_version(store, NEW)
    other = await put_version(store, OLD)
    store.afterwards.append((SEGMENT, index.encode_segment([other])))
    await catalog.move_pointer(store, mine)
    assert (await catalog.list_versions(store)).versions == (mine, other)


async def test_a_lost_answer_is_settled_by_reading() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    entry = await put_version(store, NEW)
    store.fail("put", TransientStoreError("reset"), after_commit=True)

    result = await catalog.move_pointer(store, entry)

    assert result.moved
    assert result.previous_metadata is not None
    assert result.previous_metadata["timestamp"] == OLD


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_endless_contention_ends_with_an_error() -> None:
    store = MemoryStore()
    entry = await put_version(store, NEW)
    store.fail("put", ConflictError("again"), times=100)
    with anyio.fail_after(60), pytest.raises(ConflictError, match="20 times"):
        await catalog.move_pointer(store, entry)


async def test_a_broken_pointer_is_replaced_and_told() -> None:
    store = MemoryStore()
    await store.put(LATEST, b"<html>", content_type="text/html")
    result = await catalog.move_pointer(store, await put_version(store, NEW))
    assert result.moved
    assert any("unreadable" in warning for warning in result.warnings)


async def test_a_broken_index_is_replaced_and_told() -> None:
    store = MemoryStore()
    await store.put(store_keys.INDEX_KEY, b"<html>", content_type="text/html")
    result = await catalog.move_pointer(store, await put_version(store, NEW))
    [warning] = result.warnings
    assert "index.json was unreadable" in warning
    assert "index rebuild" in warning
    listing = await catalog.list_versions(store)
    assert [entry.timestamp for entry in listing.versions] == [NEW]


async def test_a_pointer_of_a_newer_asyncpipe_is_left_alone() -> None:
    store = MemoryStore()
    body = b'{"schema_version": 2}'
    await store.put(LATEST, body, content_type="application/json")
    with pytest.raises(NewerSchemaError, match=r"latest\.json"):
        await catalog.move_pointer(store, await put_version(store, NEW))
    assert store.objects[LATEST].body == body


async def test_an_index_of_a_newer_asyncpipe_is_left_alone_and_told() -> None:
    store = MemoryStore()
    body = b'{"schema_version": 3}'
    await store.put(store_keys.INDEX_KEY, body, content_type="application/json")
    result = await catalog.move_pointer(store, await put_version(store, NEW))
    assert result.moved
    assert any("index.json" in warning for warning in result.warnings)
    assert store.objects[store_keys.INDEX_KEY].body == body


async def test_the_index_can_be_rebuilt_from_the_objects_alone() -> None:
    store = MemoryStore()
    made = [await publish(store, OLD), await publish(store, NEW, short_id="rocky9")]
    await store.put(store_keys.INDEX_KEY, b"broken", content_type="application/json")
    await store.put("templates/debian12/20260101T000000Z/metadata.json", b"{}", content_type="x/x")
    listed = await catalog.list_versions(store)
    assert listed.versions == tuple(made)
    assert any("index.json" in warning for warning in listed.warnings)

    rebuilt = await catalog.rebuild_index(store)

    assert rebuilt.versions == tuple(made)
    assert len(rebuilt.warnings) == 1
    assert (await catalog.list_versions(store)).versions == tuple(made)


async def test_a_rebuilt_index_no_longer_lists_what_is_gone() -> None:
    store = MemoryStore()
    gone, kept = await publish(store, OLD), await publish(store, NEW)
    for key in (gone.xva.key, gone.metadata_key):
        await store.delete(key)
    await catalog.rebuild_index(store)
    listing = await catalog.list_versions(store)
    assert [entry.timestamp for entry in listing.versions] == [kept.timestamp]


async def test_a_half_published_version_is_never_listed() -> None:
    store = MemoryStore()
    await store.put(store_keys.xva_key("debian12", NEW), b"xva", content_type="x/x")
    assert (await catalog.list_versions(store)).versions == ()


async def test_references_name_the_latest_a_channel_or_one_version() -> None:
    store = MemoryStore()
    old, new = await publish(store, OLD), await publish(store, NEW)
    await catalog.set_channel(store, "stable", old)

    assert await catalog.resolve(store, "debian12") == new
    assert await catalog.resolve(store, "debian12:stable") == old
    assert await catalog.resolve(store, f"debian12@{OLD}") == old
    assert [c.name for c in (await catalog.channels(store)).found] == ["stable"]


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("rocky9", ObjectMissingError),
        ("debian12:beta", ObjectMissingError),
        ("debian12@20200101T000000Z", ObjectMissingError),
        ("debian12@yesterday", UsageError),
        ("../secrets", UsageError),
        ("debian12:../../x", UsageError),
    ],
)
async def test_a_reference_to_nothing_is_told(reference: str, error: type[Exception]) -> None:
    store = MemoryStore()
    await publish(store, NEW)
    with pytest.raises(error):
        await catalog.resolve(store, reference)


async def test_a_channel_moves_backwards_and_can_be_unset() -> None:
    store = MemoryStore()
    old, new = await publish(store, OLD), await publish(store, NEW)
    await catalog.set_channel(store, "stable", new)
    await catalog.set_channel(store, "stable", old)
    assert await catalog.resolve(store, "debian12:stable") == old

    await catalog.unset_channel(store, "debian12", "stable")
    assert (await catalog.channels(store)).found == ()
    with pytest.raises(ObjectMissingError):
        await catalog.unset_channel(store, "debian12", "stable")


async def test_a_channel_cannot_name_a_version_that_is_gone() -> None:
    store = MemoryStore()
    entry = await publish(store, NEW)
    await store.delete(entry.metadata_key)
    with pytest.raises(ObjectMissingError):
        await catalog.set_channel(store, "stable", entry)


async def test_a_pointer_that_leads_out_of_its_folder_is_not_followed() -> None:
    store = MemoryStore()
    await publish(store, NEW)
    document = _json(store, LATEST)
    document["version"]["xva"]["key"] = "templates/other/20261123T170000Z/other.xva"
    await store.put(LATEST, json.dumps(document).encode(), content_type="application/json")
    with pytest.raises(UnreadableError):
        await catalog.latest(store, "debian12")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary() | _JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_reading_fail_in_another_way(body: bytes) -> None:
    with pytest.raises((UnreadableError, NewerSchemaError)):
        entries.decode_pointer(body, "debian12")
    with pytest.raises((UnreadableError, NewerSchemaError)):
        index.decode_root(body)
    with pytest.raises((UnreadableError, NewerSchemaError)):
        index.decode_segment(body, "debian12")


@given(_JSON)
def test_no_version_in_a_pointer_makes_reading_fail_in_another_way(value: object) -> None:
    body = json.dumps({"schema_version": 1, "version": value}).encode()
    with pytest.raises(UnreadableError):
        entries.decode_pointer(body, "debian12")
