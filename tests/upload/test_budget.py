"""Buffers, the gate and the bandwidth that all uploads share."""

from __future__ import annotations

import errno
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncpipe.errors import SlowDownError
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload import buffers
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.buffers import PATIENCE_S, BufferPool
from asyncpipe.upload.pace import Bandwidth, SendGate
from tests.upload.helpers import MIB, published, some_bytes, written

CLOCK = ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@settings(max_examples=60, deadline=None)
@given(
    limit_mib=st.integers(1, 8),
    sizes_mib=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    cancelled=st.sets(st.integers(0, 11)),
)
def test_every_taker_is_served_within_the_limit_whatever_the_sizes(
    limit_mib: int, sizes_mib: list[int], cancelled: set[int]
) -> None:
    async def main() -> None:
        pool = BufferPool(limit_mib * MIB)
        users = 0

        async def use(number: int, size_bytes: int) -> None:
            nonlocal users
            with anyio.CancelScope() as scope:
                if number in cancelled:
                    scope.cancel()
                buffer = await pool.take(size_bytes)
                users += 1
                assert buffer.capacity_bytes >= size_bytes
                assert pool.in_use_bytes <= limit_mib * MIB or users == 1
                with anyio.CancelScope(shield=True):
                    for _ in range(number % 3):
                        await anyio.lowlevel.checkpoint()
                users -= 1
                pool.give_back(buffer)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for number, size_mib in enumerate(sizes_mib):
                    group.start_soon(use, number, size_mib * MIB)
        assert pool.in_use_bytes == 0
        assert pool.held_bytes <= max(limit_mib, *sizes_mib) * MIB
        pool.close()

    anyio.run(main, backend="trio")


@pytest.mark.anyio
async def test_a_buffer_is_reused_and_the_warmest_first() -> None:
    pool = BufferPool(4 * MIB)
    first, second = await pool.take(MIB), await pool.take(MIB)
    pool.give_back(first)
    pool.give_back(second)
    assert await pool.take(MIB) is second
    pool.close()


@pytest.mark.anyio
async def test_idle_buffers_make_room_for_a_larger_one() -> None:
    pool = BufferPool(2 * MIB)
    for buffer in [await pool.take(MIB), await pool.take(MIB)]:
        pool.give_back(buffer)
    await pool.take(2 * MIB)
    assert pool.held_bytes == 2 * MIB
    pool.close()


async def in_turn(
    pool: BufferPool,
    *,
    work_s: float = 0.0,
    store_s: float,
    takers: int,
    turns: int,
    may_grow: bool = True,
) -> int:
    """Hold buffers as parts on their way do; return the most bytes in use."""
    most_bytes = 0

    async def take_turns() -> None:
        nonlocal most_bytes
        for _ in range(turns):
            buffer = await pool.take(MIB, may_grow=may_grow)
            most_bytes = max(most_bytes, pool.in_use_bytes)
            await anyio.sleep(work_s)
            pool.work_done(buffer)
            await anyio.sleep(store_s)
            pool.give_back(buffer)

    async with anyio.create_task_group() as group:
        for _ in range(takers):
            group.start_soon(take_turns)
    assert pool.held_bytes == most_bytes
    pool.close()
    return most_bytes


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_a_fast_store_is_fed_from_three_buffers_however_many_uploads_and_parts() -> None:
    pool = BufferPool(16 * MIB)
    assert await in_turn(pool, store_s=PATIENCE_S / 2, takers=20, turns=200) == 3 * MIB


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_a_slow_store_gets_all_the_parts_in_flight_there_is_memory_for() -> None:
    pool = BufferPool(16 * MIB)
    began_s = anyio.current_time()
    assert await in_turn(pool, store_s=1.0, takers=20, turns=10) == 16 * MIB
    assert anyio.current_time() - began_s < 20 * 10 / 16 + 2  # and was wide open within a second


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_a_processor_that_is_the_bottleneck_is_not_answered_with_more_memory() -> None:
    pool = BufferPool(16 * MIB)
    busy = await in_turn(pool, work_s=1.0, store_s=PATIENCE_S / 2, takers=20, turns=10)
    assert busy == 3 * MIB


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_a_slow_disk_is_not_answered_with_more_memory_either() -> None:
    pool = BufferPool(16 * MIB)
    assert await in_turn(pool, store_s=1.0, takers=20, turns=3, may_grow=False) == 3 * MIB


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_an_upload_of_larger_parts_begins_with_three_of_its_own() -> None:
    pool = BufferPool(16 * MIB)
    small = await pool.take(MIB)
    with anyio.fail_after(PATIENCE_S / 2):  # nobody has to be patient for these
        large = [await pool.take(4 * MIB) for _ in range(2)]
    assert pool.in_use_bytes == 9 * MIB
    for buffer in (small, *large):
        pool.give_back(buffer)
    pool.close()


