"""The contract over real servers; what they honour is written down in docs/stores.md."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import pytest

from asyncpipe.errors import TransientStoreError, UploadMissingError
from asyncpipe.model.store import ChecksumMode, StoreCapabilities, StoreOptions, StoreProfile
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from tests.stores.contract import ObjectStoreContract
from tests.stores.real_servers import RealServer, running_ceph, running_swift

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]
# Complete of an upload that is gone: "This multipart completion is already in progress"
CEPH_COMPLETES_NOTHING_AS_500 = (UploadMissingError, TransientStoreError)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with running_swift(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(scope="module")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with running_ceph(tmp_path_factory.mktemp("ceph")) as server:
        yield server


class OverARealServer(ObjectStoreContract):
    store_profile: ClassVar[StoreProfile] = StoreProfile.AUTO
    honoured: ClassVar[StoreCapabilities]

    @pytest.fixture
    async def store(self, server: RealServer) -> AsyncIterator[ObjectStore]:
        async with open_store(
            f"s3://{server.bucket}/{secrets.token_hex(4)}/p",
            environment=server.environment,
            options=StoreOptions(profile=self.store_profile),
        ) as store:
            await store.probe()
            yield store

    async def test_the_probe_finds_what_the_documentation_says(self, store: ObjectStore) -> None:
        assert store.capabilities == self.honoured


class TestSwift(OverARealServer):
    honoured = StoreCapabilities(
        profile="auto",
        checksum=ChecksumMode.SHA256_COMPOSITE,
        conditional_put=True,
        conditional_complete=True,
        compare_and_swap=False,
        object_size_checked=False,
        comparable_etag=True,
    )

    @pytest.fixture
    def server(self, swift: RealServer) -> RealServer:
        return swift


class TestCeph(OverARealServer):
    work_on_an_aborted_upload = CEPH_COMPLETES_NOTHING_AS_500
    honoured = StoreCapabilities(
        profile="auto",
        checksum=ChecksumMode.CONTENT_MD5,
        conditional_put=True,
        conditional_complete=False,
        compare_and_swap=True,
        object_size_checked=False,
        comparable_etag=True,
    )

    @pytest.fixture
    def server(self, ceph: RealServer) -> RealServer:
        return ceph


class TestCephNamed(OverARealServer):
    work_on_an_aborted_upload = CEPH_COMPLETES_NOTHING_AS_500
    store_profile = StoreProfile.CEPH
    honoured = StoreCapabilities(
        profile="ceph",
        checksum=ChecksumMode.CONTENT_MD5,
        conditional_put=True,
        conditional_complete=False,
        compare_and_swap=True,
        object_size_checked=False,
        comparable_etag=True,
    )

    @pytest.fixture
    def server(self, ceph: RealServer) -> RealServer:
        return ceph
