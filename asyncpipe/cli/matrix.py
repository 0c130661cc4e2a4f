"""``asyncpipe matrix``: the plan of many builds, for a workflow's matrix."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asyncpipe.cli import step
from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import PREFIX, Command, Option
from asyncpipe.cli.outdated.asked import INDEXES, OLDER_THAN, asked_of

if TYPE_CHECKING:
    from asyncpipe.cli.outdated.asked import Asked
    from asyncpipe.errors import TemplateError
    from asyncpipe.run import shares
    from asyncpipe.run.units.load import Unit
    from asyncpipe.settings import Settings

_CATALOG_S = 60.0  # a store that takes longer is not waited for: durations are a help, no more
_MAX_JOBS = 256  # of one matrix: https://docs.github.com/actions/reference/limits


@click.command(cls=Command)
@shared.templates()
@shared.SELECTION
@click.option(
    "--changed-since",
    cls=Option,
    envvar=f"{PREFIX}CHANGED_SINCE",
    show_envvar=True,
    metavar="REF",
    help="Only what a change since this commit touches.",
)
@click.option(
    "--outdated",
    cls=Option,
    envvar=f"{PREFIX}OUTDATED",
    show_envvar=True,
    is_flag=True,
    help="Only what `asyncpipe outdated` has a reason for, and what was never published.",
)
@OLDER_THAN
@INDEXES
@click.option(
    "--runners",
    "job_count",
    cls=Option,
    envvar=f"{PREFIX}RUNNERS",
    show_envvar=True,
    type=click.IntRange(min=1, max=_MAX_JOBS),
    default=_MAX_JOBS,
    show_default="a job for each build",
    help="Spread the builds over at most so many jobs.",
)
@shared.JOBS
@shared.RETRIES
@shared.BUILD_TIMEOUT
@shared.DESTINATION
@shared.STORE
def matrix(changed_since: str | None, job_count: int, *, outdated: bool, **given: Any) -> int:
    """Print which TEMPLATEs [default: templates] to build in which job, as a JSON list.

    The list has one object per job ({"name", "runner", "units", "templates", "only", "expected_s",
    "timeout_minutes"}), the longest first, and is [] when nothing is to be built: guard the job
    with `if: matrix != '[]'`. How long each build took before is read from --destination. A
    template that cannot be read is named and makes the exit code 3; the others are planned all the
    same. Two builds that would publish to one place are refused.

    As a step of GitHub Actions it sets the outputs `matrix`, `count` and `exit-code`.
    """
    import anyio

    from asyncpipe.cli.run.folders import refuse_workspace
    from asyncpipe.run.shares import Limits
    from asyncpipe.settings import Settings

    given["templates"] = given["templates"] or ("templates",)
    asked = asked_of(given)
    settings = Settings.of(given, environment=dict(os.environ))
    refuse_workspace(settings)
    limits = Limits(
        at_once=settings.jobs,
        retries=settings.retries,
        build_timeout_s=settings.build_timeout_s,
    )
    broken: list[TemplateError] = []
    pieces = anyio.run(_pieces, settings, changed_since, asked if outdated else None, broken)
    return _show(pieces, job_count, limits, broken)


def _show(
    pieces: Sequence[shares.Piece],
    job_count: int,
    limits: shares.Limits,
    broken: Sequence[TemplateError],
) -> int:
    from asyncpipe.run import shares

    for error in broken:
        click.echo(f"asyncpipe: {error.message}", err=True)
        step.failed("matrix", error.message, error.hint, error.exit_code, file=error.file)
    plan = json.dumps(shares.over_jobs(pieces, job_count, limits))
    click.echo(plan)
    exit_code = broken[0].exit_code if broken else 0
    step.hand_on({"matrix": plan, "count": str(len(pieces)), "exit-code": str(exit_code)})
    return exit_code


async def _pieces(
    settings: Settings,
    changed_since: str | None,
    asked: Asked | None,
    broken: list[TemplateError],
) -> list[shares.Piece]:
    from asyncpipe.errors import TemplateError
    from asyncpipe.run import shares
    from asyncpipe.run.units import collisions, discover, load
    from asyncpipe.run.units.git_changes import changed_files

    root = Path.cwd()
    templates = []
    for path in discover.discover(settings.templates, root):
        try:
            templates += load.read_templates(settings, [path])
        except TemplateError as error:  # the others are still planned
            broken.append(error)
    units = load.units_of(settings, templates, root, say=_say)
    collisions.refuse_shared_places(units)
    if changed_since:
        files = await changed_files(changed_since, root, settings.environment)
        loaded = {unit.name: unit.template for unit in units}
        names = set(shares.changed(loaded, files, root))
        units = [unit for unit in units if unit.name in names]
    if asked is not None:
        units = await _with_reason(units, settings, asked)
    known = await _durations(settings)
    return [
        shares.Piece(
            unit=unit.name,
            template=str(unit.template.path),
            duration_s=shares.duration_of(unit.place, unit.name, known),
            packer_name=unit.packer_name if unit.only else "",
        )
        for unit in units
    ]


async def _with_reason(units: Sequence[Unit], settings: Settings, asked: Asked) -> list[Unit]:
    """Those whose latest version is outdated, or that have none; warns of what is not judged."""
    from asyncpipe.cli.outdated.examine import examine, is_outdated
    from asyncpipe.stores.open import open_store

    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        places = {unit.place for unit in units}
        found = await examine(store, asked, settings, Path.cwd(), among=places)
    for one in found:
        if one.problem and not is_outdated(one):
            text = f"{one.entry.short_id} is not planned, for it could not be judged: {one.problem}"
            _say(text)
            step.warn("matrix", text)
    fresh = {one.entry.short_id for one in found if not is_outdated(one)}
    return [unit for unit in units if unit.place not in fresh]


def _say(sentence: str) -> None:
    click.echo(f"asyncpipe: {sentence}", err=True)


async def _durations(settings: Settings) -> dict[str, float]:
    """Past durations by unit and by system; empty before the first publication."""
    import anyio

    from asyncpipe import catalog
    from asyncpipe.errors import UploadError, UsageError
    from asyncpipe.stores.open import open_store

    try:
        with anyio.fail_after(_CATALOG_S):
            async with open_store(
                settings.destination, environment=settings.environment, options=settings.store
            ) as store:
                listing = await catalog.list_versions(store)
    except (UploadError, UsageError) as error:
        _no_durations(error.message)
        return {}
    except TimeoutError:
        _no_durations(f"no answer from {settings.destination} within {_CATALOG_S:g} s")
        return {}
    oldest_first = sorted(listing.versions, key=lambda entry: entry.timestamp)
    known: dict[str, float] = {}
    for entry in oldest_first:
        if entry.build.duration_s:
            known[entry.short_id] = known[entry.build.unit] = entry.build.duration_s
    return known


def _no_durations(why: str) -> None:
    """Warn that every build counts alike; the plan is still made."""
    text = f"Past durations could not be read, every build is expected to take 30 minutes: {why}"
    click.echo(f"asyncpipe: {text}", err=True)
    step.warn("matrix", text)
