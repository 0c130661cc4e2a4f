"""What credentials, destinations and options make of the S3 store, before and while it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import (
    AccessDeniedError,
    BucketMissingError,
    TransientStoreError,
    UploadError,
    UsageError,
)
from asyncpipe.model.store import LockMode, ServerSideEncryption, StoreOptions, StoreProfile
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3.store import S3Store
from tests.s3_standin.faults import refuse
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import AWS, LIMIT_S, TEXT, begun, one_part, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
