"""Stores of few parts (Scaleway takes 1,000): what fits is planned so, what outgrows is told."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import UploadError
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import PublishedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import RetryPolicy
from asyncpipe.stores.open import open_store
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import open_upload
from asyncpipe.upload.source import FinishedFile, GrowingFile, Source
from tests.s3_standin.profiles import PROFILES
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.upload.helpers import MIB

pytestmark = pytest.mark.anyio

# the default part of this much memory is 5 MiB, the least that S3 takes: the file stays small
OPTIONS = TransferOptions(max_memory_bytes=20 * MIB, retry=RetryPolicy(base_s=0.01), sha256=False)
DEFAULT_PART_BYTES = 5 * MIB
MARK = b"not a hole"
FEW = pytest.mark.parametrize(
    "few", [6, pytest.param(1000, marks=pytest.mark.heavy)], ids=["6-parts", "1000-parts"]
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True, slots=True)
class Case:
    """A server that refuses the part after its last one, and a file with holes."""

    standin: StandIn
    path: Path

    def grow(self, size_bytes: int) -> None:
        """Make the file so long, with a mark at its end and nothing on the disk before."""
        with self.path.open("ab") as file:
            file.truncate(size_bytes - len(MARK))
            file.write(MARK)

    @asynccontextmanager
    async def opened(self, max_parts: int | None) -> AsyncIterator[ObjectStore]:
        options = StoreOptions(profile=StoreProfile.AWS, max_parts=max_parts)
        async with open_store(
            self.standin.destination, environment=self.standin.environment, options=options
        ) as store:
            yield store


@pytest.fixture
def case(tmp_path: Path, few: int) -> Iterator[Case]:
    profile = replace(PROFILES["1000-parts"], max_parts=few)
    with running_standin(profile=profile) as standin:
        yield Case(standin, tmp_path / "image.xva")


async def uploaded(
    store: ObjectStore, target: Target, source: Source, *, expected_size_bytes: int | None = None
) -> PublishedObject:
    async with (
        Budget(OPTIONS) as budget,
        open_upload(
            UploadRequest(
                store=store,
                target=target,
                source=source,
                budget=budget,
                options=OPTIONS,
                expected_size_bytes=expected_size_bytes,
            )
        ) as upload,
    ):
        await upload.stage()
        return await upload.complete()


@FEW
async def test_a_file_that_needs_more_parts_of_the_default_size_gets_larger_ones_and_is_whole(
    case: Case, target: Target, few: int
) -> None:
    size_bytes = few * DEFAULT_PART_BYTES + 1 * MIB + 17
    case.grow(size_bytes)
    with anyio.fail_after(600):
        async with case.opened(max_parts=few) as store:
            result = await uploaded(store, target, FinishedFile(case.path))
    assert few // 2 < result.part_count <= few
    assert {"size", "crc64nvme"} <= set(result.checks)  # the store has compared the whole
    stored = case.standin.storage.object_path(case.standin.bucket, f"p/{target.key}")
    assert size_and_end(stored) == (size_bytes, MARK)
    assert not case.standin.uploads()


def size_and_end(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(-len(MARK), os.SEEK_END)
        return size_bytes, file.read()


@FEW
async def test_a_growing_file_that_outgrows_its_plan_is_told_and_nothing_stays(
    case: Case, target: Target, few: int
) -> None:
    capacity_bytes = few * DEFAULT_PART_BYTES
    finished = anyio.Event()
    case.grow(capacity_bytes - MIB)
    with anyio.fail_after(600):
        async with case.opened(max_parts=few) as store, anyio.create_task_group() as group:

            async def outgrow() -> None:
                await case_has_parts(case, few - 1)
                case.grow(capacity_bytes + MIB)
                finished.set()

            group.start_soon(outgrow)
            with pytest.raises(UploadError, match=f"grew beyond {capacity_bytes}") as caught:
                await uploaded(
                    store,
                    target,
                    GrowingFile(case.path, finished),
                    expected_size_bytes=capacity_bytes * 9 // 10,
                )
    assert f"{few} parts" in caught.value.message
    assert "--part-size" in caught.value.hint
    assert caught.value.exit_code == 40
    assert not case.standin.objects()
    assert not case.standin.uploads()


async def case_has_parts(case: Case, count: int) -> None:
    while len(case.standin.seen("UploadPart")) < count:  # noqa: ASYNC110 - threads of the server
        await anyio.sleep(0.01)


@pytest.mark.parametrize("few", [6])
async def test_a_store_that_takes_fewer_parts_than_was_said_is_told_with_the_option(
    case: Case, target: Target, few: int
) -> None:
    case.grow(few * DEFAULT_PART_BYTES + 1)
    with anyio.fail_after(60), pytest.raises(UploadError, match="at most 6 parts") as caught:
        async with case.opened(max_parts=None) as store:
            await uploaded(store, target, FinishedFile(case.path))
    assert "--s3-max-parts" in caught.value.hint
    assert not case.standin.uploads()
