"""Two runs of one second: exactly one has the folder, before anything is built."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from asyncpipe.model.store import ObjectInfo
from asyncpipe.model.store_keys import CLAIM_NAME
from asyncpipe.run.claim import claimed
from asyncpipe.testing.store import MemoryStore

pytestmark = pytest.mark.anyio
FOLDER = "templates/debian12/20261123T170000Z"
OTHER = "templates/rocky9/20261123T170000Z"


async def test_one_of_two_has_the_folder_and_afterwards_nobody() -> None:
    store = MemoryStore()
    async with claimed(store, [FOLDER], "a") as first:
        async with claimed(store, [OTHER, FOLDER], "b") as second:
            assert (first, second) == (True, False)
        assert list(store.objects) == [f"{FOLDER}/{CLAIM_NAME}"]
    assert not store.objects


async def test_a_resumed_run_finds_its_own_claim() -> None:
    store = MemoryStore()
    async with claimed(store, [FOLDER], "a"), claimed(store, [FOLDER], "a") as again:
        assert again


async def test_a_folder_that_is_published_is_taken() -> None:
    store = MemoryStore()
    await store.put(f"{FOLDER}/metadata.json", b"{}", content_type="x/x")
    async with claimed(store, [FOLDER], "a") as free:
        assert not free
    assert list(store.objects) == [f"{FOLDER}/metadata.json"]


async def test_of_many_at_once_exactly_one_wins() -> None:
    store = MemoryStore()
    won: list[str] = []

    async def race(name: str) -> None:
        async with claimed(store, [FOLDER], name) as free:
            won.extend([name] if free else [])
            await anyio.sleep(0.05)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(race, str(number))
    assert len(won) == 1


class _Quick(MemoryStore):
    """Its other owner publishes and lets go just before our claim is written."""

    async def put(self, key: str, body: bytes, **more: Any) -> ObjectInfo:
        if key.endswith(CLAIM_NAME):
            await super().put(f"{FOLDER}/metadata.json", b"{}", content_type="x/x")
        return await super().put(key, body, **more)


async def test_a_folder_that_is_published_while_it_is_claimed_is_taken() -> None:
    store = _Quick()
    async with claimed(store, [FOLDER], "a") as free:
        assert not free
    assert list(store.objects) == [f"{FOLDER}/metadata.json"]


async def test_a_resumed_run_claims_the_folder_that_it_left_half_published() -> None:
    store = MemoryStore()
    await store.put(f"{FOLDER}/debian12.xva", b"x", content_type="x/x")
    async with claimed(store, [FOLDER], "a", resumed=True) as free:
        assert free


async def test_a_resumed_run_leaves_the_claim_of_another() -> None:
    store = MemoryStore()
    async with claimed(store, [FOLDER], "b"), claimed(store, [FOLDER], "a", resumed=True) as free:
        assert not free