@pytest.mark.anyio
async def test_a_lease_returns_what_its_holder_forgot() -> None:
    budget = Budget(TransferOptions(max_memory_bytes=2 * MIB))
    lease = budget.lease()
    await lease.take(MIB, may_grow=True)
    await lease.take(MIB, may_grow=True)
    lease.settle()
    assert budget.buffers.in_use_bytes == 0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_a_store_that_asks_for_less_gets_less_and_later_more() -> None:
    gate = SendGate(8)
    gate.slow_down()
    gate.slow_down()  # the same burst
    assert gate.limit == 4
    await anyio.sleep(2)
    gate.slow_down()
    assert gate.limit == 2
    inside = most = 0

    async def pass_through() -> None:
        nonlocal inside, most
        async with gate.passage():
            inside += 1
            most = max(most, inside)
            await anyio.sleep(1)
            inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(pass_through)
    assert most == 2
    for _ in range(100):
        gate.went_well()
    assert gate.limit == 8


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_all_senders_together_keep_to_the_bandwidth() -> None:
    bandwidth = Bandwidth(10 * MIB)
    began_s = anyio.current_time()

    async def send() -> None:
        for _ in range(5):
            await bandwidth.pay(MIB)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(send)
    await bandwidth.pay(0)
    assert anyio.current_time() - began_s == pytest.approx(2.0)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_a_part_without_progress_is_sent_again(
    store: MemoryStore, target: Target, tmp_path: Path
) -> None:
    options = TransferOptions(part_size_bytes=MIB, max_memory_bytes=4 * MIB, stall_timeout_s=60)
    body = some_bytes(2 * MIB)
    store.delay("upload_part", 3600, part_number=2)
    began_s = anyio.current_time()
    await published(store, target, written(tmp_path / "f", body), options)
    assert store.objects[target.key].body == body
    assert 60 <= anyio.current_time() - began_s < 120


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_slow_down_lowers_what_is_in_flight_and_the_upload_ends_well(
    store: MemoryStore, target: Target, tmp_path: Path
) -> None:
    options = TransferOptions(part_size_bytes=MIB, max_memory_bytes=8 * MIB)
    budget = Budget(options)
    body = some_bytes(12 * MIB)
    store.fail("upload_part", SlowDownError("503"), times=6)
    await published(store, target, written(tmp_path / "f", body), options, budget=budget)
    assert store.objects[target.key].body == body


def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(buffers, "Buffer", refuse)


@pytest.mark.anyio
async def test_without_memory_for_another_buffer_one_waits_for_those_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = BufferPool(4 * MIB)
    held = await pool.take(MIB)
    short_of_memory(monkeypatch)
    taken: list[object] = []

    async def take() -> None:
        taken.append(await pool.take(MIB))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            assert taken == []
            pool.give_back(held)
    assert taken == [held]


@pytest.mark.anyio
async def test_memory_that_is_refused_fails_whoever_asked_and_not_who_gave_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = BufferPool(2 * MIB)
    held = await pool.take(MIB)
    short_of_memory(monkeypatch)
    refused: list[OSError] = []

    async def take() -> None:
        try:
            await pool.take(2 * MIB)  # larger than the one that comes back
        except OSError as error:
            refused.append(error)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            pool.give_back(held)
    assert [error.errno for error in refused] == [errno.ENOMEM]
    assert pool.in_use_bytes == 0
