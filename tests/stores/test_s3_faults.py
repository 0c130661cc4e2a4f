"""What the S3 store makes of a server that fails: each fault becomes one class of error."""

from __future__ import annotations

import anyio
import pytest
from awscrt.checksums import crc64nvme

from asyncpipe.errors import (
    AccessDeniedError,
    ChecksumError,
    ConflictError,
    CredentialsExpiredError,
    DestinationTakenError,
    SlowDownError,
    TransientStoreError,
    UploadError,
)
from asyncpipe.model.store import PartDigests, crc64nvme_base64
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
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import LIMIT_S, TEXT, begun, complete, digests_of, one_part, payload

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
