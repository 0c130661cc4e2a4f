"""A store that takes some of a part and never goes on: the upload ends, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest
import trio.testing

from asyncpipe.errors import TransientStoreError
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import Keep, PublishedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import RetryPolicy
from asyncpipe.stores.open import open_store
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload.budget import Budget
from tests.s3_standin.faults import Kind, Rule, stall_body
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn
from tests.upload.helpers import MIB, published, some_bytes, written

pytestmark = pytest.mark.anyio

CLOCK = ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0.05)})
LONG_S = 300.0
BODY = some_bytes(21 * MIB + 17)
OPTIONS = TransferOptions(
    max_memory_bytes=20 * MIB,
    part_size_bytes=5 * MIB,
    concurrency=4,
    stall_timeout_s=0.5,
    abort_timeout_s=10.0,
    retry=RetryPolicy(attempts=5, base_s=0.01, cap_s=0.05),
)
# as many places as parts in flight, and fewer than attempts: one lost connection would be missed
STORE = StoreOptions(profile=StoreProfile.AWS, max_connections=4)


def no_answer() -> Rule:
    """Part 2 is taken whole, and that is never said."""
    return Rule(kind=Kind.SLOW, operation="UploadPart", part_number=2, seconds=LONG_S, times=99)


def in_mid_body() -> Rule:
    return stall_body(LONG_S, part_number=2, times=99)


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with running_standin() as standin:
        yield standin


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "image.xva", BODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the first upload and the one after it share: store, budget, journal."""

    store: ObjectStore
    target: Target
    path: Path
    journal: Path
    budget: Budget
    options: TransferOptions

    async def upload(self, keep: Keep = Keep.NEVER, *, resume: bool = False) -> PublishedObject:
        return await published(
            self.store,
            self.target,
            self.path,
            self.options,
            budget=self.budget,
            journal_path=self.journal,
            keep=keep,
            resume=resume,
        )


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("keep", [Keep.NEVER, Keep.LOST])
@pytest.mark.parametrize("rule", [in_mid_body(), no_answer()], ids=["mid-body", "no-answer"])
async def test_a_part_that_stalls_at_every_attempt_ends_the_upload_and_loses_nothing(
    standin: StandIn, target: Target, path: Path, tmp_path: Path, rule: Rule, keep: Keep
) -> None:
    rule = replace(rule)
    standin.faults.add(rule)
    journal = tmp_path / "upload.json"
    async with (
        open_store(standin.destination, environment=standin.environment, options=STORE) as store,
        Budget(OPTIONS) as budget,
    ):
        work = Work(
            store=store,
            target=target,
            path=path,
            journal=journal,
            budget=budget,
            options=OPTIONS,
        )
        with anyio.fail_after(60), pytest.raises(TransientStoreError) as caught:
            await work.upload(keep)
        assert caught.value.exit_code == 40
        assert f"part 2 of {target.key} made no progress" in caught.value.message
        assert "--resume" in caught.value.hint
        assert 99 - rule.times == OPTIONS.retry.attempts
        assert budget.buffers.in_use_bytes == 0
        assert not standin.objects()
        kept = standin.uploads()
        assert len(kept) == (keep is Keep.LOST)
        assert is_there(journal) == bool(kept)
        there = set(standin.parts(kept[0].upload_id)) if kept else set()

        rule.times = 0
        before = len(standin.requests)
        with anyio.fail_after(60):
            result = await work.upload(resume=True)
    assert standin.read(f"p/{target.key}") == BODY
    assert bool(result.resumed_bytes) == bool(there)
    sent = {
        seen.part_number for seen in standin.requests[before:] if seen.operation == "UploadPart"
    }
    assert sent == {1, 2, 3, 4, 5} - there
    assert not standin.uploads()


def is_there(path: Path) -> bool:
    return path.exists()


@pytest.mark.parametrize("anyio_backend", [CLOCK])
@pytest.mark.parametrize("part_number", [2, None], ids=["one-part", "all-parts"])
async def test_with_the_defaults_no_wait_is_without_an_end(
    target: Target, path: Path, tmp_path: Path, part_number: int | None
) -> None:
    store, options = MemoryStore(), TransferOptions(part_size_bytes=5 * MIB)
    store.delay("upload_part", 1e9, times=1000, part_number=part_number)
    budget = Budget(options)
    work = Work(
        store=store,
        target=target,
        path=path,
        journal=tmp_path / "upload.json",
        budget=budget,
        options=options,
    )
    longest_s = options.retry.attempts * (options.stall_timeout_s + options.retry.cap_s)
    with anyio.fail_after(longest_s), pytest.raises(TransientStoreError, match="no progress"):
        await work.upload()
    assert not store.uploads
    assert budget.buffers.in_use_bytes == 0


@pytest.mark.parametrize("anyio_backend", [CLOCK])
async def test_a_store_that_does_not_even_abort_is_left_with_the_command_that_does(
    target: Target, path: Path, tmp_path: Path
) -> None:
    store, options = MemoryStore(), TransferOptions(part_size_bytes=5 * MIB)
    store.delay("upload_part", 1e9, times=1000)
    store.delay("abort_upload", 1e9, times=1000)
    work = Work(
        store=store,
        target=target,
        path=path,
        journal=tmp_path / "upload.json",
        budget=Budget(options),
        options=options,
    )
    with anyio.fail_after(2000), pytest.raises(TransientStoreError) as caught:
        await work.upload()
    [upload_id] = store.uploads
    for text in (upload_id, "did not answer within 30 s", "asyncpipe reap", store.url):
        assert text in caught.value.hint
