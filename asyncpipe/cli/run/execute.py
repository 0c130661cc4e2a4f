"""Composes a run: what was prepared -> adapters -> the matrix -> report and exit code."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import click

from asyncpipe.cli import gc
from asyncpipe.cli.boot.tester import boot_tester_of
from asyncpipe.cli.run import folders, report
from asyncpipe.cli.run.earlier import published_earlier
from asyncpipe.cli.run.hosts import build_host, end_before
from asyncpipe.cli.run.prepare import Prepared, fresh_folder, prepare
from asyncpipe.cli.run.signals import Announcer, cancelled_by_signals
from asyncpipe.cli.run.views import write_views
from asyncpipe.cli.signing.keys import signer_of
from asyncpipe.errors import (
    EXIT_CANCELLED,
    EXIT_PUBLISHED,
    DestinationTakenError,
    UsageError,
)
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.model.events import RunStarted, Warned
from asyncpipe.model.publication import Outcome
from asyncpipe.model.run import RunFacts
from asyncpipe.ports import ObjectStore, Reporter
from asyncpipe.run import artifact, pipeline, plan, scheduler
from asyncpipe.run.claim import claimed, placed
from asyncpipe.run.origin import run_facts
from asyncpipe.run.origin.parent import named_parent
from asyncpipe.run.services import Services
from asyncpipe.run.state import Built, alone, read_run
from asyncpipe.settings import Settings
from asyncpipe.stores.open import open_store
from asyncpipe.system.files import make_folder
from asyncpipe.system.logfile import DiskLogFiles
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text import mask
from asyncpipe.upload.budget import Budget

NEXT_SECOND_S = 1.0  # a run's timestamp has whole seconds


def run_build(settings: Settings) -> int:
    """Build and publish what ``settings`` name; returns the exit code."""
    if not settings.templates and not settings.resume:
        raise UsageError(
            "No template was named.", hint="Write for example: asyncpipe build templates/debian/12"
        )
    return anyio.run(_run, settings)


async def _run(settings: Settings) -> int:
    exit_code = EXIT_CANCELLED
    async with cancelled_by_signals() as announcer:
        prepared = await prepare(settings)
        if settings.dry_run:
            shown = report.dry_run(prepared.plans, settings.destination)
            click.echo(mask.text(shown, prepared.secrets), nl=False)
            exit_code = EXIT_PUBLISHED
        else:
            from asyncpipe.cli.run.plugins import furnish_plugins  # no other run needs Packer

            await furnish_plugins(prepared)
            while (ended := await execute(prepared, announcer)) is None:
                await anyio.sleep(NEXT_SECOND_S)
                prepared = await prepare(settings)
            exit_code = ended
    return exit_code


async def execute(
    prepared: Prepared,
    announcer: Announcer,
    *,
    built: Built | None = None,
    facts: RunFacts | None = None,
) -> int | None:
    """Run what was prepared and return the exit code.

    With ``built`` only the publication is left to do, and the caller holds the run's folder.
    ``facts`` about ``prepared.root`` are gathered where the caller has none.
    None: another run has claimed this second for one of the versions, and nothing was done.
    """
    settings = prepared.settings
    tester = boot_tester_of(settings, [one.template for one in prepared.plans])
    signer = await signer_of(settings)
    ending = _Ending(prepared)
    facts = facts or await run_facts.gather(
        SystemProcessRunner(), environment=settings.environment, cwd=prepared.root
    )
    async with (
        report.own_log(settings),
        open_store(
            settings.destination, environment=settings.environment, options=settings.store
        ) as store,
        Budget(settings.transfer) as budget,
        AsyncExitStack() as stack,
    ):
        gc.settle()
        await store.probe()
        if not await _enter(prepared, store, stack, built):
            return None
        await _take_places(prepared, store, facts, stack)
        parent = await named_parent(store, settings.parent) if settings.parent else None
        earlier_urls = await _begin(prepared, store)
        with report.open_reporter(prepared, sys.stdout) as reporter:
            announcer.emit = reporter.emit
            reporter.emit(_run_started(prepared))
            services = replace(
                _services(prepared, store, budget, reporter, facts),
                parent=parent,
                signer=signer,
                boot_tester=tester,
            )
            try:
                async with ending.reported(services, earlier_urls):
                    await _run_jobs(prepared, services, ending.outcomes, built)
                    await write_views(settings, store, ending.outcomes.values(), reporter)
            finally:
                announcer.emit = None
    await report.notify(ending.finish)
    if ending.finish.exit_code == EXIT_PUBLISHED:
        report.refuse_lost_output(reporter)
    return ending.finish.exit_code


class _Ending:
    """What is known at the end of a run; ``outcomes`` fills while it runs."""

    def __init__(self, prepared: Prepared) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._started_s = time.monotonic()
        self.finish = report.Finish(
            prepared=prepared,
            outcomes=(),
            cancelled=True,  # until every build has ended
            started_utc=datetime.now(UTC),
            duration_s=0.0,
        )

    @asynccontextmanager
    async def reported(
        self, services: Services, earlier_urls: tuple[str, ...]
    ) -> AsyncIterator[None]:
        """Report what became of every build, of a cancelled run too."""
        plans = self.finish.prepared.plans
        done_before = sum(_is_published(one, services) for one in plans)
        try:
            yield
            self.finish = replace(self.finish, cancelled=False)
        finally:
            await services.journal.settle()
            self.finish = replace(
                self.finish,
                # as they were named, whatever ended first; a cancelled unit has none
                outcomes=tuple(
                    self.outcomes[one.unit] for one in plans if one.unit in self.outcomes
                ),
                duration_s=time.monotonic() - self._started_s,
                done_before=done_before,
                earlier_urls=earlier_urls,
            )
            await report.tell(self.finish, services.reporter)


async def _begin(prepared: Prepared, store: ObjectStore) -> tuple[str, ...]:
    """Open the journal; returns where an earlier attempt of the workflow published."""
    journal = prepared.journal
    earlier = await published_earlier(prepared.settings, store, prepared.plans)
    claimed = {
        one.unit: plan.folder_key(one.static_identity, one.unit, one.variant, one.timestamp)
        for one in prepared.plans
    }
    await journal.open({one.unit: str(one.template.path) for one in prepared.plans}, claimed)
    for unit, entry in earlier.items():
        await journal.note(unit, UnitState.PUBLISHED, folder_key=entry.folder_key)
    await anyio.to_thread.run_sync(folders.ignore, prepared.new_folders)
    report.announce(prepared)
    return tuple(store.url_of(one.folder_key) for one in earlier.values())


async def _enter(
    prepared: Prepared, store: ObjectStore, stack: AsyncExitStack, built: Built | None
) -> bool:
    """Be the only process at this run, and the only run at its folders; False: they are taken.

    Raises:
        UsageError: the run is at work already, or what it had left cannot be ended.
        DestinationTakenError: the folders of the run to resume belong to another run.
    """
    settings, journal = prepared.settings, prepared.journal
    for one in prepared.plans:
        build_host(settings, one)  # refuses what could not be cleaned up
    if settings.resume:
        stack.enter_context(alone(journal.folder))
        await end_before(settings, read_run(journal.folder))
    keys = [
        built.folder_key
        if built
        else plan.folder_key(one.static_identity, one.unit, one.variant, one.timestamp)
        for one in prepared.plans
        if journal.state_of(one.unit) is not UnitState.PUBLISHED
    ]
    resumed = bool(settings.resume or journal.units)
    claims = claimed(store, keys, journal.run_id, resumed=resumed)
    is_free = await stack.enter_async_context(claims)
    if resumed and not is_free:
        raise DestinationTakenError(
            f"Another run publishes what {journal.run_id} would: both began in one second.",
            hint="Start a new run; it has a timestamp of its own.",
        )
    if is_free and not settings.resume and built is None:
        stack.enter_context(alone(journal.folder))
    return is_free


async def _take_places(
    prepared: Prepared, store: ObjectStore, facts: RunFacts, stack: AsyncExitStack
) -> None:
    def is_published(unit: str) -> bool:
        return prepared.journal.state_of(unit) is UnitState.PUBLISHED

    left = [one for one in prepared.plans if not is_published(one.unit)]
    take_over = prepared.settings.take_over
    places = placed(store, left, facts, take_over=take_over, is_published=is_published)
    for warning in await stack.enter_async_context(places):
        click.echo(f"asyncpipe: {warning}", err=True)


def _services(
    prepared: Prepared, store: ObjectStore, budget: Budget, reporter: Reporter, facts: RunFacts
) -> Services:
    settings, journal = prepared.settings, prepared.journal
    return Services(
        runner=SystemProcessRunner(),
        log_files=DiskLogFiles(),
        store=store,
        budget=budget,
        reporter=reporter,
        journal=journal,
        facts=replace(facts, run_id=journal.run_id),
        secrets=prepared.secrets,
        transfer=settings.transfer,
        zstd=settings.zstd,
        eager=_eager(settings, store),
        keep_xva=settings.keep_xva,
        take_over=settings.take_over,
        host_of=partial(build_host, settings),
    )


def _eager(settings: Settings, store: ObjectStore) -> bool:
    return store.url.startswith("s3:") if settings.eager is None else settings.eager


def _run_started(prepared: Prepared) -> RunStarted:
    return RunStarted(
        run_id=prepared.journal.run_id,
        units=tuple(one.unit for one in prepared.plans),
        destination=prepared.settings.destination,
    )


async def _run_jobs(
    prepared: Prepared, services: Services, outcomes: dict[str, Outcome], built: Built | None
) -> None:
    settings = prepared.settings
    disk = scheduler.DiskBudget(lambda: shutil.disk_usage(prepared.journal.folder).free)
    left = [one for one in prepared.plans if not _is_published(one, services)]
    jobs = [_job(one, services, built) for one in left]

    for one in prepared.plans:
        if _is_published(one, services):
            place = services.store.url_of(services.journal.units[one.unit].folder_key)
            message = f"already published: {place}"
            services.reporter.emit(Warned(unit=one.unit, code="resume", message=message))

    def on_retry(unit: str, message: str) -> None:
        services.reporter.emit(Warned(unit=unit, code="retry", message=message))

    await scheduler.process_matrix(
        jobs,
        at_once=settings.jobs,
        disk=disk,
        fail_fast=settings.fail_fast,
        retries=settings.retries,
        on_retry=on_retry,
        on_outcome=lambda outcome: outcomes.__setitem__(outcome.unit, outcome),
    )


def _is_published(one: BuildPlan, services: Services) -> bool:
    return services.journal.state_of(one.unit) is UnitState.PUBLISHED


def _built_before(one: BuildPlan, services: Services) -> tuple[BuildPlan, Built] | None:
    """What an earlier process had built, and the plan in its folder: the upload goes on there."""
    known = services.journal.units.get(one.unit)
    if known is None or known.state is not UnitState.BUILT:
        return None
    folder = Path(known.run_directory)
    ready = Built.read(folder)
    return (plan.moved(one, folder), ready) if ready else None


def _job(one: BuildPlan, services: Services, built: Built | None) -> scheduler.Job:
    output = one.output_directory

    async def run(attempt: int) -> Outcome:
        nonlocal output
        if built is not None:
            return await pipeline.publish_built(one, services, built)
        before = _built_before(one, services) if attempt == 0 else None
        if before is not None:
            again, ready = before
            return await pipeline.publish_built(again, services, ready)
        folder = fresh_folder(one.run_directory)
        again = plan.moved(one, folder) if folder != one.run_directory else one
        output = again.output_directory
        make_folder(folder, mode=0o700)
        return await pipeline.process_template(again, services)

    expected_bytes = plan.expected_size_bytes(one.template) or 0
    return scheduler.Job(
        name=one.unit,
        template_path=str(one.template.path),
        expected_bytes=expected_bytes,
        run=run,
        written_bytes=lambda: artifact.written_bytes(output),
    )
