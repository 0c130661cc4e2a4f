"""Manners that real servers and proxies were seen to have: used all the same, or named rightly."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio import to_thread

from asyncpipe.errors import (
    ChecksumError,
    DestinationTakenError,
    NotSupportedError,
    TransientStoreError,
    UploadError,
    UsageError,
)
from asyncpipe.model.store import ChecksumMode, StoreOptions, StoreProfile
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3.store import S3Store
from tests.s3_standin.faults import answer_late, lose_answer
from tests.s3_standin.profiles import PROFILES, Profile
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import AWS, LIMIT_S, TEXT, begun, digests_of, one_part, opened, payload

pytestmark = pytest.mark.anyio

AUTO = StoreOptions()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.contextmanager
def with_manners(name: str = "strict", **manners: object) -> Iterator[StandIn]:
    profile: Profile = replace(PROFILES[name], **{"min_part_bytes": 1, **manners})  # type: ignore[arg-type]
    with running_standin(profile=profile) as standin:
        yield standin


# -- the probe ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "checksum"),
    [
        ("strict", ChecksumMode.CRC64NVME_FULL),
        ("minio", ChecksumMode.CRC64NVME_FULL),
        ("unverified-parts", ChecksumMode.ETAG_MD5),  # PutObject refuses wrong ones, UploadPart not
        ("rclone", ChecksumMode.CONTENT_MD5),  # and drops the upload of a wrong part
        ("b2", ChecksumMode.CONTENT_MD5),
        ("fragile", ChecksumMode.CONTENT_MD5),
        ("s3rver", ChecksumMode.ETAG_MD5),
        ("little", ChecksumMode.NONE),
    ],
)
async def test_a_checksum_is_claimed_when_uploadpart_itself_refuses_the_wrong_one(
    server: str, checksum: ChecksumMode
) -> None:
    with with_manners(server) as standin:
        async with opened(standin, AUTO) as store:
            with anyio.fail_after(LIMIT_S):
                await store.probe()
    assert store.capabilities.checksum is checksum
    assert store.capabilities.conditional_complete == PROFILES[server].conditional_complete or (
        server in {"b2", "fragile"}
    )


async def test_a_size_is_claimed_when_the_right_one_is_accepted_too() -> None:
    """A server that refuses the header itself would fail at the end of every upload."""
    with with_manners(refused_headers={"x-amz-mp-object-size": 400}) as standin:
        async with opened(standin, AUTO) as store:
            with anyio.fail_after(LIMIT_S):
                await store.probe()
    assert not store.capabilities.object_size_checked
    assert store.capabilities.checksum is ChecksumMode.CRC64NVME_FULL
    assert store.capabilities.conditional_complete


async def test_the_probe_asks_little_and_at_once() -> None:
    with with_manners() as standin:
        async with opened(standin, AUTO) as store:
            with anyio.fail_after(LIMIT_S):
                await store.probe()
                first = len(standin.requests)
                await store.probe()
    assert first <= 22
    assert len(standin.requests) == first


@pytest.mark.parametrize("server", ["b2", "fragile"])
async def test_a_header_that_was_refused_is_not_sent_again(server: str) -> None:
    refused = tuple(PROFILES[server].refused_headers)
    with with_manners(server) as standin:
        async with opened(standin, AUTO) as store:
            with anyio.fail_after(LIMIT_S):
                await store.probe()
                probed = len(standin.requests)
                await store.put("a", b"1", content_type=TEXT, create_only=True)
                await store.put("a", b"2", content_type=TEXT, if_match="x")
                assert await store.head("a") is not None
                handle = await begun(store)
                part = await one_part(store, handle)
                await store.complete_upload(
                    handle,
                    [part],
                    size_bytes=200_000,
                    crc64nvme_base64="AAAAAAAAAAA=",
                    create_only=True,
                    timeout_s=LIMIT_S,
                )
                assert await store.head("x.xva") is not None
        later = standin.requests[probed:]
    assert {seen.status for seen in later} <= {200, 204, 404}
    assert not [name for seen in later for name in seen.headers if name.startswith(refused)]


@pytest.mark.parametrize("profile", [StoreProfile.GENERIC, StoreProfile.B2])
async def test_named_profiles_send_no_header_that_b2_refuses(profile: StoreProfile) -> None:
    with with_manners("b2") as standin:
        async with opened(standin, StoreOptions(profile=profile)) as store:
            with anyio.fail_after(LIMIT_S):
                await store.probe()
                await store.put("a", b"1", content_type=TEXT, create_only=True)
                assert await store.head("a") is not None
        assert 400 not in {
            seen.status for seen in standin.requests if seen.operation != "UploadPart"
        }


async def test_a_named_profile_is_held_to_its_claim_about_parts() -> None:
    with with_manners("unverified-parts") as standin:
        options = StoreOptions(profile=StoreProfile.GARAGE)
        async with opened(standin, options) as store:
            with anyio.fail_after(LIMIT_S), pytest.raises(UploadError, match="digest is wrong"):
                await store.probe()


async def test_a_part_that_arrives_changed_is_noticed_by_its_etag_where_nothing_is_refused() -> (
    None
):
    with with_manners("unverified-parts") as standin:
        async with opened(standin, AUTO) as store:
            with anyio.fail_after(LIMIT_S):
                await store.probe()
                handle, body = await begun(store), payload(1000)
                with pytest.raises(ChecksumError):
                    await store.upload_part(
                        handle, 1, memoryview(body), digests_of(store, body, flip=1)
                    )


async def test_of_two_who_create_at_once_without_conditions_one_loses() -> None:
    """Both look before either writes: what stays is the later one's, and the other sees that."""
    results: list[str] = []
    with with_manners("little") as standin:
        standin.faults.add(answer_late("HeadObject", 0.3, times=2))

        async def create(body: bytes) -> None:
            async with opened(standin, StoreOptions(profile=StoreProfile.GENERIC)) as store:
                try:
                    await store.put("claim.json", body, content_type=TEXT, create_only=True)
                    results.append(body.decode())
                except DestinationTakenError:
                    results.append("taken")

        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create, b"one")
                tasks.start_soon(create, b"two")
        stays = standin.read("p/claim.json").decode()
    assert sorted(results) == sorted(["taken", stays])


