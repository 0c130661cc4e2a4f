"""What the S3 store makes of a server that fails: each fault becomes one class of error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from awscrt.checksums import crc64nvme

from asyncpipe.adapters.s3 import S3Store
from asyncpipe.adapters.stores import open_store
from asyncpipe.errors import (
    AccessDeniedError,
    BucketMissingError,
    ChecksumError,
    ConflictError,
    CredentialsExpiredError,
    DestinationTakenError,
    SlowDownError,
    TransientStoreError,
    UploadError,
    UsageError,
)
from asyncpipe.model.store import (
    LockMode,
    PartDigests,
    ServerSideEncryption,
    StoredPart,
    StoreOptions,
    StoreProfile,
    UploadHandle,
    crc64nvme_base64,
)
from asyncpipe.ports import ObjectStore
from tests.s3_standin.faults import (
    answer_late,
    error_in_200,
    flip_byte,
    lose_answer,
    refuse,
    reset_body,
    stall_body,
)
from tests.s3_standin.profiles import PROFILES
from tests.s3_standin.server import StandIn, running_standin
from tests.stores.contract import LIMIT_S, TEXT, XVA, complete, digests_of, payload

pytestmark = pytest.mark.anyio
AWS = StoreOptions(profile=StoreProfile.AWS)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with running_standin(profile=replace(PROFILES["strict"], min_part_bytes=1)) as standin:
        yield standin


def opened(
    standin: StandIn,
    options: StoreOptions = AWS,
    environment: Mapping[str, str] | None = None,
) -> AbstractAsyncContextManager[ObjectStore]:
    return open_store(
        standin.destination,
        environment={**standin.environment, **(environment or {})},
        options=options,
    )


@pytest.fixture
async def store(standin: StandIn) -> AsyncIterator[ObjectStore]:
    async with opened(standin) as store:
        yield store


async def begun(store: ObjectStore) -> UploadHandle:
    return await store.create_upload("x.xva", content_type=XVA, metadata={"nonce": "n"})


async def one_part(
    store: ObjectStore, handle: UploadHandle, size_bytes: int = 200_000
) -> StoredPart:
    body = payload(size_bytes)
    return await store.upload_part(handle, 1, memoryview(body), digests_of(store, body))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SlowDown", SlowDownError),
        ("ServiceUnavailable", TransientStoreError),
        ("InternalError", TransientStoreError),
        ("RequestTimeout", TransientStoreError),
        ("BadDigest", ChecksumError),
        ("AccessDenied", AccessDeniedError),
        ("ExpiredToken", CredentialsExpiredError),
    ],
)
async def test_a_refused_part_is_told_by_class_after_one_attempt(
    standin: StandIn, store: ObjectStore, code: str, kind: type[UploadError]
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        standin.faults.add(refuse("UploadPart", code, times=9))
        with pytest.raises(kind) as caught:
            await one_part(store, handle)
    assert type(caught.value) is kind
    assert len(standin.seen("UploadPart")) == 1


async def test_small_calls_are_repeated_through_a_burst_of_503(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        await store.put("a", b"1", content_type=TEXT)
        standin.faults.add(refuse("HeadObject", "SlowDown", times=2))
        assert await store.head("a") is not None
    assert len(standin.seen("HeadObject")) == 3


async def test_a_reset_in_mid_part_is_transient_and_the_part_can_be_sent_again(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        standin.faults.add(reset_body(after_bytes=1_000_000))
        with pytest.raises(TransientStoreError):
            await one_part(store, handle, 8_000_000)
        part = await one_part(store, handle, 8_000_000)
        info = await complete(store, handle, [part], [payload(8_000_000)])
    assert info.size_bytes == 8_000_000


async def test_a_stalled_part_shows_no_progress_and_can_be_cancelled(
    standin: StandIn, store: ObjectStore
) -> None:
    body = payload(64_000_000)
    told: list[int] = []
    standin.faults.add(stall_body(60, after_bytes=100_000))
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        with anyio.move_on_after(1) as scope:
            await store.upload_part(
                handle, 1, memoryview(body), digests_of(store, body), progress=told.append
            )
    assert scope.cancelled_caught
    assert sum(told) < len(body)


async def test_a_lost_answer_of_complete_is_transient_and_the_object_tells_the_outcome(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        part = await one_part(store, handle)
        standin.faults.add(lose_answer("CompleteMultipartUpload"))
        with pytest.raises(TransientStoreError):
            await complete(store, handle, [part], [payload(200_000)], create_only=True)
        info = await store.head("x.xva")
    assert info is not None
    assert dict(info.metadata) == {"nonce": "n"}
    assert info.crc64nvme_base64 == crc64nvme_base64(crc64nvme(payload(200_000)))
    assert len(standin.seen("CompleteMultipartUpload")) == 1


@pytest.mark.parametrize("committed", [True, False])
async def test_an_error_inside_a_200_is_transient_and_not_repeated_here(
    standin: StandIn, store: ObjectStore, committed: bool
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        part = await one_part(store, handle)
        standin.faults.add(error_in_200(committed=committed, times=9))
        with pytest.raises(TransientStoreError, match="InternalError"):
            await complete(store, handle, [part], [payload(200_000)])
        assert (await store.head("x.xva") is not None) == committed
    assert len(standin.seen("CompleteMultipartUpload")) == 1


async def test_a_slow_complete_with_white_space_is_waited_for(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        part = await one_part(store, handle)
        standin.faults.add(answer_late("CompleteMultipartUpload", 0.5))
        info = await complete(store, handle, [part], [payload(200_000)])
    assert info.size_bytes == 200_000
    assert info.etag.endswith("-1")


async def test_a_complete_beyond_its_time_limit_is_transient(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        part = await one_part(store, handle)
        standin.faults.add(answer_late("CompleteMultipartUpload", 30))
        with pytest.raises(TransientStoreError, match="within"):
            await store.complete_upload(
                handle,
                [part],
                size_bytes=200_000,
                crc64nvme_base64=crc64nvme_base64(crc64nvme(payload(200_000))),
                create_only=True,
                timeout_s=0.3,
            )


async def test_a_conflict_of_a_conditional_complete_is_told_as_conflict(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        part = await one_part(store, handle)
        standin.faults.add(refuse("CompleteMultipartUpload", "ConditionalRequestConflict"))
        with pytest.raises(ConflictError):
            await complete(store, handle, [part], [payload(200_000)], create_only=True)


async def test_a_byte_that_rots_in_the_store_makes_complete_fail_and_nothing_is_visible(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        standin.faults.add(flip_byte(1))
        part = await one_part(store, handle)
        with pytest.raises(ChecksumError) as caught:
            await complete(store, handle, [part], [payload(200_000)])
        assert await store.head("x.xva") is None
    assert caught.value.exit_code == 41


async def test_a_create_whose_answer_was_lost_recognises_its_own_object(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        standin.faults.add(lose_answer("PutObject"))
        await store.put("m.json", b"{1}", content_type=TEXT, create_only=True)
        standin.faults.add(lose_answer("PutObject"))
        with pytest.raises(DestinationTakenError):
            await store.put("m.json", b"{2}", content_type=TEXT, create_only=True)
        assert (await store.get("m.json", max_bytes=9)).body == b"{1}"


async def test_a_part_goes_out_with_length_and_checksum_unsigned_and_unchunked(
    standin: StandIn, store: ObjectStore
) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        await one_part(store, handle)
    [seen] = standin.seen("UploadPart")
    assert seen.headers["content-length"] == "200000"
    assert seen.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert seen.headers["x-amz-checksum-crc64nvme"] == crc64nvme_base64(crc64nvme(payload(200_000)))
    assert "transfer-encoding" not in seen.headers
    assert "x-amz-trailer" not in seen.headers


async def test_a_part_that_is_empty_can_be_sent(standin: StandIn, store: ObjectStore) -> None:
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        part = await store.upload_part(handle, 1, memoryview(b""), PartDigests(crc64nvme=0))
    assert part.size_bytes == 0


# -- credentials, settings -----------------------------------------------------------------------


async def test_expired_credentials_are_renewed_from_the_profile_and_the_part_goes_out(
    standin: StandIn, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    _write_profile(file, standin.environment, token="old")
    environment = {
        "AWS_ENDPOINT_URL_S3": standin.endpoint_url,
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_PROFILE": "images",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    async with open_store(standin.destination, environment=environment, options=AWS) as store:
        with anyio.fail_after(LIMIT_S):
            handle = await begun(store)
            _write_profile(file, standin.environment, token="new")
            standin.faults.add(refuse("UploadPart", "ExpiredToken"))
            await one_part(store, handle)
            _write_profile(file, standin.environment, token="newer")
            standin.faults.add(refuse("HeadObject", "ExpiredToken"))  # a HEAD cannot say why
            assert await store.head("x.xva") is None
    tokens = [seen.headers["x-amz-security-token"] for seen in standin.seen("UploadPart")]
    assert tokens == ["old", "new"]


def _write_profile(file: Path, environment: Mapping[str, str], *, token: str) -> None:
    file.write_text(
        "[images]\n"
        f"aws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
        f"aws_session_token = {token}\n"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [("AWS_SECRET_ACCESS_KEY", "not-the-secret"), ("AWS_ACCESS_KEY_ID", "not-the-key")],
)
async def test_wrong_keys_are_access_denied_without_repeating_the_secret(
    standin: StandIn, variable: str, value: str
) -> None:
    async with opened(standin, environment={variable: value}) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(AccessDeniedError) as caught:
            await store.probe()
    assert caught.value.exit_code == 42
    assert value not in str(caught.value)


async def test_no_credentials_are_told_before_anything_is_sent(standin: StandIn) -> None:
    environment = {
        "AWS_ENDPOINT_URL_S3": standin.endpoint_url,
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with anyio.fail_after(LIMIT_S), pytest.raises(UsageError, match="no S3 credentials"):
        async with open_store(standin.destination, environment=environment):
            pytest.fail("a store without credentials was opened")
    assert standin.requests == []


async def test_a_missing_bucket_is_told_as_such(standin: StandIn) -> None:
    async with open_store("s3://no-such-bucket/p", environment=standin.environment) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(BucketMissingError) as caught:
            await store.probe()
    assert caught.value.exit_code == 2


async def test_a_wrong_clock_is_named_in_the_hint(standin: StandIn, store: ObjectStore) -> None:
    standin.faults.add(refuse("PutObject", "RequestTimeTooSkewed", times=9))
    with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
        await store.probe()
    assert "clock" in caught.value.hint
    assert not isinstance(caught.value, AccessDeniedError)


async def test_an_endpoint_that_nobody_listens_on_is_transient(standin: StandIn) -> None:
    async with opened(standin, environment={"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(TransientStoreError, match="connection"):
            await store.probe()


@pytest.mark.parametrize("endpoint", ["not a url", "127.0.0.1:9000"])
async def test_an_endpoint_that_is_no_url_is_a_usage_error(standin: StandIn, endpoint: str) -> None:
    with anyio.fail_after(LIMIT_S), pytest.raises(UsageError):
        async with opened(standin, environment={"AWS_ENDPOINT_URL_S3": endpoint}):
            pytest.fail("a store without an endpoint was opened")


@pytest.mark.parametrize(
    "url",
    [
        *["", "ftp://x/y", "s3://", "s3://a", "s3:///key", "s3://bu cket/x", "s3://bucket/../x"],
        *["file://host/x", "file:relative", "file:///x?query", "https://bucket.s3.example/"],
    ],
)
async def test_a_destination_of_another_kind_is_a_usage_error(url: str) -> None:
    with anyio.fail_after(LIMIT_S), pytest.raises(UsageError) as caught:
        async with open_store(url, environment={}):
            pytest.fail("opened")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("form", ["file://{}", "{}"])
async def test_a_folder_is_opened_by_url_and_by_path(tmp_path: Path, form: str) -> None:
    with anyio.fail_after(LIMIT_S):
        async with open_store(form.format(tmp_path / "a b"), environment={}) as store:
            await store.put("x", b"1", content_type=TEXT)
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"


async def test_a_profile_that_claims_too_much_is_refused_not_downgraded() -> None:
    with running_standin(profile="little") as standin:
        async with opened(standin) as store:
            with anyio.fail_after(LIMIT_S), pytest.raises(UploadError, match="profile aws"):
                await store.probe()


async def test_encryption_class_tags_and_lock_go_with_the_image(standin: StandIn) -> None:
    options = StoreOptions(
        profile=StoreProfile.AWS,
        sse=ServerSideEncryption.KMS,
        kms_key_id="key-1",
        storage_class="STANDARD_IA",
        tags={"team": "a b"},
        lock_mode=LockMode.GOVERNANCE,
        lock_until_utc="2030-01-01T00:00:00+00:00",
    )
    async with opened(standin, options) as store:
        with anyio.fail_after(LIMIT_S):
            await begun(store)
            await store.put("latest.json", b"{}", content_type=TEXT)
    [image] = standin.seen("CreateMultipartUpload")
    [pointer] = standin.seen("PutObject")
    for seen in (image, pointer):
        assert seen.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert seen.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"
        assert seen.headers["x-amz-tagging"] == "team=a+b"
    assert image.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert image.headers["x-amz-object-lock-mode"] == "GOVERNANCE"
    assert "x-amz-storage-class" not in pointer.headers
    assert "x-amz-object-lock-mode" not in pointer.headers


async def test_the_limit_of_parts_set_by_hand_is_told(standin: StandIn) -> None:
    async with opened(standin, replace(AWS, max_parts=1000)) as store:
        assert store.capabilities.max_parts == 1000


async def test_text_of_the_store_is_bounded_and_printable(standin: StandIn) -> None:
    async with opened(standin) as store:
        with anyio.fail_after(LIMIT_S):
            handle = await begun(store)
            with pytest.raises(UploadError) as caught:
                await store.list_parts(replace(handle, upload_id="\x1b[31m" + "x" * 5000))
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


LIFECYCLE = b"""<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>
<Filter><Prefix>%s</Prefix></Filter><AbortIncompleteMultipartUpload>
<DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>
</Rule></LifecycleConfiguration>"""


@pytest.mark.parametrize(("prefix", "days"), [(b"", 7), (b"p/", 7), (b"other/", None)])
async def test_the_lifecycle_rule_counts_when_it_covers_the_prefix(
    standin: StandIn, prefix: bytes, days: int | None
) -> None:
    async with opened(standin) as store:
        assert isinstance(store, S3Store)
        with anyio.fail_after(LIMIT_S):
            assert await store.abort_rule_days() is None
            standin.operations.lifecycle = LIFECYCLE % prefix
            assert await store.abort_rule_days() == days


async def test_lifecycle_rules_that_may_not_be_read_are_told(standin: StandIn) -> None:
    standin.faults.add(refuse("GetBucketLifecycleConfiguration", "AccessDenied"))
    async with opened(standin) as store:
        assert isinstance(store, S3Store)
        with anyio.fail_after(LIMIT_S), pytest.raises(AccessDeniedError):
            await store.abort_rule_days()
