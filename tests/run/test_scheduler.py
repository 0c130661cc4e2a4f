from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial

import anyio
import pytest

from asyncpipe.errors import UsageError
from asyncpipe.model.publication import Failed, Outcome
from asyncpipe.report import exit_code
from asyncpipe.report.console import table
from asyncpipe.run import scheduler

pytestmark = pytest.mark.anyio


def failed(unit: str, exit_code: int = 20) -> Failed:
    return Failed(unit=unit, template_path=unit, error="no", hint="", exit_code=exit_code)


def job(name: str, run: Callable[[int], object], expected_bytes: int = 0) -> scheduler.Job:
    async def start(attempt: int) -> Outcome:
        await anyio.lowlevel.checkpoint()
        outcome = run(attempt)
        assert isinstance(outcome, Failed)
        return outcome

    return scheduler.Job(name=name, template_path=name, expected_bytes=expected_bytes, run=start)


def roomy() -> scheduler.DiskBudget:
    return scheduler.DiskBudget(lambda: 1 << 40)


async def test_outcomes_come_in_the_order_of_the_jobs_whatever_ends_first() -> None:
    async def slow(_attempt: int) -> Outcome:
        await anyio.lowlevel.checkpoint()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        return failed("slow")

    first = scheduler.Job(name="slow", template_path="slow", expected_bytes=0, run=slow)
    jobs = [first, job("quick", lambda _: failed("quick"))]
    outcomes = await scheduler.process_matrix(jobs, at_once=2, disk=roomy())
    assert [outcome.unit for outcome in outcomes] == ["slow", "quick"]


async def test_with_fail_fast_nothing_starts_after_a_failure() -> None:
    jobs = [job(name, partial(lambda n, _: failed(n), name)) for name in ("a", "b", "c")]
    outcomes = await scheduler.process_matrix(jobs, at_once=1, disk=roomy(), fail_fast=True)
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
    assert errors[0] == "no"
    assert all("Not started" in error for error in errors[1:])
    assert [one.started for one in outcomes if isinstance(one, Failed)] == [True, False, False]
    assert exit_code.of(outcomes, template_count=3) == 4
    shown = table.closing(outcomes)
    assert shown.count("not started") == 2
    assert "FAILED (1)" not in shown


async def test_a_failed_build_is_tried_again_only_when_asked_and_told() -> None:
    attempts: list[int] = []
    told: list[str] = []

    def run(attempt: int) -> Failed:
        attempts.append(attempt)
        return failed("a")

    await scheduler.process_matrix(
        [job("a", run)],
        at_once=1,
        disk=roomy(),
        retries=2,
        on_retry=lambda unit, message: told.append(f"{unit}: {message}"),
    )
    assert attempts == [0, 1, 2]
    assert len(told) == 2


async def test_an_invalid_xva_is_not_a_reason_to_try_again() -> None:
    attempts: list[int] = []

    def run(attempt: int) -> Failed:
        attempts.append(attempt)
        return failed("a", exit_code=31)

    await scheduler.process_matrix([job("a", run)], at_once=1, disk=roomy(), retries=2)
    assert attempts == [0]


async def test_a_build_that_does_not_fit_on_the_disk_waits_for_the_others() -> None:
    running: list[str] = []
    most: list[int] = []
    disk = scheduler.DiskBudget(lambda: 100)

    def make(name: str) -> scheduler.Job:
        async def run(_attempt: int) -> Outcome:
            running.append(name)
            most.append(len(running))
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            running.remove(name)
            return failed(name)

        return scheduler.Job(name=name, template_path=name, expected_bytes=60, run=run)

    with anyio.fail_after(10):
        await scheduler.process_matrix([make(n) for n in "abc"], at_once=3, disk=disk)
    assert max(most) == 1
    assert len(most) == 3


async def test_what_a_build_has_written_of_its_export_is_not_counted_twice() -> None:
    free_bytes = 100
    written_bytes = 0
    second_started = anyio.Event()
    disk = scheduler.DiskBudget(lambda: free_bytes)

    async def export(_attempt: int) -> Outcome:
        nonlocal free_bytes, written_bytes
        written_bytes, free_bytes = 50, 50
        await second_started.wait()
        return failed("a")

    def start(_attempt: int) -> Failed:
        second_started.set()
        return failed("b")

    first = scheduler.Job(
        name="a",
        template_path="a",
        expected_bytes=60,
        run=export,
        written_bytes=lambda: written_bytes,
    )

    async def later(_attempt: int) -> Outcome:
        await anyio.wait_all_tasks_blocked()
        return failed("c")

    jobs = [
        first,
        scheduler.Job(name="c", template_path="c", expected_bytes=0, run=later),
        job("b", start, expected_bytes=40),
    ]
    with anyio.fail_after(10):
        outcomes = await scheduler.process_matrix(jobs, at_once=2, disk=disk)
    assert len(outcomes) == 3


async def test_a_build_that_never_fits_fails_and_harms_nobody() -> None:
    disk = scheduler.DiskBudget(lambda: 100)
    jobs = [
        job("large", lambda _: failed("large"), expected_bytes=200),
        job("small", lambda _: failed("small"), expected_bytes=10),
    ]
    with anyio.fail_after(10):
        large, small = await scheduler.process_matrix(jobs, at_once=2, disk=disk)
    assert isinstance(large, Failed)
    assert large.exit_code == 2
    assert "The disk has 100 B free; the XVA may need 200 B." in large.error
    assert isinstance(small, Failed)
    assert small.error == "no"


async def test_a_cancelled_matrix_has_told_what_ended_before() -> None:
    ended: list[str] = []
    started = anyio.Event()

    async def forever(_attempt: int) -> Outcome:
        started.set()
        await anyio.sleep_forever()
        raise AssertionError

    jobs = [
        job("a", lambda _: failed("a")),
        scheduler.Job(name="b", template_path="b", expected_bytes=0, run=forever),
    ]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                await scheduler.process_matrix(
                    jobs, at_once=1, disk=roomy(), on_outcome=lambda o: ended.append(o.unit)
                )

            tasks.start_soon(run)
            await started.wait()
            tasks.cancel_scope.cancel()
    assert ended == ["a"]


def test_usage_errors_are_exit_code_two() -> None:
    assert UsageError.exit_code == 2


async def test_whatever_one_template_raises_the_others_go_on() -> None:
    ended: list[str] = []

    async def broken(_attempt: int) -> Outcome:
        await anyio.lowlevel.checkpoint()
        raise ExceptionGroup("two", [OSError(errno.ENOSPC, "No space left on device", "/w/a")])

    async def neighbour(_attempt: int) -> Outcome:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        ended.append("neighbour")
        return failed("neighbour")

    jobs = [
        scheduler.Job(name=name, template_path=name, expected_bytes=0, run=run)
        for name, run in (("broken", broken), ("neighbour", neighbour))
    ]
    outcomes = await scheduler.process_matrix(jobs, at_once=2, disk=roomy())
    assert ended == ["neighbour"]
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].exit_code == 1
    assert "No space left on device: '/w/a'" in outcomes[0].error
