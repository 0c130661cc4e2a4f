"""What every ObjectStore promises of small objects, listings and streams."""

from __future__ import annotations

import anyio
import pytest

from asyncpipe.errors import (
    ConflictError,
    DestinationTakenError,
    ObjectMissingError,
    UploadError,
    UsageError,
)
from asyncpipe.ports import ObjectStore
from tests.stores.helpers import LIMIT_S, TEXT, keys_of, payload, read_all


class SmallObjectsContract:
    """A part of ``ObjectStoreContract``."""

    async def test_a_small_object_comes_back_whole_with_type_and_metadata(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            put = await store.put(
                "a/b c+ü.json", b"{}", content_type="application/json", metadata={"nonce": "n1"}
            )
            got = await store.get("a/b c+ü.json", max_bytes=100)
        assert got.body == b"{}"
        assert got.info.metadata["nonce"] == "n1"
        assert got.info.content_type == "application/json"
        assert (got.info.size_bytes, got.info.key) == (2, "a/b c+ü.json")
        assert got.info.etag == put.etag != ""

    async def test_an_object_larger_than_allowed_is_not_read(self, store: ObjectStore) -> None:
        with anyio.fail_after(LIMIT_S):
            await store.put("big", b"12345", content_type=TEXT)
            with pytest.raises(UploadError, match="more than 4"):
                await store.get("big", max_bytes=4)

    async def test_an_absent_object_is_told_as_missing(self, store: ObjectStore) -> None:
        with anyio.fail_after(LIMIT_S):
            assert await store.head("nothing/here") is None
            with pytest.raises(ObjectMissingError):
                await store.get("nothing/here", max_bytes=10)
            with pytest.raises(ObjectMissingError):
                await read_all(store, "nothing/here")
            await store.delete("nothing/here")

    async def test_create_only_refuses_a_taken_key_and_leaves_it_alone(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            await store.put("once", b"first", content_type=TEXT, create_only=True)
            with pytest.raises(DestinationTakenError):
                await store.put("once", b"second", content_type=TEXT, create_only=True)
            assert (await store.get("once", max_bytes=10)).body == b"first"

    async def test_a_put_without_condition_replaces_object_and_metadata(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            await store.put("k", b"one", content_type=TEXT, metadata={"v": "1"})
            await store.put("k", b"two", content_type=TEXT, metadata={"v": "2"})
            got = await store.get("k", max_bytes=10)
        assert (got.body, dict(got.info.metadata)) == (b"two", {"v": "2"})

    async def test_compare_and_swap_lets_only_the_reader_of_the_present_object_write(
        self, store: ObjectStore
    ) -> None:
        if not store.capabilities.compare_and_swap:
            pytest.skip(f"{store.capabilities.profile} claims no compare and swap")
        with anyio.fail_after(LIMIT_S):
            first = await store.put("index", b"1", content_type=TEXT)
            second = await store.put("index", b"22", content_type=TEXT, if_match=first.etag)
            with pytest.raises(ConflictError):
                await store.put("index", b"333", content_type=TEXT, if_match=first.etag)
            assert (await store.get("index", max_bytes=10)).body == b"22"
            await store.put("index", b"4444", content_type=TEXT, if_match=second.etag)
            with pytest.raises(ConflictError):
                await store.put("absent", b"5", content_type=TEXT, if_match=second.etag)
            assert await store.head("absent") is None

    async def test_a_listing_is_complete_in_key_order_and_bound_to_the_prefix(
        self, store: ObjectStore
    ) -> None:
        keys = ["t/a/1", "t/a/2", "t/a-b/1", "t/b", "u/x"]
        with anyio.fail_after(LIMIT_S):
            for key in reversed(keys):
                await store.put(key, b"x", content_type=TEXT)
            assert await keys_of(store, "t/") == sorted(keys[:4])
            assert await keys_of(store, "t/a") == sorted(keys[:3])
            assert await keys_of(store, "none/") == []
            await store.delete("t/b")
            assert "t/b" not in await keys_of(store, "")

    async def test_a_stream_begins_and_ends_where_it_is_asked_to(self, store: ObjectStore) -> None:
        body = payload(2_500_000)
        with anyio.fail_after(LIMIT_S):
            await store.put("s", body, content_type=TEXT)
            assert await read_all(store, "s") == body
            assert await read_all(store, "s", offset_bytes=1_234_567) == body[1_234_567:]
            part = await read_all(store, "s", offset_bytes=1_234_567, size_bytes=1_000_001)
            assert part == body[1_234_567:2_234_568]
            assert await read_all(store, "s", size_bytes=7) == body[:7]
            async with store.stream("s") as pieces:
                assert await anext(pieces)  # leaving in the middle must not hang or warn

    @pytest.mark.parametrize("key", ["", "../x", "a/../../x", "/abs", "a//b", "a/./b", "a\x00b"])
    async def test_a_key_that_could_lead_astray_is_refused(
        self, store: ObjectStore, key: str
    ) -> None:
        with anyio.fail_after(LIMIT_S), pytest.raises(UsageError):
            await store.put(key, b"x", content_type=TEXT)
