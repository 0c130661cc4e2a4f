"""Where a store proves nothing, its object is read back before anything points to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import ChecksumError
from asyncpipe.model.store import StoreOptions
from asyncpipe.model.transfer import PublishedObject, Target, TransferOptions, Verify
from asyncpipe.stores.open import open_store
from tests.s3_standin.faults import Kind, Rule, flip_byte
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.upload.helpers import MIB, published, some_bytes, written

pytestmark = pytest.mark.anyio

KEY = "templates/debian12/20261101T000000Z/debian12.xva"
LARGE = some_bytes(11 * MIB + 7)
SMALL = some_bytes(MIB)
OPTIONS = TransferOptions(part_size_bytes=5 * MIB)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["little", "unverified-parts"])
def unproven(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    """A server that stores whatever arrives."""
    with running_standin(profile=request.param) as standin:
        yield standin


async def upload(
    standin: StandIn, folder: Path, body: bytes = LARGE, verify: Verify = Verify.AUTO
) -> PublishedObject:
    path = written(folder / "image.xva", body)
    target = Target(key=KEY, content_type="application/octet-stream")
    options = replace(OPTIONS, verify=verify)
    with anyio.fail_after(60):
        async with open_store(
            standin.destination, environment=standin.environment, options=StoreOptions()
        ) as store:
            await store.probe()
            return await published(store, target, path, options)


@pytest.mark.parametrize("body", [LARGE, SMALL], ids=["parts", "one-put"])
async def test_an_object_that_nobody_proved_is_read_back(
    unproven: StandIn, tmp_path: Path, body: bytes
) -> None:
    result = await upload(unproven, tmp_path, body)
    assert "read-back" in result.checks
    assert len(unproven.seen("GetObject")) == 1
    assert unproven.read(f"p/{KEY}") == body


async def test_bytes_that_changed_at_the_store_are_noticed_and_removed(
    unproven: StandIn, tmp_path: Path
) -> None:
    unproven.faults.add(flip_byte(2))
    with pytest.raises(ChecksumError, match="read back, its CRC64NVME") as caught:
        await upload(unproven, tmp_path)
    assert caught.value.exit_code == 41
    assert f"p/{KEY}" not in unproven.objects()


async def test_what_was_not_verified_is_not_claimed(unproven: StandIn, tmp_path: Path) -> None:
    unproven.faults.add(flip_byte(2))
    result = await upload(unproven, tmp_path, verify=Verify.STORE)
    assert not {"read-back", "crc64nvme", "sha256-parts", "crc64nvme-parts"} & set(result.checks)


async def test_a_store_that_proves_is_read_back_when_that_is_asked_for(tmp_path: Path) -> None:
    with running_standin() as standin:
        assert "read-back" not in (await upload(standin, tmp_path)).checks
        standin.storage.delete("bucket", f"p/{KEY}")
        result = await upload(standin, tmp_path, verify=Verify.READ_BACK)
    assert {"read-back", "crc64nvme"} <= set(result.checks)


async def test_reading_back_goes_on_where_a_connection_was_lost(
    unproven: StandIn, tmp_path: Path
) -> None:
    cut = Rule(kind=Kind.CUT_ANSWER, operation="GetObject", after_bytes=4 * MIB, times=2)
    unproven.faults.add(cut)
    result = await upload(unproven, tmp_path)
    assert "read-back" in result.checks
    assert len(unproven.seen("GetObject")) == 3
