"""A finished file is staged, completed, compared; or leaves nothing behind."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.errors import (
    AsyncpipeError,
    ChecksumError,
    ConflictError,
    DestinationTakenError,
    SlowDownError,
    TransientStoreError,
    UploadError,
    UploadMissingError,
    XvaInvalidError,
)
from asyncpipe.model.store import ChecksumMode, StoreCapabilities, UploadHandle
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.testing.store import MEMORY_CAPABILITIES, MemoryStore
from asyncpipe.upload.abort import abort_until_gone
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.session import CONFLICT_ROUNDS
from asyncpipe.upload.source import FinishedFile
from tests.upload.helpers import (
    MIB,
    Recorder,
    published,
    sha256_hex,
    some_bytes,
    uploading,
    written,
)

pytestmark = pytest.mark.anyio

BODY = some_bytes(6 * MIB + 12345)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "image.xva", BODY)


async def test_the_object_is_the_file_and_its_digests_are_told(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    with anyio.fail_after(20):
        result = await published(store, target, path, options)
    assert store.objects[target.key].body == BODY
    assert result.digests.sha256_hex == sha256_hex(BODY)
    assert result.digests.size_bytes == len(BODY)
    assert result.part_count == 7
    assert result.checks == ("size", "nonce", "crc64nvme", "create-only")
    assert store.objects[target.key].info.metadata["origin"] == "test"
    assert not store.uploads


async def test_nothing_is_visible_while_staged(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    with anyio.fail_after(20):
        async with uploading(store, target, path, options) as upload:
            await upload.stage()
            assert not store.objects
            assert len(store.uploads) == 1
    assert not store.objects
    assert not store.uploads


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, MIB - 1])
async def test_a_small_file_needs_no_multipart_upload(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path, size_bytes: int
) -> None:
    body = some_bytes(size_bytes)
    with anyio.fail_after(20):
        result = await published(store, target, written(tmp_path / "log", body), options)
    assert store.objects[target.key].body == body
    assert result.digests.sha256_hex == sha256_hex(body)
    assert "create_upload" not in {call.operation for call in store.calls}


@pytest.mark.parametrize("size_bytes", [MIB, MIB + 1, 2 * MIB])
async def test_sizes_around_the_part_size_arrive_whole(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path, size_bytes: int
) -> None:
    body = some_bytes(size_bytes)
    with anyio.fail_after(20):
        result = await published(store, target, written(tmp_path / "image", body), options)
    assert store.objects[target.key].body == body
    assert result.part_count == -(-size_bytes // MIB)


async def test_the_inspector_sees_every_byte_in_order(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    recorder = Recorder()
    with anyio.fail_after(20):
        async with uploading(store, target, path, options, inspector=recorder) as upload:
            await upload.stage()
            await upload.complete()
    assert bytes(recorder.seen) == BODY
    assert upload.verdict == f"{len(BODY)} bytes seen"


@pytest.mark.parametrize(
    "recorder", [Recorder(reject_at_bytes=2 * MIB), Recorder(rejects_at_end=True)]
)
async def test_a_rejected_file_is_never_visible(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, recorder: Recorder
) -> None:
    with anyio.fail_after(20), pytest.raises(XvaInvalidError):
        async with uploading(store, target, path, options, inspector=recorder) as upload:
            await upload.stage()
    assert not store.uploads
    assert not store.objects
    if recorder.reject_at_bytes:
        assert len(recorder.seen) <= 3 * MIB, "a rejection stops the reading"


@pytest.mark.parametrize("error", [TransientStoreError("reset"), SlowDownError("503")])
async def test_a_part_is_sent_again_after_a_passing_fault(
    store: MemoryStore,
    target: Target,
    options: TransferOptions,
    path: Path,
    error: UploadError,
) -> None:
    store.fail("upload_part", error, times=3, part_number=2)
    with anyio.fail_after(20):
        await published(store, target, path, options)
    assert store.objects[target.key].body == BODY


@pytest.mark.parametrize("after_commit", [False, True])
async def test_a_part_whose_answer_was_lost_is_sent_again(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, after_commit: bool
) -> None:
    store.fail("upload_part", TransientStoreError("reset"), after_commit=after_commit, times=2)
    with anyio.fail_after(20):
        await published(store, target, path, options)
    assert store.objects[target.key].body == BODY


@pytest.mark.parametrize("operation", ["create_upload", "upload_part", "complete_upload", "head"])
async def test_a_store_that_stays_down_fails_the_upload_and_keeps_nothing(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, operation: str
) -> None:
    store.fail(operation, TransientStoreError("down"), times=1000)
    with anyio.fail_after(20), pytest.raises(TransientStoreError):
        await published(store, target, path, options)
    assert not store.uploads
    assert not store.objects


async def test_a_refused_checksum_is_tried_once_more_and_then_told(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    store.fail("upload_part", ChecksumError("BadDigest"), times=1, part_number=3)
    with anyio.fail_after(20):
        await published(store, target, path, options)
    store.fail("upload_part", ChecksumError("BadDigest"), times=2, part_number=3)
    with anyio.fail_after(20), pytest.raises(ChecksumError) as caught:
        await published(store, replace(target, key="other"), path, options)
    assert caught.value.exit_code == 41
    assert not store.uploads


async def test_a_byte_that_turns_within_the_store_is_found_and_nothing_is_visible(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    store.corrupt_part(4)
    with anyio.fail_after(20), pytest.raises(ChecksumError):
        await published(store, target, path, options)
    assert not store.objects
    assert not store.uploads


@pytest.mark.parametrize("size_bytes", [1000, len(BODY)])
async def test_a_lost_answer_to_the_last_call_is_settled_by_the_object(
    target: Target, options: TransferOptions, tmp_path: Path, size_bytes: int
) -> None:
    store = MemoryStore()
    for operation in ("put", "complete_upload"):
        store.fail(operation, TransientStoreError("timeout"), after_commit=True)
    with anyio.fail_after(20):
        result = await published(store, target, written(tmp_path / "f", BODY[:size_bytes]), options)
    assert store.objects[target.key].body == BODY[:size_bytes]
    assert result.info.size_bytes == size_bytes


async def test_a_conflict_begins_a_new_upload_and_sends_every_part_again(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    store.fail("complete_upload", ConflictError("409"))
    with anyio.fail_after(20):
        await published(store, target, path, options)
    operations = [call.operation for call in store.calls]
    assert operations.count("create_upload") == 2
    assert operations.count("upload_part") == 14
    assert store.objects[target.key].body == BODY
    assert not store.uploads


async def test_a_conflict_that_stays_is_reported_after_three_uploads(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    store.fail("complete_upload", ConflictError("409"), times=1000)
    with anyio.fail_after(20), pytest.raises(ConflictError):
        await published(store, target, path, options)
    assert [call.operation for call in store.calls].count("create_upload") == CONFLICT_ROUNDS == 3
    assert not store.uploads


class _AbortsAnything(MemoryStore):
    """A store that answers yes to every abort, of an upload that it does not have as well."""

    async def abort_upload(self, handle: UploadHandle) -> None:
        with suppress(UploadMissingError):
            await super().abort_upload(handle)


async def test_an_upload_is_gone_when_the_store_no_longer_lists_its_parts(
    target: Target, options: TransferOptions
) -> None:
    store = _AbortsAnything()
    handle = await store.create_upload(target.key, content_type="x/x", metadata={})
    with anyio.fail_after(20):
        assert await abort_until_gone(store, handle, options) is None
    operations = [call.operation for call in store.calls]
    assert operations.count("abort_upload") == operations.count("list_parts") == 1


class _Stalled(FinishedFile):
    """A file on a disk that stops answering in the first read."""

    is_lost = False

    async def read(self, work: object, size_bytes: int) -> Any:
        self.is_lost = True
        raise TimeoutError(errno.ETIMEDOUT, "the disk has not answered")


async def test_memory_that_a_lost_read_may_still_write_to_is_used_no_more(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    async with Budget(options) as budget:
        with anyio.fail_after(20), pytest.raises(AsyncpipeError):
            await published(store, target, _Stalled(path), options, budget=budget)
        assert budget.buffers.held_bytes == 0


async def test_a_taken_destination_is_told_before_a_byte_is_sent(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    await store.put(target.key, b"older", content_type="text/plain")
    with anyio.fail_after(20), pytest.raises(DestinationTakenError):
        await published(store, target, path, options)
    assert store.objects[target.key].body == b"older"
    assert "upload_part" not in {call.operation for call in store.calls}


@pytest.mark.parametrize("honoured", [True, False])
@pytest.mark.parametrize("size_bytes", [1000, len(BODY)])
async def test_a_destination_taken_meanwhile_stays_as_it_is(
    target: Target, options: TransferOptions, tmp_path: Path, honoured: bool, size_bytes: int
) -> None:
    store = MemoryStore(
        capabilities=replace(
            MEMORY_CAPABILITIES, conditional_put=honoured, conditional_complete=honoured
        )
    )
    source = FinishedFile(written(tmp_path / "f", BODY[:size_bytes]))

    async def run() -> None:
        async with uploading(store, target, source, options) as upload:
            await upload.stage()
            await store.put(target.key, b"faster", content_type="text/plain")
            await upload.complete()

    with anyio.fail_after(20), pytest.raises(DestinationTakenError):
        await run()
    assert store.objects[target.key].body == b"faster"
    assert not store.uploads


async def test_overwrite_replaces_and_claims_no_creation(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    await store.put(target.key, b"older", content_type="text/plain")
    with anyio.fail_after(20):
        result = await published(store, replace(target, overwrite=True), path, options)
    assert store.objects[target.key].body == BODY
    assert "create-only" not in result.checks


@pytest.mark.parametrize(
    ("mode", "check"),
    [
        (ChecksumMode.CRC64NVME_FULL, "crc64nvme"),
        (ChecksumMode.SHA256_COMPOSITE, "sha256-parts"),
        (ChecksumMode.CONTENT_MD5, "etag-md5"),
        (ChecksumMode.NONE, "size"),
    ],
)
async def test_each_kind_of_store_is_given_the_digests_it_verifies(
    target: Target, options: TransferOptions, path: Path, mode: ChecksumMode, check: str
) -> None:
    store = MemoryStore(capabilities=replace(MEMORY_CAPABILITIES, checksum=mode))
    with anyio.fail_after(20):
        result = await published(store, target, path, options)
    assert store.objects[target.key].body == BODY
    assert check in result.checks
    assert {"crc64nvme", "sha256-parts", "etag-md5"} & set(result.checks) <= {check}


async def test_the_store_decides_how_large_parts_must_be(
    target: Target, options: TransferOptions, path: Path
) -> None:
    few: StoreCapabilities = replace(MEMORY_CAPABILITIES, max_parts=3)
    store = MemoryStore(capabilities=few)
    with anyio.fail_after(20):
        result = await published(store, target, path, options)
    assert result.part_count == 3
    assert store.objects[target.key].body == BODY


async def test_progress_ends_at_the_size_and_counts_no_byte_twice(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    store.fail("upload_part", TransientStoreError("reset"), after_commit=True, times=3)
    told: list[tuple[int, int | None]] = []
    with anyio.fail_after(20):
        async with uploading(
            store, target, path, options, progress=lambda sent, total: told.append((sent, total))
        ) as upload:
            await upload.stage()
    assert told[-1] == (len(BODY), len(BODY))
    assert {total for _, total in told} == {len(BODY)}, "the size of a finished file is known"
    assert max(sent for sent, _ in told) <= len(BODY)


async def test_an_upload_that_cannot_be_removed_is_named_with_the_command(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    store.fail("upload_part", UploadError("refused"))
    store.fail("abort_upload", UploadError("no right to abort"), times=1000)
    told: list[tuple[str, str]] = []
    with anyio.fail_after(20), pytest.raises(AsyncpipeError) as caught:
        async with uploading(
            store, target, path, options, warn=lambda code, message: told.append((code, message))
        ) as upload:
            await upload.stage()
    assert told[0][0] == "upload-left-behind"
    for text in ("upload-1", "asyncpipe reap", "no right to abort"):
        assert text in told[0][1]
        assert text in caught.value.hint


async def test_many_uploads_share_less_memory_than_one_part_each(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    tight = replace(options, max_memory_bytes=2 * MIB)
    async with Budget(tight) as budget:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for number in range(8):
                    one = replace(target, key=f"{number}")
                    own = replace(tight, part_size_bytes=(1 + number % 3) * MIB)

                    async def upload(one: Target = one, own: TransferOptions = own) -> None:
                        await published(store, one, path, own, budget=budget)

                    group.start_soon(upload)
        assert budget.buffers.in_use_bytes == 0
        assert budget.buffers.held_bytes <= 3 * MIB
    assert len(store.objects) == 8
    assert all(stored.body == BODY for stored in store.objects.values())


@pytest.mark.parametrize("checked", [True, False])
async def test_an_object_that_is_not_what_was_sent_is_removed_again(
    target: Target, options: TransferOptions, path: Path, checked: bool
) -> None:
    mode = ChecksumMode.CRC64NVME_FULL if checked else ChecksumMode.NONE
    store = MemoryStore(capabilities=replace(MEMORY_CAPABILITIES, checksum=mode))
    complete = store.complete_upload

    async def complete_wrongly(*args: Any, **named: Any) -> Any:
        info = await complete(*args, **named)
        stored = store.objects[target.key]
        wrong = replace(stored.info, size_bytes=stored.info.size_bytes - 1)
        store.objects[target.key] = replace(stored, info=wrong, body=stored.body[:-1])
        return info

    store.complete_upload = complete_wrongly  # type: ignore[method-assign]
    with anyio.fail_after(20), pytest.raises(ChecksumError, match="removed again"):
        await published(store, target, path, options)
    assert not store.objects
