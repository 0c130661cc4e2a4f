"""Parts after the first, and the list of parts, skip botocore's pipeline: the same is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import botocore.auth
import botocore.crt.auth
import pytest
from aiobotocore.awsrequest import AioAWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from asyncpipe.errors import (
    AccessDeniedError,
    ChecksumError,
    SlowDownError,
    TransientStoreError,
    UploadError,
)
from asyncpipe.model.store import (
    Addressing,
    ChecksumMode,
    LockMode,
    ServerSideEncryption,
    StoredPart,
    StoreOptions,
    StoreProfile,
)
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.s3.requests import complete_body, completed_part
from asyncpipe.stores.s3.session import S3Client, open_client
from asyncpipe.stores.s3.wire.body import PartBody
from asyncpipe.stores.s3.wire.exchange import exchanging, join_calls
from asyncpipe.stores.s3.wire.signed_again import SignedAgain
from tests.s3_standin.faults import Kind, Rule, refuse, reset_body
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import (
    AWS,
    LIMIT_S,
    XVA,
    begun,
    complete,
    digests_of,
    opened,
    payload,
    send,
)

pytestmark = pytest.mark.anyio

BODIES = [payload(150_000, seed) for seed in range(5)]
NOT_SIGNED = {"amz-sdk-invocation-id", "amz-sdk-request"}  # for the statistics of AWS
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x" * 16, "AWS_SECRET_ACCESS_KEY": "y" * 30}
DIGESTS: dict[str, dict[str, Any]] = {
    "crc": {"ChecksumCRC64NVME": "AAAAAAAAAAA="},
    "sha256": {"ChecksumSHA256": "A" * 43 + "="},
    "md5": {"ContentMD5": "A" * 22 + "=="},
    "none": {},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures of the same request are the same."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: moment)
    monkeypatch.setattr(botocore.crt.auth, "get_current_datetime", lambda **_: moment)


class Recorder:
    """An HTTP session that sends nothing and answers everything alike."""

    def __init__(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        self.sent: list[Any] = []
        self.status, self.body = status, body
        self.headers = {"etag": '"e"', "x-amz-checksum-crc64nvme": "c", **headers}

    async def send(self, request: Any) -> AioAWSResponse:
        self.sent.append(request)
        return AioAWSResponse(request.url, self.status, HTTPHeaders.from_dict(self.headers), self)

    async def read(self) -> bytes:
        return self.body

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


@asynccontextmanager
async def recorded(
    recorder: Recorder, environment: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[S3Client]:
    """A client whose requests end in ``recorder``."""
    variables = {**CREDENTIALS, "AWS_CONFIG_FILE": "/nonexistent", **(environment or {})}
    async with open_client(variables, StoreOptions(**options)) as client:
        endpoint = client.raw._endpoint
        session, endpoint.http_session = endpoint.http_session, recorder
        try:
            yield client
        finally:
            endpoint.http_session = session


def part(number: int, **more: Any) -> dict[str, Any]:
    address = {"Bucket": "bucket", "Key": "a b+c%2B ü~?partNumber=7&x.xva", "UploadId": "u/+=&"}
    return {**address, "PartNumber": number, "Body": PartBody(memoryview(b"b" * number)), **more}


def as_sent(request: Any) -> dict[str, Any]:
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
        if name.lower() not in NOT_SIGNED
    }
    headers["user-agent"] = "".join(sorted(headers["user-agent"]))  # botocore lists from a set
    whole = {"method": request.method, "url": request.url, "streams": request.stream_output}
    return {**whole, "size": len(request.body), **headers}


@pytest.mark.usefixtures("one_moment")
@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, {}),
        ({"AWS_ENDPOINT_URL_S3": "https://s3.example.com:8443"}, {}),
        ({"AWS_ENDPOINT_URL_S3": "https://s3.example.com"}, {"addressing": Addressing.VIRTUAL}),
        ({"AWS_SESSION_TOKEN": "the-token", "AWS_REGION": "eu-west-1"}, {}),
    ],
    ids=["path", "tls", "virtual", "aws-with-token"],
)
async def test_a_part_is_sent_with_the_url_and_headers_that_botocore_gives_it(
    environment: Mapping[str, str], options: dict[str, Any]
) -> None:
    """Even with headers that an upload of ours does not have yet."""
    recorder = Recorder()

    def add(params: dict[str, Any], **_: Any) -> None:
        customer = {f"x-amz-server-side-encryption-customer-{name}": "v" for name in ("key", "x")}
        params["headers"] |= {**customer, "x-amz-request-payer": "requester", "X-Own": "o"}

    async with recorded(recorder, environment, **options) as client:
        client.raw.meta.events.register_last("before-call.s3", add)
        again = SignedAgain(client)
        built: list[str] = []
        client.raw.meta.events.register_last("request-created", lambda **_: built.append("one"))
        first = part(1, **DIGESTS["md5"])
        await again.act("upload_part", first)(**first)
        for digest in DIGESTS.values():
            arguments = part(23, **digest)
            answer = await again.act("upload_part", arguments)(**arguments)
            assert answer["ETag"] == '"e"'
            assert answer["ChecksumCRC64NVME"] == "c"
        assert built == ["one"]
        for digest in DIGESTS.values():
            await client.raw.upload_part(**part(23, **digest))
    sent = [as_sent(request) for request in recorder.sent]
    ours, theirs = sent[1 : 1 + len(DIGESTS)], sent[1 + len(DIGESTS) :]
    assert ours == theirs
    assert len({request["authorization"] for request in sent}) == 1 + len(DIGESTS)
    assert {request["x-amz-content-sha256"] for request in sent} == {"UNSIGNED-PAYLOAD"}
    assert {request["x-own"] for request in sent} == {"o"}


@pytest.mark.usefixtures("one_moment")
async def test_complete_is_sent_as_botocore_sends_it() -> None:
    etags = ("0" * 32, "<&>\"'; ü\u2028 ]]>", "", 'a"b')
    parts = [
        StoredPart(
            number=number, size_bytes=1, etag=etag, crc64nvme_base64="c<", sha256_base64="s&+/="
        )
        for number, etag in enumerate(etags, 1)
    ]
    upload: dict[str, Any] = {"Bucket": "bucket", "Key": "a b", "UploadId": "u/+="}
    upload |= {"MpuObjectSize": 5, "IfNoneMatch": "*"}
    recorder = Recorder(body=b"<CompleteMultipartUploadResult/>")
    async with recorded(recorder) as client:
        join_calls(client.raw)
        for mode in ChecksumMode:
            with exchanging(body=complete_body(parts, mode)):
                await client.raw.complete_multipart_upload(**upload)
            listed = {"Parts": [completed_part(part, mode) for part in parts]}
            await client.raw.complete_multipart_upload(**upload, MultipartUpload=listed)
    ours, theirs = recorder.sent[::2], recorder.sent[1::2]
    assert [request.body for request in ours] == [request.body for request in theirs]
    assert [as_sent(request) for request in ours] == [as_sent(request) for request in theirs]
    assert b"&lt;&amp;" in ours[0].body


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<Error><Code>InternalError</Code></Error>", "InternalError"),
        (503, b"<Error><Code>SlowDown</Code></Error>", "SlowDown"),
        (301, b"<Error><Code>PermanentRedirect</Code></Error>", "PermanentRedirect"),
        (502, b"<html>", "502"),
    ],
)
async def test_an_answer_that_is_no_plain_success_is_explained_by_botocore_and_not_asked_again(
    status: int, body: bytes, code: str
) -> None:
    recorder = Recorder()
    async with recorded(recorder, {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}) as client:
        again = SignedAgain(client)
        arguments = part(1)
        await again.act("upload_part", arguments)(**arguments)
        recorder.status, recorder.body = status, body
        arguments = part(2)
        with pytest.raises(ClientError) as caught:
            await again.act("upload_part", arguments)(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    assert len(recorder.sent) == 2


async def test_an_argument_that_is_not_understood_is_left_to_botocore() -> None:
    recorder = Recorder()
    async with recorded(recorder, {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}) as client:
        again = SignedAgain(client)
        for more in ({}, {"ExpectedBucketOwner": "123456789012"}):
            arguments = part(2, **more)
            await again.act("upload_part", arguments)(**arguments)
    names = [{name.lower() for name in request.headers} for request in recorder.sent]
    assert ["x-amz-expected-bucket-owner" in one for one in names] == [False, True]


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "AWS4-ECDSA-P256-SHA256 Credential=x"},
        {"Authorization": "AWS x:y"},
        {"Transfer-Encoding": "chunked"},
    ],
)
async def test_what_is_signed_or_encoded_in_another_way_is_left_to_botocore(
    header: dict[str, str],
) -> None:
    recorder = Recorder()
    async with recorded(recorder) as client:
        again = SignedAgain(client)
        built: list[str] = []

        def change(request: Any, **_: Any) -> None:
            built.append("one")
            for name, value in header.items():
                if name in request.headers:
                    del request.headers[name]
                request.headers[name] = value

        client.raw.meta.events.register_first("before-send.s3", change)
        for number in (1, 2):
            arguments = part(number)
            await again.act("upload_part", arguments)(**arguments)
    assert built == ["one", "one"]


# -- over the strict stand-in, which checks every signature, digest and condition ------------------


@pytest.fixture
def botocore_asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the parts that botocore built."""
    asked: list[str] = []
    learn = SignedAgain._learn

    def counted(self: SignedAgain, about: tuple[str, str, str], request: object) -> None:
        asked.append(about[1])
        learn(self, about, request)

    monkeypatch.setattr(SignedAgain, "_learn", counted)
    return asked


