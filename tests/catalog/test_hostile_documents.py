"""Whoever may write to the bucket may write anything: no command fails, nothing is lost."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import anyio
import msgspec
import pytest

from asyncpipe import catalog, reap
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD, publish, put_version

pytestmark = pytest.mark.anyio
LATEST = store_keys.latest_key("debian12")
STABLE = store_keys.channel_key("debian12", "stable")
METADATA = f"templates/debian12/{MIDDLE}/metadata.json"
SEGMENT = store_keys.segment_key("debian12", 1)
DOCUMENTS = (LATEST, STABLE, METADATA, store_keys.INDEX_KEY, SEGMENT)
NEWEST = "20261124T170000Z"

HOSTILE: tuple[str, ...] = (
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "9" * 400,
    "-1",
    "1.5",
    "true",
    "null",
    "[]",
    "{}",
    '""',
    '"99999999T999999Z"',
    '"20991231T000000Z"',
    '"\u0662\u0660\u0662\u0666\u0661\u0661\u0662\u0663T170000Z"',
    '"../../etc/passwd"',
    '"templates\\/debian12\\/20261101T000000Z/debian12.xva"',
    '"templates/debian12/20261110T000000Z/.bash_profile"',
    '"x.xva; touch pwned #"',
    '"\\u001b[31m\\ud800"',
    '"' + "A" * 5000 + '"',
    '"a/b"',
    "[" * 2000 + "]" * 2000,
)


@pytest.fixture
def anyio_backend() -> str:
    """Documents do not care; one backend is quicker."""
    return "asyncio"


async def shop() -> tuple[MemoryStore, dict[str, CatalogEntry]]:
    """Three versions of debian12, the oldest one called stable."""
    store = MemoryStore()
    made = {timestamp: await publish(store, timestamp) for timestamp in (OLD, MIDDLE, NEW)}
    await catalog.set_channel(store, "stable", made[OLD])
    return store, made


async def spoil(store: MemoryStore, key: str, body: bytes) -> None:
    await store.put(key, body, content_type="application/json")


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Return a document with one thing wrong: a value, a name, bytes, or its end."""
    how = chance.randrange(10)
    if how == 0:
        return body[: chance.randrange(len(body))]
    if how == 1:
        at = chance.randrange(len(body))
        return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]
    document = json.loads(body)
    places = list(_places(document))
    holder, name = chance.choice(places)
    if how == 2:
        del holder[name]
        return json.dumps(document).encode()
    holder[name] = mark = "@@here@@"
    return json.dumps(document).replace(f'"{mark}"', chance.choice(HOSTILE)).encode()


def _places(value: Any) -> Any:
    for name in value if isinstance(value, dict) else range(len(value)):
        yield value, name
        if isinstance(value[name], dict | list):
            yield from _places(value[name])


async def survive(body: bytes, key: str) -> None:
    """Run every command beside a document; nothing but one of our errors, nothing whole lost."""
    store, made = await shop()
    await spoil(store, key, body)
    reading: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: catalog.resolve(store, "debian12"),
        lambda: catalog.resolve(store, "debian12:stable"),
        lambda: catalog.resolve(store, f"debian12@{MIDDLE}"),
    )
    for read in reading:
        with suppress(AsyncpipeError):
            await read()
    listing = await catalog.list_versions(store)
    assert all(warning.isprintable() for warning in listing.warnings)
    json.dumps(msgspec.to_builtins(listing.versions), allow_nan=False)
    fresh = await catalog.list_versions(store, fresh=True)
    assert {OLD, NEW} <= {entry.timestamp for entry in fresh.versions}
    await catalog.channels(store)
    await reap.sweep(store, before_utc=datetime.now(UTC), dry_run=False)
    assert _whole(store) == {OLD, MIDDLE, NEW}
    pruning = await catalog.plan_pruning(store, keep=1)
    await catalog.prune(store, pruning)
    assert {NEW} <= _whole(store)
    if key != STABLE:  # else it may have been made to name another
        assert {OLD, NEW} <= _whole(store)
    result = await catalog.move_pointer(store, await put_version(store, NEWEST))
    assert result.moved
    assert (await catalog.latest(store, "debian12")).timestamp == NEWEST
    rebuilt = await catalog.rebuild_index(store)
    assert {NEW, NEWEST} <= {entry.timestamp for entry in rebuilt.versions}
    assert made


def _whole(store: MemoryStore) -> set[str]:
    """Versions of which every object is there."""
    return {
        timestamp
        for timestamp in (OLD, MIDDLE, NEW, NEWEST)
        if all(
            f"templates/debian12/{timestamp}/{name}" in store.objects
            for name in ("debian12.xva", "metadata.json", "build.log")
        )
    }


async def fuzz(number: int, seed: int) -> None:
    chance = random.Random(seed)
    store, _ = await shop()
    bodies = {key: store.objects[key].body for key in DOCUMENTS}
    for _ in range(number):
        key = chance.choice(DOCUMENTS)
        body = mutated(bodies[key], chance)
        try:
            with anyio.fail_after(30):
                await survive(body, key)
        except BaseException as error:
            error.add_note(f"{key}: {body!r}")
            raise


async def test_no_mutated_document_stops_a_command_or_costs_a_version() -> None:
    await fuzz(150, seed=1)


@pytest.mark.heavy("random")
@pytest.mark.timeout(1800)
async def test_ten_thousand_mutated_documents_stop_nothing_and_cost_nothing() -> None:
    await fuzz(10_000, seed=2)


@pytest.mark.parametrize("key", DOCUMENTS)
@pytest.mark.parametrize("field", ["duration_s", "size_bytes", "timestamp", "sha256_hex", "key"])
async def test_every_hostile_value_in_every_field_that_counts_is_survived(
    key: str, field: str
) -> None:
    store, _ = await shop()
    document = json.loads(store.objects[key].body)
    places = [(holder, name) for holder, name in _places(document) if name == field]
    holder, name = places[0] if places else (document, field)
    holder[name] = "@@here@@"
    for value in HOSTILE:
        await survive(json.dumps(document).replace('"@@here@@"', value).encode(), key)


async def test_a_latest_ahead_of_time_is_replaced_and_named() -> None:
    store, _ = await shop()
    body = store.objects[LATEST].body.replace(NEW.encode(), b"20991231T000000Z")
    await spoil(store, LATEST, body)
    result = await catalog.move_pointer(store, await put_version(store, NEWEST))
    assert result.moved
    assert any("latest.json" in warning and "future" in warning for warning in result.warnings)


async def test_an_object_too_large_to_be_a_pointer_is_replaced_by_one() -> None:
    store, _ = await shop()
    await spoil(store, LATEST, b" " * (65 << 20))
    result = await catalog.move_pointer(store, await put_version(store, NEWEST))
    assert result.moved
    assert result.warnings


async def test_one_bad_entry_of_the_index_hides_no_other() -> None:
    store, _ = await shop()
    document = json.loads(store.objects[SEGMENT].body)
    document["versions"][1]["build"]["duration_s"] = -1
    await spoil(store, SEGMENT, json.dumps(document).encode())
    listing = await catalog.list_versions(store)
    assert [entry.timestamp for entry in listing.versions] == [NEW, OLD]
    assert any("duration_s" in warning for warning in listing.warnings)
    await catalog.move_pointer(store, await put_version(store, NEWEST))
    assert [e.timestamp for e in (await catalog.list_versions(store)).versions] == [
        NEWEST,
        NEW,
        OLD,
    ]
