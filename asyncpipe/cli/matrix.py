"""``asyncpipe matrix``: the plan of many builds, for a workflow's matrix."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncpipe.errors import TemplateError
    from asyncpipe.settings import Settings

_GIT_S = 60.0
_MAX_DIFF_BYTES = 64 * 1024 * 1024


@click.command(cls=Command)
@shared.templates()
@shared.SELECTION
@click.option(
    "--changed-since", metavar="REF", help="Only what a change since this commit touches."
)
@click.option(
    "--runners",
    type=click.IntRange(min=1, max=256),
    default=1,
    show_default=True,
    help="Runners to spread over.",
)
@shared.DESTINATION
@shared.STORE
def matrix(changed_since: str | None, runners: int, **given: Any) -> int:
    """Print which TEMPLATEs [default: templates] to build on which runner, as a JSON list.

    The list has one object per runner ({"runner", "units", "templates", "expected_s"}) and is []
    when nothing is to be built: guard the job with `if: matrix != '[]'`. How long each build took
    before is read from --destination. A template that cannot be read is named and makes the exit
    code 3; the others are planned all the same.
    """
    import anyio

    from asyncpipe.settings import Settings

    given["templates"] = given["templates"] or ("templates",)
    settings = Settings.of(given, environment=dict(os.environ))
    broken: list[TemplateError] = []
    plan = anyio.run(_plan, settings, changed_since, runners, broken)
    for error in broken:
        click.echo(f"asyncpipe: {error.message}", err=True)
    click.echo(json.dumps(plan))
    return broken[0].exit_code if broken else 0


async def _plan(
    settings: Settings,
    changed_since: str | None,
    runner_count: int,
    broken: list[TemplateError],
) -> list[dict[str, object]]:
    from asyncpipe.errors import TemplateError
    from asyncpipe.run import shares
    from asyncpipe.run.units import collisions, discover, load

    root = Path.cwd()
    templates = []
    for path in discover.discover(settings.templates, root):
        try:
            templates += load.read_templates(settings, [path])
        except TemplateError as error:  # the others are planned all the same
            broken.append(error)
    units = load.units_of(settings, templates, root, say=_say)
    collisions.refuse_shared_places(units)
    if changed_since:
        files = await _changed_files(changed_since, root, settings.environment)
        loaded = {unit.name: unit.template for unit in units}
        names = set(shares.changed(loaded, files, root))
        units = [unit for unit in units if unit.name in names]
    known = await _durations(settings)
    pieces = [
        shares.Piece(
            unit=unit.name,
            template=str(unit.template.path),
            duration_s=shares.duration_of(unit.place, unit.name, known),
        )
        for unit in units
    ]
    return shares.over_runners(pieces, runner_count)


def _say(sentence: str) -> None:
    click.echo(f"asyncpipe: {sentence}", err=True)


async def _changed_files(ref: str, root: Path, environment: Mapping[str, str]) -> list[Path]:
    from asyncpipe.errors import UsageError
    from asyncpipe.ports import Command
    from asyncpipe.system.capture import capture
    from asyncpipe.system.process import SystemProcessRunner

    # --end-of-options: a name that begins with a dash is a name; --relative: paths from here
    arguments = ("--name-only", "--no-renames", "--relative", "-z", "--end-of-options", ref, "--")
    command = Command(argv=("git", "diff", *arguments), cwd=root, environment=environment)
    answer = await capture(
        SystemProcessRunner(), command, timeout_s=_GIT_S, max_bytes=_MAX_DIFF_BYTES
    )
    if answer.return_code != 0:
        raise UsageError(
            f"git does not know the commit {ref!r}, or this is no checkout.",
            hint="In a workflow, fetch the history: actions/checkout with fetch-depth: 0.",
        )
    return [Path(name) for name in answer.text.split("\0") if name]


async def _durations(settings: Settings) -> dict[str, float]:
    """Past durations by unit and by system; empty where there is no catalogue yet."""
    from asyncpipe import catalog
    from asyncpipe.errors import UploadError, UsageError
    from asyncpipe.stores.open import open_store

    try:
        async with open_store(
            settings.destination, environment=settings.environment, options=settings.store
        ) as store:
            listing = await catalog.list_versions(store)
    except (UploadError, UsageError) as error:
        click.echo(f"asyncpipe: no past durations: {error.message}", err=True)
        return {}
    oldest_first = sorted(listing.versions, key=lambda entry: entry.timestamp)
    known: dict[str, float] = {}
    for entry in oldest_first:
        if entry.build.duration_s:
            known[entry.short_id] = known[entry.build.unit] = entry.build.duration_s
    return known
