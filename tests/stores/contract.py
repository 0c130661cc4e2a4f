"""What every ObjectStore promises: one suite, run over each of them by the modules beside it."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Sequence

import anyio
import pytest
from awscrt.checksums import combine_crc64nvme, crc64nvme

from asyncpipe.errors import (
    ChecksumError,
    ConflictError,
    DestinationTakenError,
    ObjectMissingError,
    UploadError,
    UploadMissingError,
    UsageError,
)
from asyncpipe.model.store import (
    ChecksumMode,
    ObjectInfo,
    PartDigests,
    StoredPart,
    UploadHandle,
    crc64nvme_base64,
)
from asyncpipe.ports import ObjectStore

LIMIT_S = 60
TEXT = "text/plain"
XVA = "application/x-xva"


def payload(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes that repeat nowhere near a part's length."""
    block = hashlib.shake_256(str(seed).encode()).digest(min(size_bytes, 65_537))
    return (block * (size_bytes // max(len(block), 1) + 1))[:size_bytes]


def digests_of(store: ObjectStore, body: bytes, *, flip: int = 0) -> PartDigests:
    """Digests as the store's checksum mode wants them; ``flip`` makes every one wrong."""
    mode = store.capabilities.checksum
    wrong = bytes(body) if not flip else bytes([body[0] ^ flip]) + bytes(body[1:])
    sha256 = b64encode(hashlib.sha256(wrong).digest()).decode()
    md5 = b64encode(hashlib.md5(wrong).digest()).decode()
    return PartDigests(
        crc64nvme=crc64nvme(wrong),
        sha256_base64=sha256 if mode is ChecksumMode.SHA256_COMPOSITE else None,
        md5_base64=md5 if mode is ChecksumMode.CONTENT_MD5 else None,
    )


async def send(
    store: ObjectStore, handle: UploadHandle, bodies: Sequence[bytes], order: Sequence[int] = ()
) -> list[StoredPart]:
    """Send all bodies as parts 1..n, in ``order`` of their numbers."""
    sent = {}
    for number in order or range(1, len(bodies) + 1):
        body = bodies[number - 1]
        sent[number] = await store.upload_part(
            handle, number, memoryview(body), digests_of(store, body)
        )
    return [sent[number] for number in sorted(sent)]


async def complete(
    store: ObjectStore,
    handle: UploadHandle,
    parts: Sequence[StoredPart],
    bodies: Sequence[bytes],
    *,
    create_only: bool = False,
) -> ObjectInfo:
    """Complete with the true size and checksum of ``bodies``."""
    whole = b"".join(bodies)
    return await store.complete_upload(
        handle,
        parts,
        size_bytes=len(whole),
        crc64nvme_base64=crc64nvme_base64(crc64nvme(whole)),
        create_only=create_only,
        timeout_s=LIMIT_S,
    )


async def read_all(store: ObjectStore, key: str, *, offset_bytes: int = 0) -> bytes:
    """Read an object through ``stream``."""
    async with store.stream(key, offset_bytes=offset_bytes) as pieces:
        return b"".join([piece async for piece in pieces])


async def keys_of(store: ObjectStore, prefix: str) -> list[str]:
    """The keys that ``list`` tells, in its order."""
    return [info.key async for info in store.list(prefix)]


class ObjectStoreContract:
    """Subclass with a ``store`` fixture; parts have the least size the store takes."""

    work_on_an_aborted_upload: tuple[type[UploadError], ...] = (UploadMissingError,)

    @pytest.fixture
    def part_bytes(self, store: ObjectStore) -> int:
        return max(store.capabilities.min_part_bytes, 70_000)

    # -- small objects -------------------------------------------------------------------------

    async def test_a_small_object_comes_back_whole_with_type_and_metadata(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            put = await store.put(
                "a/b c+ü.json", b"{}", content_type="application/json", metadata={"nonce": "n1"}
            )
            got = await store.get("a/b c+ü.json", max_bytes=100)
        assert got.body == b"{}"
        assert got.info.metadata["nonce"] == "n1"
        assert got.info.content_type == "application/json"
        assert (got.info.size_bytes, got.info.key) == (2, "a/b c+ü.json")
        assert got.info.etag == put.etag != ""

    async def test_an_object_larger_than_allowed_is_not_read(self, store: ObjectStore) -> None:
        with anyio.fail_after(LIMIT_S):
            await store.put("big", b"12345", content_type=TEXT)
            with pytest.raises(UploadError, match="more than 4"):
                await store.get("big", max_bytes=4)

    async def test_an_absent_object_is_told_as_missing(self, store: ObjectStore) -> None:
        with anyio.fail_after(LIMIT_S):
            assert await store.head("nothing/here") is None
            with pytest.raises(ObjectMissingError):
                await store.get("nothing/here", max_bytes=10)
            with pytest.raises(ObjectMissingError):
                await read_all(store, "nothing/here")
            await store.delete("nothing/here")

    async def test_create_only_refuses_a_taken_key_and_leaves_it_alone(
        self, store: ObjectStore
    ) -> None:
        if not store.capabilities.conditional_put:
            pytest.skip(f"{store.capabilities.profile} claims no conditional put")
        with anyio.fail_after(LIMIT_S):
            await store.put("once", b"first", content_type=TEXT, create_only=True)
            with pytest.raises(DestinationTakenError):
                await store.put("once", b"second", content_type=TEXT, create_only=True)
            assert (await store.get("once", max_bytes=10)).body == b"first"

    async def test_a_put_without_condition_replaces_object_and_metadata(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            await store.put("k", b"one", content_type=TEXT, metadata={"v": "1"})
            await store.put("k", b"two", content_type=TEXT, metadata={"v": "2"})
            got = await store.get("k", max_bytes=10)
        assert (got.body, dict(got.info.metadata)) == (b"two", {"v": "2"})

    async def test_compare_and_swap_lets_only_the_reader_of_the_present_object_write(
        self, store: ObjectStore
    ) -> None:
        if not store.capabilities.compare_and_swap:
            pytest.skip(f"{store.capabilities.profile} claims no compare and swap")
        with anyio.fail_after(LIMIT_S):
            first = await store.put("index", b"1", content_type=TEXT)
            second = await store.put("index", b"22", content_type=TEXT, if_match=first.etag)
            with pytest.raises(ConflictError):
                await store.put("index", b"333", content_type=TEXT, if_match=first.etag)
            assert (await store.get("index", max_bytes=10)).body == b"22"
            await store.put("index", b"4444", content_type=TEXT, if_match=second.etag)
            with pytest.raises(ConflictError):
                await store.put("absent", b"5", content_type=TEXT, if_match=second.etag)
            assert await store.head("absent") is None

    async def test_a_listing_is_complete_in_key_order_and_bound_to_the_prefix(
        self, store: ObjectStore
    ) -> None:
        keys = ["t/a/1", "t/a/2", "t/a-b/1", "t/b", "u/x"]
        with anyio.fail_after(LIMIT_S):
            for key in reversed(keys):
                await store.put(key, b"x", content_type=TEXT)
            assert await keys_of(store, "t/") == sorted(keys[:4])
            assert await keys_of(store, "t/a") == sorted(keys[:3])
            assert await keys_of(store, "none/") == []
            await store.delete("t/b")
            assert "t/b" not in await keys_of(store, "")

    async def test_a_stream_begins_where_it_is_told(self, store: ObjectStore) -> None:
        body = payload(2_500_000)
        with anyio.fail_after(LIMIT_S):
            await store.put("s", body, content_type=TEXT)
            assert await read_all(store, "s") == body
            assert await read_all(store, "s", offset_bytes=1_234_567) == body[1_234_567:]
            async with store.stream("s") as pieces:
                assert await anext(pieces)  # leaving in the middle must not hang or warn

    @pytest.mark.parametrize("key", ["", "../x", "a/../../x", "/abs", "a//b", "a/./b", "a\x00b"])
    async def test_a_key_that_could_lead_astray_is_refused(
        self, store: ObjectStore, key: str
    ) -> None:
        with anyio.fail_after(LIMIT_S), pytest.raises(UsageError):
            await store.put(key, b"x", content_type=TEXT)

    # -- multipart -----------------------------------------------------------------------------

    async def test_an_upload_becomes_visible_only_when_complete(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        bodies = [payload(part_bytes, 1), payload(part_bytes, 2), payload(1234, 3)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload(
                "d/x.xva", content_type=XVA, metadata={"nonce": "abc"}
            )
            parts = await send(store, handle, bodies)
            assert await store.head("d/x.xva") is None
            assert await keys_of(store, "d/") == []
            info = await complete(store, handle, parts, bodies, create_only=True)
            seen = await store.head("d/x.xva")
            assert seen is not None
            assert await read_all(store, "d/x.xva") == b"".join(bodies)
            assert await store.list_uploads("d/") == []
        assert info.size_bytes == seen.size_bytes == sum(map(len, bodies))
        assert dict(seen.metadata) == {"nonce": "abc"}
        assert seen.content_type == XVA
        if store.capabilities.checksum is ChecksumMode.CRC64NVME_FULL:
            expected = crc64nvme_base64(crc64nvme(b"".join(bodies)))
            assert seen.crc64nvme_base64 in {None, expected}

    @pytest.mark.parametrize("order", [(3, 2, 1), (2, 3, 1), (1, 3, 2)])
    async def test_parts_may_come_in_any_order(
        self, store: ObjectStore, part_bytes: int, order: Sequence[int]
    ) -> None:
        bodies = [payload(part_bytes, 1), payload(part_bytes, 2), payload(99, 3)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            parts = await send(store, handle, bodies, order)
            await complete(store, handle, parts, bodies)
            assert await read_all(store, "x") == b"".join(bodies)

    async def test_parts_of_different_sizes_are_joined_rightly(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        bodies = [payload(part_bytes + extra, extra) for extra in (5, 0, 77, 3)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            await complete(store, handle, await send(store, handle, bodies), bodies)
            assert await read_all(store, "x") == b"".join(bodies)

    async def test_parts_sent_at_once_do_not_disturb_each_other(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        bodies = [payload(part_bytes, seed) for seed in range(6)]
        sent: dict[int, StoredPart] = {}

        async def one(number: int) -> None:
            body = bodies[number - 1]
            sent[number] = await store.upload_part(
                handle, number, memoryview(body), digests_of(store, body)
            )

        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            async with anyio.create_task_group() as tasks:
                for number in range(1, 7):
                    tasks.start_soon(one, number)
            parts = [sent[number] for number in sorted(sent)]
            await complete(store, handle, parts, bodies)
            assert await read_all(store, "x") == b"".join(bodies)

    async def test_progress_tells_every_byte_of_a_part(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        body = payload(part_bytes)
        told: list[int] = []
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            await store.upload_part(
                handle, 1, memoryview(body), digests_of(store, body), progress=told.append
            )
            await store.abort_upload(handle)
        assert sum(told) == len(body)

    async def test_a_part_sent_twice_counts_with_its_last_bytes(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        first, second = payload(part_bytes, 1), payload(part_bytes, 2)
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            await send(store, handle, [first])
            parts = await send(store, handle, [second])
            await complete(store, handle, parts, [second])
            assert await read_all(store, "x") == second

    async def test_listed_parts_are_those_stored_with_sizes_and_tags(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        bodies = [payload(part_bytes, 1), payload(part_bytes, 2), payload(10, 3)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            sent = await send(store, handle, bodies, order=(2, 3, 1))
            listed = await store.list_parts(handle)
            assert [(part.number, part.size_bytes, part.etag) for part in listed] == [
                (part.number, part.size_bytes, part.etag) for part in sent
            ]
            for part, body in zip(listed, bodies, strict=True):
                assert part.crc64nvme_base64 in {None, crc64nvme_base64(crc64nvme(body))}
                if store.capabilities.comparable_etag:
                    assert part.etag == hashlib.md5(body).hexdigest()
            await complete(store, handle, listed, bodies)
            assert await read_all(store, "x") == b"".join(bodies)

    async def test_a_part_whose_digest_is_wrong_is_refused(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        if store.capabilities.checksum is ChecksumMode.NONE:
            pytest.skip(f"{store.capabilities.profile} claims no checksum")
        body = payload(part_bytes)
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            with pytest.raises(ChecksumError):
                await store.upload_part(
                    handle, 1, memoryview(body), digests_of(store, body, flip=1)
                )
            assert await store.list_parts(handle) == []
            await store.abort_upload(handle)

    async def test_a_wrong_checksum_of_the_whole_makes_nothing_visible(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        if store.capabilities.checksum is not ChecksumMode.CRC64NVME_FULL:
            pytest.skip(f"{store.capabilities.profile} claims no full-object checksum")
        bodies = [payload(part_bytes, 1), payload(9, 2)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            parts = await send(store, handle, bodies)
            with pytest.raises(ChecksumError):
                await store.complete_upload(
                    handle,
                    parts,
                    size_bytes=sum(map(len, bodies)),
                    crc64nvme_base64=crc64nvme_base64(
                        combine_crc64nvme(crc64nvme(bodies[0]), 1, len(bodies[1]))
                    ),
                    create_only=True,
                    timeout_s=LIMIT_S,
                )
            assert await store.head("x") is None

    async def test_a_wrong_size_of_the_whole_makes_nothing_visible(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        if not store.capabilities.object_size_checked:
            pytest.skip(f"{store.capabilities.profile} claims no size check")
        bodies = [payload(part_bytes, 1), payload(9, 2)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            parts = await send(store, handle, bodies)
            with pytest.raises(ChecksumError):
                await store.complete_upload(
                    handle,
                    parts,
                    size_bytes=part_bytes + 10,
                    crc64nvme_base64=crc64nvme_base64(crc64nvme(b"".join(bodies))),
                    create_only=True,
                    timeout_s=LIMIT_S,
                )
            assert await store.head("x") is None

    async def test_a_complete_that_may_only_create_refuses_a_taken_key(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        if not store.capabilities.conditional_complete:
            pytest.skip(f"{store.capabilities.profile} claims no conditional complete")
        bodies = [payload(part_bytes, 1)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            parts = await send(store, handle, bodies)
            await store.put("x", b"somebody else", content_type=TEXT)
            with pytest.raises(DestinationTakenError):
                await complete(store, handle, parts, bodies, create_only=True)
            assert (await store.get("x", max_bytes=100)).body == b"somebody else"
            await store.abort_upload(handle)

    async def test_an_aborted_upload_is_gone_in_every_respect(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        body = payload(part_bytes)
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x/y", content_type=XVA, metadata={})
            parts = await send(store, handle, [body])
            assert [upload.handle for upload in await store.list_uploads("x/")] == [handle]
            await store.abort_upload(handle)
            assert await store.list_uploads("") == []
            with pytest.raises(UploadMissingError):
                await store.list_parts(handle)
            with pytest.raises(self.work_on_an_aborted_upload):
                await send(store, handle, [body])
            with pytest.raises(self.work_on_an_aborted_upload):
                await complete(store, handle, parts, [body])
            with pytest.raises(UploadMissingError):
                await store.abort_upload(handle)
            assert await store.head("x/y") is None

    async def test_completing_twice_is_told_as_missing_or_gives_the_same_object(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        bodies = [payload(part_bytes)]
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            parts = await send(store, handle, bodies)
            await complete(store, handle, parts, bodies)
            if store.capabilities.idempotent_complete:
                again = await complete(store, handle, parts, bodies)
                assert again.size_bytes == len(bodies[0])
            else:
                with pytest.raises((UploadMissingError, DestinationTakenError)):
                    await complete(store, handle, parts, bodies, create_only=True)
            assert await read_all(store, "x") == bodies[0]

    async def test_open_uploads_are_found_by_prefix_with_their_start(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            one = await store.create_upload("p/1", content_type=XVA, metadata={})
            two = await store.create_upload("q/2", content_type=XVA, metadata={})
            found = await store.list_uploads("p/")
            everything = await store.list_uploads("")
            await store.abort_upload(one)
            await store.abort_upload(two)
        assert [upload.handle for upload in found] == [one]
        assert found[0].initiated_utc[:2] == "20"
        assert found[0].initiated_utc.endswith("Z")
        assert {upload.handle.upload_id for upload in everything} == {one.upload_id, two.upload_id}

    async def test_a_part_that_is_cancelled_leaves_the_upload_usable(
        self, store: ObjectStore, part_bytes: int
    ) -> None:
        # more than the sockets hold: what was cut must not land after what replaces it
        body = payload(max(part_bytes, 32 * 1024 * 1024))
        with anyio.fail_after(LIMIT_S):
            handle = await store.create_upload("x", content_type=XVA, metadata={})
            with anyio.CancelScope() as scope:
                await store.upload_part(
                    handle,
                    1,
                    memoryview(body),
                    digests_of(store, body),
                    progress=lambda _: scope.cancel(),
                )
            parts = await send(store, handle, [body])
            await complete(store, handle, parts, [body])
            assert await read_all(store, "x") == body

    # -- the whole -----------------------------------------------------------------------------

    async def test_the_probe_proves_the_destination_and_leaves_nothing(
        self, store: ObjectStore
    ) -> None:
        with anyio.fail_after(LIMIT_S):
            await store.probe()
            assert await keys_of(store, "") == []
            assert await store.list_uploads("") == []

    async def test_urls_name_store_and_objects(self, store: ObjectStore) -> None:
        name = f"f/{secrets.token_hex(4)}.xva"
        assert store.url.endswith("/")
        assert store.url_of(name) == store.url + name
