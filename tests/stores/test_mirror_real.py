"""A mirror over real S3 servers: disk -> bucket -> another prefix -> disk, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncpipe.catalog.mirror.passing import Mirrored, mirror
from asyncpipe.catalog.mirror.selection import Wanted
from asyncpipe.catalog.mirror.uploads import Way
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.stores.open import open_store
from tests.catalog.published import NEW, OLD
from tests.catalog.test_mirror_command import LARGE, MIB, SMALL_PARTS, contents, publish
from tests.stores.small_servers import running_small

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("name", ["minio", "versitygw", "rclone"])
async def test_a_mirror_over_a_real_server_ends_equal(name: str, tmp_path: Path) -> None:
    passes: list[Mirrored] = []
    await publish(tmp_path / "published", OLD, b"old")
    await publish(tmp_path / "published", NEW, LARGE)
    (tmp_path / "server").mkdir()
    with running_small(name, tmp_path / "server") as (server, _):
        urls = [f"s3://{server.bucket}/{prefix}" for prefix in ("one", "two")]
        async with (
            open_store(urls[0], environment=server.environment) as first,
            open_store(urls[1], environment=server.environment) as second,
        ):
            disks = [DirectoryStore(tmp_path / part) for part in ("published", "copy")]
            for source, target in (
                (disks[0], first),
                (first, second),
                (second, disks[1]),
                (first, second),
            ):
                await target.probe()
                way = Way(
                    source=source,
                    target=target,
                    options=SMALL_PARTS,
                    copied_part_bytes=5 * MIB,
                )
                passes.append(await mirror(way, Wanted()))
    assert passes[-1].objects == 0
    assert contents(tmp_path / "copy") == contents(tmp_path / "published")
