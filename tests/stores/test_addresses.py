"""A store with an endpoint of its own is asked and signed for as with all of AWS's addresses."""

from __future__ import annotations

import re
from itertools import cycle
from typing import Any

import aioboto3
import pytest
from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from asyncpipe.model.store import Addressing, StoreOptions
from asyncpipe.stores.s3 import session

pytestmark = pytest.mark.anyio

REGIONS = ("", "us-east-1", "eu-west-1", "aws-global", "garage", "auto", "cn-north-1")
ENDPOINTS = (
    *("http://127.0.0.1:9", "https://s3.example.com", "https://s3.eu-west-1.amazonaws.com"),
    "https://account.r2.cloudflarestorage.com",
)
CASES = list(zip(REGIONS, cycle(ENDPOINTS), cycle(Addressing), strict=False))
_CHANGING = re.compile(r"X-Amz-(?:Date|Signature)=[^&]*|%2F\d{8}%2F")


async def signed(region: str, endpoint: str, addressing: Addressing) -> tuple[str, str, str]:
    environment = {"AWS_ACCESS_KEY_ID": "x" * 16, "AWS_SECRET_ACCESS_KEY": "y" * 30}
    environment |= {"AWS_ENDPOINT_URL_S3": endpoint, **({"AWS_REGION": region} if region else {})}
    options = StoreOptions(addressing=addressing)
    async with session.open_client(environment, options) as client:
        url = await client.raw.generate_presigned_url(
            "get_object", Params={"Bucket": "bucket", "Key": "a/b"}, ExpiresIn=60
        )
        return _CHANGING.sub("", url), client.raw.meta.region_name, client.endpoint


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_requests_are_those_that_all_addresses_would_give(
    monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    ours = [await signed(*case) for case in CASES]
    all_addresses: Any = Loader().load_data("endpoints")
    monkeypatch.setattr(session, "EndpointResolver", lambda _: EndpointResolver(all_addresses))
    theirs = [await signed(*case) for case in CASES]
    assert len({url for url, _, _ in ours}) == len(CASES)
    assert ours == theirs


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_requests_are_those_that_botocores_own_loader_and_sessions_give(
    monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    ours = [await signed(*case) for case in CASES[:3]]
    monkeypatch.setattr(session, "use_model_loader", lambda _: None)
    monkeypatch.setattr(session, "_Clients", aioboto3.Session)
    assert ours == [await signed(*case) for case in CASES[:3]]
