"""The simplestreams view; tests/page has the real client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.catalog.streams import MAX_VERSIONS, products, write_streams
from asyncpipe.cli import main
from asyncpipe.model import store_keys
from asyncpipe.model.documents.release import Revocation
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MemoryStore
from tests.catalog import overviews
from tests.catalog.published import MIDDLE, NEW, OLD, publish

pytestmark = pytest.mark.anyio


async def read(store: ObjectStore, key: str) -> Any:
    return json.loads((await store.get(key, max_bytes=10_000_000)).body)


async def test_a_revoked_version_is_not_offered_and_channels_are_labels() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    middle = await publish(store, MIDDLE)
    newest = await publish(store, NEW)
    await catalog.set_channel(store, "stable", middle)
    await catalog.revoke(store, newest, Revocation(reason="bad", by="ops", revoked_utc=None))
    assert await write_streams(store) == 1
    found = await read(store, store_keys.products_key("debian12"))
    (product,) = found["products"].values()
    assert sorted(product["versions"]) == [OLD, MIDDLE]
    assert product["versions"][MIDDLE]["label"] == "stable"
    item = product["versions"][MIDDLE]["items"]["disk.xva"]
    assert item["path"] == middle.xva.key
    assert item["sha256"] == middle.xva.sha256_hex


async def test_one_template_is_written_without_touching_the_others() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    await publish(store, OLD, short_id="debian13")
    await write_streams(store)
    other = await store.head(store_keys.products_key("debian13"))
    index = await store.head(store_keys.STREAMS_KEY)
    await publish(store, NEW)
    await write_streams(store, ["debian12"])
    after = await store.head(store_keys.products_key("debian13"))
    assert (other, index) == (after, await store.head(store_keys.STREAMS_KEY))
    contents = (await read(store, store_keys.STREAMS_KEY))["index"]
    assert sorted(contents) == ["com.asyncpipe:debian12", "com.asyncpipe:debian13"]


async def test_a_template_without_a_good_version_leaves_the_index() -> None:
    store = MemoryStore()
    await publish(store, OLD, short_id="debian13")
    entry = await publish(store, OLD)
    await write_streams(store)
    await catalog.revoke(store, entry, Revocation(reason="bad", by="ops", revoked_utc=None))
    await write_streams(store, ["debian12"])
    contents = (await read(store, store_keys.STREAMS_KEY))["index"]
    assert list(contents) == ["com.asyncpipe:debian13"]


async def test_a_damaged_index_is_replaced() -> None:
    store = MemoryStore()
    await publish(store, OLD)
    await store.put(store_keys.STREAMS_KEY, b'{"index": [1]}', content_type="application/json")
    await write_streams(store)
    assert list((await read(store, store_keys.STREAMS_KEY))["index"]) == ["com.asyncpipe:debian12"]


def test_a_file_of_products_is_bounded_whatever_was_published() -> None:
    view = overviews.view("debian12", MAX_VERSIONS)
    size_bytes = len(json.dumps(products("debian12", view.versions, view.names)))
    assert size_bytes < 64 * 1024


def test_a_published_view_follows_a_revocation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCPIPE_DESTINATION", str(tmp_path))

    async def fill() -> None:
        for timestamp in (OLD, NEW):
            await publish(DirectoryStore(tmp_path), timestamp)

    anyio.run(fill)
    assert main.run(["index", "streams"]) == 0
    assert main.run(["revoke", f"debian12@{NEW}", "--reason", "bad"]) == 0
    found = json.loads((tmp_path / store_keys.products_key("debian12")).read_bytes())
    (product,) = found["products"].values()
    assert list(product["versions"]) == [OLD]