@pytest.mark.parametrize(
    "options",
    [
        AWS,
        StoreOptions(profile=StoreProfile.B2),
        StoreOptions(
            profile=StoreProfile.AWS,
            sse=ServerSideEncryption.KMS,
            kms_key_id="the-key",
            lock_mode=LockMode.GOVERNANCE,
            lock_until_utc="2036-01-01T00:00:00Z",
        ),
    ],
    ids=["crc", "md5", "encrypted-and-locked"],
)
async def test_only_the_first_part_costs_a_call_of_botocore(
    standin: StandIn, botocore_asked: list[str], options: StoreOptions
) -> None:
    environment = {"AWS_SESSION_TOKEN": "the-token"}
    with anyio.fail_after(LIMIT_S):
        async with opened(standin, options, environment) as store:
            handle = await store.create_upload("a ü+.xva", content_type=XVA, metadata={})
            parts = await send(store, handle, BODIES)
            info = await complete(store, handle, parts, BODIES)
    assert info.size_bytes == sum(len(body) for body in BODIES)
    assert standin.read("p/a ü+.xva") == b"".join(BODIES)
    assert botocore_asked == ["p/a ü+.xva"]
    sent = standin.seen("UploadPart")
    assert [request.part_number for request in sent] == [1, 2, 3, 4, 5]
    assert {request.headers["x-amz-security-token"] for request in sent} == {"the-token"}
    assert {request.headers.get("expect") for request in sent} == {"100-continue"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SlowDown", SlowDownError),
        ("InternalError", TransientStoreError),
        ("BadDigest", ChecksumError),
        ("AccessDenied", AccessDeniedError),
    ],
)
async def test_a_later_part_that_is_refused_is_told_by_class_after_one_attempt(
    standin: StandIn, store: ObjectStore, code: str, kind: type[UploadError]
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        await send(store, handle, BODIES[:2])
        standin.faults.add(refuse("UploadPart", code))
        with pytest.raises(kind) as caught:
            await send(store, handle, BODIES[:1])
        assert type(caught.value) is kind
        assert len(standin.seen("UploadPart")) == 3
        await complete(store, handle, await send(store, handle, BODIES), BODIES)


@pytest.mark.parametrize(
    "rule",
    [reset_body(after_bytes=100_000), Rule(kind=Kind.LOST_ANSWER, operation="UploadPart")],
    ids=["reset", "lost-answer"],
)
async def test_a_later_part_that_is_cut_is_transient_and_can_be_sent_again(
    standin: StandIn, store: ObjectStore, rule: Rule
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        await send(store, handle, BODIES)
        standin.faults.add(rule)
        with pytest.raises(TransientStoreError):
            await send(store, handle, BODIES[:1])
        await complete(store, handle, await send(store, handle, BODIES), BODIES)
    assert rule.times == 0, "the fault was met"
    assert standin.read("p/x.xva") == b"".join(BODIES)


async def test_a_later_part_whose_digest_is_wrong_is_refused_by_the_store(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        await send(store, handle, BODIES[:2])
        with pytest.raises(ChecksumError):
            await store.upload_part(
                handle, 3, memoryview(BODIES[2]), digests_of(store, BODIES[2], flip=1)
            )
    assert [request.status for request in standin.seen("UploadPart")] == [200, 200, 400]


async def test_parts_of_two_uploads_of_one_key_are_not_mixed_up(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        first, second = await begun(store), await begun(store)
        for handle in (first, second, first, second):
            await send(store, handle, BODIES[:3])
    assert {len(standin.parts(handle.upload_id)) for handle in (first, second)} == {3}