# -- single manners -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 417])
async def test_a_server_that_refuses_expect_gets_parts_without_it(status: int) -> None:
    with with_manners(refuses_expect=status) as standin:
        async with opened(standin, AUTO) as store:
            with anyio.fail_after(LIMIT_S):
                await store.probe()
                before = len(standin.seen("UploadPart"))
                await one_part(store, await begun(store))
        parts = standin.seen("UploadPart")[before:]
    assert [seen.status for seen in parts] == [200]
    assert "expect" not in parts[0].headers


async def test_a_body_that_a_proxy_refuses_leads_to_the_part_size() -> None:
    with with_manners(proxy_limit_bytes=100_000) as standin:
        async with opened(standin) as store:
            with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
                await one_part(store, await begun(store))
    assert "--part-size" in caught.value.hint
    assert not isinstance(caught.value, TransientStoreError)


@pytest.mark.parametrize("call", ["probe", "head"])
async def test_a_wrong_region_is_named_at_once_not_as_expired_credentials(call: str) -> None:
    with with_manners(region="eu-west-9") as standin:
        async with opened(standin) as store:
            with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
                await (store.probe() if call == "probe" else store.head("x"))
    assert type(caught.value) is UploadError
    assert "AWS_REGION" in caught.value.hint


async def test_an_endpoint_that_ends_in_the_bucket_is_refused_before_anything_is_stored() -> None:
    with with_manners() as standin:
        environment = {"AWS_ENDPOINT_URL_S3": f"{standin.endpoint_url}/{standin.bucket}/"}
        with pytest.raises(UsageError) as caught:
            async with opened(standin, environment=environment):
                pytest.fail("opened")
        assert f"AWS_ENDPOINT_URL_S3={standin.endpoint_url}" in caught.value.hint
        assert not standin.requests


async def test_a_store_that_knows_no_tags_leads_to_the_option() -> None:
    with with_manners(refused_headers={"x-amz-tagging": 501}) as standin:
        options = StoreOptions(tags={"team": "a"})
        async with opened(standin, options) as store:
            with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
                await store.probe()
    assert "--s3-tag" in caught.value.hint
    assert "--s3-profile" not in caught.value.hint


async def test_parts_that_cannot_be_listed_are_told_as_that(standin: StandIn) -> None:
    standin.operations.profile = replace(PROFILES["s3rver"], min_part_bytes=1)
    async with opened(standin) as store:
        with anyio.fail_after(LIMIT_S):
            handle = await begun(store)
            with pytest.raises(NotSupportedError):
                await store.list_parts(handle)


async def test_open_uploads_are_found_where_only_whole_keys_or_all_can_be_listed() -> None:
    with with_manners("minio") as standin:
        async with opened(standin) as store:
            with anyio.fail_after(LIMIT_S):
                handle = await begun(store)
                await store.create_upload("other/y", content_type=TEXT, metadata={})
                assert [one.handle for one in await store.list_uploads("x")] == [handle]
        elsewhere = standin.destination + "/deeper"
        async with open_store(elsewhere, environment=standin.environment) as store:
            with anyio.fail_after(LIMIT_S):
                assert await store.list_uploads("") == []


async def test_lifecycle_rules_that_the_server_does_not_know_are_one_sentence() -> None:
    with with_manners(refused_operations={"GetBucketLifecycleConfiguration": 501}) as standin:
        async with opened(standin) as store:
            assert isinstance(store, S3Store)
            with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
                await store.abort_rule_days()
    assert caught.value.message.count("lifecycle rules") == 1


async def test_a_server_that_restarts_meanwhile_is_waited_for(tmp_path: Path) -> None:
    with running_standin(folder=tmp_path) as standin:
        port = int(standin.endpoint_url.rpartition(":")[2])
        environment: Mapping[str, str] = standin.environment
        async with opened(standin) as store:
            await store.put("latest.json", b"{}", content_type=TEXT)
    back = threading.Event()  # the server is away by now

    def restart() -> None:
        with running_standin(folder=tmp_path, port=port):
            back.wait(LIMIT_S)

    async with open_store("s3://bucket/p", environment=environment, options=AWS) as store:
        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:

                async def read() -> None:
                    try:
                        assert (await store.get("latest.json", max_bytes=10)).body == b"{}"
                    finally:
                        back.set()

                tasks.start_soon(read)
                await anyio.sleep(0.2)
                tasks.start_soon(to_thread.run_sync, restart)


async def test_an_answer_that_is_cut_is_asked_for_again_and_raises_no_doubt_about_the_scheme(
    standin: StandIn,
) -> None:
    async with opened(standin) as store:
        with anyio.fail_after(LIMIT_S):
            await store.put("latest.json", b"{}", content_type=TEXT)
            standin.faults.add(lose_answer("GetObject", times=2))
            assert (await store.get("latest.json", max_bytes=10)).body == b"{}"
            standin.faults.add(lose_answer("GetObject", times=9))
            with pytest.raises(TransientStoreError) as caught:
                await store.get("latest.json", max_bytes=10)
    assert "https" not in caught.value.hint
