"""Many builds in one process: slots, one budget for the disk, outcomes as values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from asyncpipe.errors import (
    EXIT_SOME_FAILED,
    EXIT_UNEXPECTED,
    BuildTimedOutError,
    PackerFailedError,
    UsageError,
    leaf_of,
)
from asyncpipe.model.publication import Failed, Outcome
from asyncpipe.system.disk import Disk
from asyncpipe.system.logger import structlog
from asyncpipe.text.format import size_text
from asyncpipe.text.safe import printable

logger = structlog.get_logger()

# what a second try may mend
_RETRIED_EXIT_CODES = {PackerFailedError.exit_code, BuildTimedOutError.exit_code}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A unit that may start: its plan for each attempt, and the disk it will need."""

    name: str
    template_path: str
    expected_bytes: int
    run: Callable[[int], Awaitable[Outcome]] = field(repr=False)  # attempt, from 0
    written_bytes: Callable[[], int] = field(default=lambda: 0, repr=False)  # of the export, so far


class DiskBudget:
    """Lets a build start only when its largest expected XVA fits beside those already running."""

    def __init__(self, free_bytes: Callable[[], int]) -> None:
        self._free_bytes = free_bytes
        self._running: list[Job] = []
        self._freed = anyio.Condition()

    @asynccontextmanager
    async def reserve(self, job: Job) -> AsyncIterator[None]:
        """Wait for room.

        Raises:
            UsageError: there is not enough even with nothing else running.
        """
        async with self._freed:
            while True:
                running = tuple(self._running)
                room_bytes = await self._room_bytes(running)
                if room_bytes >= job.expected_bytes:
                    break
                if not running:
                    raise UsageError(
                        f"The disk has {size_text(room_bytes)} free; the XVA may need "
                        f"{size_text(job.expected_bytes)}.",
                        hint="Free some space, or put --work-directory on a larger disk.",
                    )
                await self._freed.wait()
            self._running.append(job)
        try:
            yield
        finally:
            # no await between the build's end and this: a cancelled waiter must see it too
            self._running.remove(job)
            with anyio.CancelScope(shield=True):
                async with self._freed:
                    self._freed.notify_all()

    async def _room_bytes(self, running: Sequence[Job]) -> int:
        """What is free, less what the running builds will still write."""

        def look() -> int:
            left = (max(0, job.expected_bytes - job.written_bytes()) for job in running)
            return self._free_bytes() - sum(left)

        return await Disk("room").call(look)


async def process_matrix(
    jobs: Sequence[Job],
    *,
    at_once: int,
    disk: DiskBudget,
    fail_fast: bool = False,
    retries: int = 0,
    on_retry: Callable[[str, str], None] = lambda _unit, _message: None,
    on_outcome: Callable[[Outcome], None] = lambda _outcome: None,
) -> tuple[Outcome, ...]:
    """Run every job, ``at_once`` at a time; outcomes in the order of ``jobs``.

    Whatever a job raises is its own outcome: no fault of one template ends another.

    ``on_outcome`` gets each as it ends, so that a cancelled matrix knows what was done.

    With ``fail_fast`` no further job starts after a failure; those that run go on to their end.
    """
    outcomes: dict[str, Outcome] = {}
    slots = anyio.Semaphore(at_once)

    async def outcome_of(job: Job) -> Outcome:
        if fail_fast and any(isinstance(o, Failed) for o in outcomes.values()):
            message = "Not started: an earlier template failed (--fail-fast)."
            return _failed(job, message, EXIT_SOME_FAILED, started=False)
        try:
            async with disk.reserve(job):
                return await _attempts(job, retries, on_retry)
        except UsageError as error:
            return _failed(job, error.message, error.exit_code, hint=error.hint)
        except Exception as error:
            logger.exception("build.unexpected", unit=job.name)
            leaf = leaf_of(error)
            words = printable(str(leaf)) or type(leaf).__name__
            return _failed(job, words, EXIT_UNEXPECTED)

    async def run(job: Job) -> None:
        try:
            outcomes[job.name] = await outcome_of(job)
            on_outcome(outcomes[job.name])
        finally:
            slots.release()

    async with anyio.create_task_group() as tasks:
        for job in jobs:
            await slots.acquire()  # here, so that they start in the order they were named
            tasks.start_soon(run, job)
    return tuple(outcomes[job.name] for job in jobs)


async def _attempts(job: Job, retries: int, on_retry: Callable[[str, str], None]) -> Outcome:
    for attempt in range(retries):
        outcome = await job.run(attempt)
        if not isinstance(outcome, Failed) or outcome.exit_code not in _RETRIED_EXIT_CODES:
            return outcome
        on_retry(job.name, f"Attempt {attempt + 1} failed ({outcome.error}); building again.")
    return await job.run(retries)


def _failed(
    job: Job, error: str, exit_code: int, *, hint: str = "", started: bool = True
) -> Failed:
    return Failed(
        unit=job.name,
        template_path=job.template_path,
        error=error,
        hint=hint,
        exit_code=exit_code,
        started=started,
    )
