"""What every ObjectStore promises of multipart uploads."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence

import anyio
import pytest
from awscrt.checksums import combine_crc64nvme, crc64nvme

from asyncpipe.errors import ChecksumError, DestinationTakenError, UploadError, UploadMissingError
from asyncpipe.model.store import ChecksumMode, StoredPart, crc64nvme_base64
from asyncpipe.ports import ObjectStore
from tests.stores.helpers import (
    LIMIT_S,
    TEXT,
    XVA,
    complete,
    digests_of,
    keys_of,
    payload,
    read_all,
    send,
)


class MultipartContract:
    """A part of ``ObjectStoreContract``; parts have the least size the store takes."""

    work_on_a_completed_upload: tuple[type[UploadError], ...] = (UploadMissingError,)
    work_on_an_aborted_upload: tuple[type[UploadError], ...] = (UploadMissingError,)

    @pytest.fixture
    def part_bytes(self, store: ObjectStore) -> int:
        return max(store.capabilities.min_part_bytes, 70_000)

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
            if store.capabilities.checksum.refuses:  # else it is there, and compared by its ETag
                with contextlib.suppress(UploadMissingError):  # rclone drops the upload with it
                    assert await store.list_parts(handle) == []
            with contextlib.suppress(UploadMissingError):
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
            with contextlib.suppress(UploadMissingError):  # MinIO answers as to the first
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
            with contextlib.suppress(*self.work_on_a_completed_upload):
                again = await complete(store, handle, parts, bodies)
                assert again.size_bytes == len(bodies[0])
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
