"""Bytes flipped on the way to real servers: no server publishes them, 100 of 100 on each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import UploadError
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.retry import RetryPolicy
from asyncpipe.stores.open import open_store
from tests.stores.flipping import Flips, flipping
from tests.stores.real_servers import RealServer, running_ceph, running_swift
from tests.stores.small_servers import SMALL, running_small
from tests.upload.helpers import MIB, published, some_bytes, written

pytestmark = [pytest.mark.anyio, pytest.mark.heavy, pytest.mark.timeout(1200)]

LIMIT_S = 120
QUICK = RetryPolicy(attempts=6, base_s=0.05, cap_s=1.0)
OPTIONS = TransferOptions(part_size_bytes=5 * MIB, retry=QUICK)
LARGE = some_bytes(5 * MIB + 1000)
SMALL_BODY = some_bytes(100_000)
FLIPPED = 50  # uploads of each kind, on each server
LARGE_SERVERS = {"swift": running_swift, "ceph": running_ceph}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=[*SMALL, *LARGE_SERVERS])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in LARGE_SERVERS:
        with LARGE_SERVERS[request.param](folder) as server:
            yield server
    else:
        with running_small(request.param, folder) as (server, _):
            yield server


@pytest.mark.parametrize(
    ("body", "of"), [(LARGE, b"partNumber="), (SMALL_BODY, b"x.xva")], ids=["parts", "one-put"]
)
async def test_bytes_that_are_flipped_on_the_wire_are_never_published(
    server: RealServer, tmp_path: Path, body: bytes, of: bytes
) -> None:
    destination = f"s3://{server.bucket}/{secrets.token_hex(4)}"
    path = written(tmp_path / "image.xva", body)
    flips = Flips(of)
    with flipping(server.environment["AWS_ENDPOINT_URL_S3"], flips) as through:
        bad = {**server.environment, "AWS_ENDPOINT_URL_S3": through}
        async with (
            open_store(destination, environment=server.environment) as direct,
            open_store(destination, environment=bad) as store,
        ):
            await direct.probe()
            store._record = direct._record  # type: ignore[attr-defined]  # the line spoils uploads alone
            for number in range(FLIPPED):
                key, before = f"i/{number}/x.xva", flips.count
                target = Target(key=key, content_type="application/octet-stream")
                with anyio.fail_after(LIMIT_S), pytest.raises(UploadError):
                    await published(store, target, path, OPTIONS)
                assert flips.count > before
                assert await direct.head(key) is None
