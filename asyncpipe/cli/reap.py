"""``asyncpipe reap``: clean up what interrupted runs left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asyncpipe.cli import step
from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command
from asyncpipe.cli.options.host import HOST
from asyncpipe.cli.options.values import DURATION, PATH

if TYPE_CHECKING:
    from asyncpipe import reap as reaping
    from asyncpipe.model.documents.run_state import KnownRun
    from asyncpipe.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What a person asked for."""

    grace_s: float
    keep: bool
    dry_run: bool


@click.command(cls=Command)
@click.option(
    "--older-than",
    "older_than_s",
    type=DURATION,
    default="1d",
    show_default=True,
    metavar="TIME",
    help="Leave younger uploads and half-published folders: they may still be at work.",
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    type=PATH,
    metavar="RUN",
    help="Finish this interrupted run: its folder, its name, or `last`.",
)
@click.option("--if-any", is_flag=True, help="With --run last: no run to clean up is no failure.")
@click.option("--keep", is_flag=True, help="Keep the output folders of the run.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@shared.grace()
@shared.AS_JSON
@shared.WORK_DIRECTORY
@shared.DESTINATION
@HOST
@shared.STORE
@click.pass_context
def reap(
    ctx: click.Context,
    /,
    *,
    older_than_s: float,
    runs: Sequence[Path],
    if_any: bool,
    keep: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Clean up what interrupted runs left behind.

    Without --run: aborts uploads of ours that nobody completed and removes half-published
    folders. With --run: stops Packer if it still runs, removes uploads and what the run had half
    published (where it published, unless --destination is given). At the host it removes VMs,
    disks and images of the run, with the credentials of the build (PKR_VAR_remote_*).

    Exit code 0: nothing is left open; 40: something could not be removed, or could not be looked
    for.
    """
    import anyio

    from asyncpipe.errors import UploadError
    from asyncpipe.run.state import alone, find_run, newest_ended, read_run
    from asyncpipe.settings import Settings

    settings = Settings.of(given, environment=dict(os.environ))
    how = _How(grace_s=settings.grace_s, keep=keep, dry_run=dry_run)
    if runs and if_any and not newest_ended(settings.work_directory) and "last" in map(str, runs):
        click.echo("There is no run to clean up after.")
        return 0
    if runs:
        is_named = ctx.get_parameter_source("destination") is click.core.ParameterSource.COMMANDLINE
        results = []
        for folder in [find_run(str(name), settings.work_directory) for name in runs]:
            one = read_run(folder)
            with alone(folder):
                destination = "" if is_named else one.record.destination
                results.append(anyio.run(_reap_run, one, settings, destination, how))
    else:
        before_utc = datetime.now(UTC) - timedelta(seconds=older_than_s)
        results = [anyio.run(_sweep, settings, before_utc, how)]
    _print(results, as_json=as_json, dry_run=dry_run)
    exit_code = UploadError.exit_code if any(result.left_open for result in results) else 0
    _tell_step(results, exit_code)
    return exit_code


def _tell_step(results: Sequence[reaping.Reaped], exit_code: int) -> None:
    """As a step of GitHub Actions: what could not be removed, and the exit code."""
    for result in results:
        for finding in result.findings:
            if finding.problem:
                step.warn("reap", f"{_line(finding, dry_run=False)}")
        for warning in result.warnings:
            step.warn("reap", warning)
    step.hand_on({"exit-code": str(exit_code)})


async def _sweep(settings: Settings, before_utc: datetime, how: _How) -> reaping.Reaped:
    from asyncpipe import reap as reaping
    from asyncpipe.stores.open import open_store

    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        return await reaping.sweep(
            store, before_utc=before_utc, dry_run=how.dry_run, options=settings.transfer
        )


async def _reap_run(
    run: KnownRun, settings: Settings, destination: str, how: _How
) -> reaping.Reaped:
    from asyncpipe import reap as reaping
    from asyncpipe.cli.run.hosts import host_opener
    from asyncpipe.stores.open import open_store
    from asyncpipe.system.groups import ProcessGroups

    async with open_store(
        destination or settings.destination,
        environment=settings.environment,
        options=settings.store,
    ) as store:
        return await reaping.reap_run(
            run,
            store,
            ProcessGroups(),
            dry_run=how.dry_run,
            keep_files=how.keep,
            grace_s=how.grace_s,
            options=settings.transfer,
            open_host=host_opener(settings),
        )


def _print(results: Sequence[reaping.Reaped], *, as_json: bool, dry_run: bool) -> None:
    findings = [finding for result in results for finding in result.findings]
    warnings = [warning for result in results for warning in result.warnings]
    if as_json:
        document = {
            "schema_version": 1,
            "dry_run": dry_run,
            "findings": [asdict(finding) for finding in findings],
            "warnings": warnings,
            "left_open": any(result.left_open for result in results),
        }
        click.echo(json.dumps(document, indent=2))
        return
    for finding in findings:
        click.echo(_line(finding, dry_run=dry_run))
    for warning in warnings:
        click.echo(f"asyncpipe: {warning}", err=True)
    if not findings:
        click.echo("Nothing was left behind.")


def _line(finding: reaping.Finding, *, dry_run: bool) -> str:
    if finding.removed:
        outcome = "removed"
    elif finding.problem:
        outcome = f"LEFT ({finding.problem})"
    else:
        outcome = "would be removed" if dry_run else "to look at"
    advice = f"\n  -> {finding.advice}" if finding.advice else ""
    return f"{outcome}: {finding.kind.value}: {finding.what}{advice}"
