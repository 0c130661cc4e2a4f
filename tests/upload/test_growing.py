"""A file is followed while it is written, and dropped when it is not what was read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import ArtifactError, SourceChangedError
from asyncpipe.model.store import PartDigests
from asyncpipe.model.transfer import PublishedObject, Target, TransferOptions
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload.digests import DigestedPart
from asyncpipe.upload.parts import Part
from asyncpipe.upload.source import GrowingFile, sampled
from tests.system.inline import disk_calls_inline
from tests.upload.helpers import MIB, published, some_bytes, until, written

pytestmark = pytest.mark.anyio

BODY = some_bytes(5 * MIB + 4321)


class Export:
    """A writer's side of a growing file, and the upload that follows it."""

    def __init__(self, path: Path, store: MemoryStore) -> None:
        self.path = path
        self.store = store
        self.finished = anyio.Event()
        self.result: PublishedObject | None = None

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def rewrite(self, offset_bytes: int, data: bytes, *, moves_time: bool = True) -> None:
        before = self.path.stat()
        with self.path.open("r+b") as file:
            file.seek(offset_bytes)
            file.write(data)
        moved_ns = 1_000_000_000 if moves_time else 0
        os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns + moved_ns))

    async def parts_sent(self, count: int) -> None:
        await until(lambda: any(len(up.parts) >= count for up in self.store.uploads.values()))

    async def looked_at(self) -> None:
        """Give the follower time for a few looks: nothing tells when one has happened."""
        await anyio.sleep(0.05)


Writer = Callable[[Export], Awaitable[None]]


@pytest.fixture
def export(tmp_path: Path, store: MemoryStore) -> Export:
    return Export(tmp_path / "image.xva", store)


async def followed(
    export: Export, target: Target, options: TransferOptions, writer: Writer
) -> PublishedObject:
    async def write() -> None:
        await writer(export)
        export.finished.set()

    source = GrowingFile(export.path, export.finished, poll_interval_s=0.002)
    with anyio.fail_after(30):
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(write)
                export.result = await published(export.store, target, source, options)
        except* SourceChangedError as errors:
            raise errors.exceptions[0] from None
    assert export.result is not None
    return export.result


async def slow(export: Export) -> None:
    for start in range(0, len(BODY), 300_000):
        export.append(BODY[start : start + 300_000])
        await anyio.lowlevel.checkpoint()
    await export.parts_sent(5)


async def bursty(export: Export) -> None:
    export.append(BODY[: 3 * MIB + 77])
    await export.parts_sent(3)
    export.append(BODY[3 * MIB + 77 : 3 * MIB + 78])
    await export.looked_at()
    export.append(BODY[3 * MIB + 78 :])
    await export.parts_sent(5)


async def late(export: Export) -> None:
    await export.looked_at()
    export.append(BODY)


@pytest.mark.parametrize("writer", [slow, bursty, late])
async def test_whole_parts_are_sent_while_the_file_grows(
    export: Export, target: Target, options: TransferOptions, writer: Writer
) -> None:
    result = await followed(export, target, options, writer)
    assert export.store.objects[target.key].body == BODY
    assert result.part_count == 6
    assert not export.store.uploads


async def test_nothing_is_visible_before_the_end_is_announced(
    export: Export, target: Target, options: TransferOptions
) -> None:
    async def writer(export: Export) -> None:
        export.append(BODY)
        await export.parts_sent(5)
        assert not export.store.objects

    await followed(export, target, options, writer)
    assert export.store.objects[target.key].body == BODY


@pytest.mark.parametrize("size_bytes", [0, 10, MIB, 2 * MIB])
async def test_an_end_at_any_size_is_an_end(
    export: Export, target: Target, options: TransferOptions, size_bytes: int
) -> None:
    async def writer(export: Export) -> None:
        export.append(BODY[:size_bytes])

    result = await followed(export, target, options, writer)
    assert export.store.objects[target.key].body == BODY[:size_bytes]
    assert result.digests.size_bytes == size_bytes


async def truncating(export: Export) -> None:
    os.truncate(export.path, MIB)
    await export.looked_at()


async def replacing(export: Export) -> None:
    written(export.path.with_suffix(".new"), BODY).replace(export.path)
    await export.looked_at()


async def deleting(export: Export) -> None:
    export.path.unlink()


async def rewriting(export: Export) -> None:
    await export.looked_at()
    export.rewrite(MIB + 5, b"other")


async def rewriting_the_header_while_it_grows(export: Export) -> None:
    export.append(BODY[4 * MIB :])
    export.rewrite(0, b"other", moves_time=False)


@pytest.mark.parametrize(
    "deed",
    [truncating, replacing, deleting, rewriting, rewriting_the_header_while_it_grows],
)
async def test_a_file_that_is_not_what_was_read_is_dropped(
    export: Export, target: Target, options: TransferOptions, deed: Writer
) -> None:
    async def writer(export: Export) -> None:
        export.append(BODY[: 4 * MIB])
        await export.parts_sent(3)
        await deed(export)

    with pytest.raises(SourceChangedError):
        await followed(export, target, options, writer)
    assert not export.store.objects
    assert not export.store.uploads


async def test_a_time_that_moves_without_a_byte_changing_does_no_harm(
    export: Export, target: Target, options: TransferOptions
) -> None:
    async def writer(export: Export) -> None:
        export.append(BODY)
        await export.parts_sent(5)
        export.rewrite(0, BODY[:10])

    await followed(export, target, options, writer)
    assert export.store.objects[target.key].body == BODY


async def test_a_file_that_never_appears_is_named(
    tmp_path: Path, store: MemoryStore, target: Target, options: TransferOptions
) -> None:
    finished = anyio.Event()
    finished.set()
    source = GrowingFile(tmp_path / "image.xva", finished)
    with anyio.fail_after(10), pytest.raises(ArtifactError, match=r"image\.xva"):
        await published(store, target, source, options)
    assert not store.uploads


async def test_a_file_that_is_not_there_yet_is_waited_for_without_a_busy_loop(
    tmp_path: Path,
) -> None:
    source = GrowingFile(tmp_path / "image.xva", anyio.Event(), poll_interval_s=3600)
    with disk_calls_inline(), anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(source.open)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()


async def test_the_file_is_compared_only_once_its_end_is_announced(tmp_path: Path) -> None:
    finished = anyio.Event()
    source = GrowingFile(written(tmp_path / "image.xva", b""), finished)
    await source.open()
    checked: list[bool] = []

    async def check() -> None:
        await source.check([])
        checked.append(finished.is_set())

    with disk_calls_inline(), anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(check)
            await anyio.wait_all_tasks_blocked()
            finished.set()
    assert checked == [True]
    await source.close()


def _parts(*sizes_bytes: int) -> list[DigestedPart]:
    ends = list(itertools.accumulate(sizes_bytes))
    digests = PartDigests(crc64nvme=0)
    return [
        DigestedPart(
            part=Part(number=number, offset_bytes=end - size, size_bytes=size), digests=digests
        )
        for number, (end, size) in enumerate(zip(ends, sizes_bytes, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("most_bytes", "chosen"), [(1, {1}), (10, {1}), (19, {1}), (20, {1, 4}), (1000, {1, 2, 3, 4})]
)
async def test_the_sample_has_the_first_part_and_the_last_and_keeps_to_its_size(
    most_bytes: int, chosen: set[int]
) -> None:
    parts = _parts(10, 10, 10, 10)
    assert {one.part.number for one in sampled(parts, most_bytes)} == chosen
