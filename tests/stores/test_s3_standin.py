"""The contract over the strict stand-in, in the manners of several servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import ClassVar

import pytest

from asyncpipe.model.store import ChecksumMode, StoreProfile
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.s3.session import S3Client
from tests.s3_standin.profiles import PROFILES
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.stores.contract import ObjectStoreContract
from tests.stores.shared_client import fresh_store, shared_client

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class OverTheStandIn(ObjectStoreContract):
    server_profile: ClassVar[str] = "strict"
    least_part_bytes: ClassVar[int] = 1  # S3 wants 5 MiB; small parts are quick
    store_profile: ClassVar[StoreProfile] = StoreProfile.AUTO
    checksum: ClassVar[ChecksumMode] = ChecksumMode.CRC64NVME_FULL

    @pytest.fixture(scope="class")
    @classmethod
    def standin(cls) -> Iterator[StandIn]:
        profile = replace(PROFILES[cls.server_profile], min_part_bytes=cls.least_part_bytes)
        with running_standin(profile=profile) as standin:
            yield standin

    @pytest.fixture
    def part_bytes(self) -> int:
        return max(self.least_part_bytes, 70_000)

    @pytest.fixture(scope="class")
    @classmethod
    async def client(cls, standin: StandIn) -> AsyncIterator[S3Client]:
        async with shared_client(standin.environment) as client:
            yield client

    @pytest.fixture
    async def store(self, standin: StandIn, client: S3Client) -> ObjectStore:
        return await fresh_store(client, standin.bucket, self.store_profile)

    async def test_the_probe_finds_the_strongest_checksum(self, store: ObjectStore) -> None:
        assert store.capabilities.checksum is self.checksum


class TestStrict(OverTheStandIn):
    least_part_bytes = 5 * 1024 * 1024


class TestStrictNamedAws(OverTheStandIn):
    store_profile = StoreProfile.AWS


class TestCeph(OverTheStandIn):
    server_profile = "ceph"
    checksum = ChecksumMode.CONTENT_MD5


class TestCephNamed(OverTheStandIn):
    server_profile = "ceph"
    store_profile = StoreProfile.CEPH
    checksum = ChecksumMode.CONTENT_MD5


class TestComposite(OverTheStandIn):
    server_profile = "composite"
    checksum = ChecksumMode.SHA256_COMPOSITE


class TestRandomEtags(OverTheStandIn):
    server_profile = "random-etags"


class TestShortPages(OverTheStandIn):
    server_profile = "short-pages"


class TestLittle(OverTheStandIn):
    server_profile = "little"
    checksum = ChecksumMode.NONE


class TestLittleNamedGeneric(OverTheStandIn):
    server_profile = "little"
    store_profile = StoreProfile.GENERIC
    checksum = ChecksumMode.NONE


class TestMinio(OverTheStandIn):
    server_profile = "minio"


class TestB2(OverTheStandIn):
    server_profile = "b2"
    checksum = ChecksumMode.CONTENT_MD5


class TestB2Named(OverTheStandIn):
    server_profile = "b2"
    store_profile = StoreProfile.B2
    checksum = ChecksumMode.CONTENT_MD5


class TestUnverifiedParts(OverTheStandIn):
    server_profile = "unverified-parts"
    checksum = ChecksumMode.ETAG_MD5


class TestFragile(OverTheStandIn):
    server_profile = "fragile"
    checksum = ChecksumMode.CONTENT_MD5
