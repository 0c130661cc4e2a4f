"""The contract over moto: plumbing only, since moto compares no checksum and no size."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from botocore.session import Session
from moto.server import ThreadedMotoServer

from asyncpipe.errors import TransientStoreError
from asyncpipe.model.store import StoreProfile
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.s3.session import S3Client
from tests.stores.contract import ObjectStoreContract
from tests.stores.shared_client import fresh_store, shared_client

pytestmark = pytest.mark.anyio
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def bucket(endpoint_url: str) -> str:
    name = f"bucket-{secrets.token_hex(4)}"
    client: Any = Session().create_client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=name)
    client.close()
    return name


class TestS3OverMoto(ObjectStoreContract):
    work_on_an_aborted_upload = (TransientStoreError,)  # moto answers with status 500

    @pytest.fixture(scope="class")
    @classmethod
    async def client(cls, endpoint_url: str) -> AsyncIterator[S3Client]:
        async with shared_client({**ENVIRONMENT, "AWS_ENDPOINT_URL_S3": endpoint_url}) as client:
            yield client

    @pytest.fixture
    async def store(self, bucket: str, client: S3Client) -> ObjectStore:
        return await fresh_store(client, bucket, StoreProfile.AUTO)
