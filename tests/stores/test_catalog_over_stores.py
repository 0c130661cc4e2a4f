"""The catalogue over each kind of store: writers at once, marks, repair, pruning."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.model import store_keys
from asyncpipe.model.documents.release import End, Revocation
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.stores.open import open_store
from tests.catalog.published import put_version
from tests.stores.real_servers import RealServer
from tests.stores.small_servers import running_small

pytestmark = pytest.mark.anyio
PAST = "2026-11-24T10:00:00Z"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def stamp(number: int) -> str:
    return f"202611{number // 24 + 1:02}T{number % 24:02}0000Z"


async def live(store: ObjectStore, writers: int, each: int) -> None:
    """Publish from many writers at once, take back, repair and prune: as documented."""

    async def publish(writer: int) -> None:
        for number in range(each):
            entry = await put_version(store, stamp(number * writers + writer))
            await catalog.move_pointer(store, entry)

    with anyio.fail_after(300):
        async with anyio.create_task_group() as tasks:
            for writer in range(writers):
                tasks.start_soon(publish, writer)
    versions = (await catalog.list_versions(store)).versions
    assert [one.timestamp for one in versions] == [
        stamp(number) for number in reversed(range(writers * each))
    ]
    newest, second, third = versions[:3]
    assert await catalog.latest(store, "debian12") == newest
    await catalog.revoke(store, newest, Revocation(reason="x", by="ann", revoked_utc=PAST))
    await catalog.set_end(store, second, End(expires_utc=PAST, by="ann", reason="", set_utc=PAST))
    assert await catalog.resolve(store, "debian12") == third
    await store.delete(store_keys.latest_key("debian12"))
    await store.delete(store_keys.INDEX_KEY)
    repaired = await catalog.repair(store)
    assert repaired.listing.versions == versions
    assert await catalog.latest(store, "debian12") == third
    await catalog.prune(store, await catalog.plan_pruning(store, keep=1))
    assert (await catalog.list_versions(store)).versions == (third,)
    assert (await catalog.rebuild_index(store)).versions == (third,)


async def test_the_catalogue_in_a_folder(tmp_path: Path) -> None:
    await live(DirectoryStore(tmp_path / "published"), writers=4, each=1)


async def test_the_catalogue_over_a_strict_s3_server(store: ObjectStore) -> None:
    await live(store, writers=4, each=1)


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with running_small("minio", tmp_path_factory.mktemp("minio")) as both:
        yield both[0]


@pytest.fixture
async def over_minio(minio: RealServer) -> AsyncIterator[ObjectStore]:
    url = f"s3://{minio.bucket}/{secrets.token_hex(4)}/"
    async with open_store(url, environment=minio.environment) as store:
        await store.probe()
        yield store


@pytest.mark.heavy
@pytest.mark.timeout(600)
async def test_twenty_writers_at_once_over_minio_lose_nothing(over_minio: ObjectStore) -> None:
    await live(over_minio, writers=20, each=5)
