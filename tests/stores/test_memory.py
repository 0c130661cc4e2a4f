from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from asyncpipe.errors import DestinationTakenError, SlowDownError, TransientStoreError
from asyncpipe.model.store import ChecksumMode
from asyncpipe.testing.store import MEMORY_CAPABILITIES, MemoryStore
from tests.stores.contract import ObjectStoreContract
from tests.stores.helpers import TEXT, XVA, complete, digests_of, payload, send

pytestmark = pytest.mark.anyio


class TestMemoryStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestMemoryStoreThatHonoursLittle(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        little = replace(
            MEMORY_CAPABILITIES,
            profile="little",
            checksum=ChecksumMode.NONE,
            conditional_put=False,
            conditional_complete=False,
            compare_and_swap=False,
            object_size_checked=False,
        )
        return MemoryStore(capabilities=little)


async def test_a_failure_is_met_as_often_as_told_and_only_by_its_part() -> None:
    store = MemoryStore()
    store.fail("upload_part", SlowDownError("slow down"), part_number=2, times=2)
    handle = await store.create_upload("x", content_type=XVA, metadata={})
    body = payload(10)
    await store.upload_part(handle, 1, memoryview(body), digests_of(store, body))
    for _ in range(2):
        with pytest.raises(SlowDownError):
            await store.upload_part(handle, 2, memoryview(body), digests_of(store, body))
    await store.upload_part(handle, 2, memoryview(body), digests_of(store, body))


async def test_an_answer_can_be_lost_after_the_commit() -> None:
    store = MemoryStore()
    store.fail("complete_upload", TransientStoreError("lost"), after_commit=True)
    handle = await store.create_upload("x", content_type=XVA, metadata={})
    parts = await send(store, handle, [b"abc"])
    with pytest.raises(TransientStoreError):
        await complete(store, handle, parts, [b"abc"])
    assert store.objects["x"].body == b"abc"


async def test_a_complete_slower_than_its_limit_is_a_transient_failure() -> None:
    store = MemoryStore()
    store.delay("complete_upload", 100)
    handle = await store.create_upload("x", content_type=XVA, metadata={})
    parts = await send(store, handle, [b"abc"])
    with anyio.fail_after(5), pytest.raises(TransientStoreError):
        await store.complete_upload(
            handle, parts, size_bytes=3, crc64nvme_base64="", create_only=True, timeout_s=0.01
        )


async def test_a_condition_that_is_not_claimed_is_ignored() -> None:
    store = MemoryStore(capabilities=replace(MEMORY_CAPABILITIES, compare_and_swap=False))
    await store.put("x", b"1", content_type=TEXT)
    await store.put("x", b"2", content_type=TEXT, if_match="another")
    assert store.objects["x"].body == b"2"


async def test_without_conditions_a_taken_key_is_still_seen_before_a_create() -> None:
    store = MemoryStore(capabilities=replace(MEMORY_CAPABILITIES, conditional_put=False))
    await store.put("x", b"1", content_type=TEXT, create_only=True)
    with pytest.raises(DestinationTakenError):
        await store.put("x", b"2", content_type=TEXT, create_only=True)
    assert store.objects["x"].body == b"1"
