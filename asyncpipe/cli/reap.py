"""``asyncpipe reap``: clean up what interrupted runs left behind."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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


_ELSEWHERE_S: Final = 24 * 3600.0  # no build lasts longer


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What a person asked for."""

    grace_s: float
    keep: bool
    dry_run: bool
    before_utc: datetime
    any_machine: bool
    destination: str  # as named on the command line


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
@click.option(
    "--any-machine",
    is_flag=True,
    help="At the host also remove what runs of other machines made before --older-than (1d at"
    " least: they may still be at work).",
)
@click.option("--if-any", is_flag=True, help="With --run last: no run to clean up is no failure.")
@click.option("--keep", is_flag=True, help="Keep the output folders of the run.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--yes", is_flag=True, help="Remove without asking; nobody is asked but a terminal.")
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
    yes: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Clean up what interrupted runs left behind.

    Without --run: aborts uploads of ours that nobody completed and removes half-published folders;
    at the host that PKR_VAR_remote_* or ASYNCPIPE_HOST* name, removes what ended runs of this work
    folder made, and lists what other runs did. With --run: stops Packer if it still runs, removes
    uploads and what the run had half published (where it published, unless --destination is given).
    At the host it removes VMs, disks and images of the run, with the credentials of the build
    (PKR_VAR_remote_*).

    On a terminal everything is shown with its age and size first, and removed when you say so;
    --yes, --json and runs without a terminal do not ask.

    Exit code 0: nothing is left open; 40: something could not be removed, could not be looked
    for, or was to stay when you were asked.
    """
    from asyncpipe.errors import UploadError, UsageError
    from asyncpipe.run.state import newest_ended
    from asyncpipe.settings import Settings

    any_machine = bool(given.pop("any_machine"))
    if any_machine and older_than_s < _ELSEWHERE_S:
        raise UsageError(
            "--any-machine: builds of other machines that are younger than a day may be at work.",
            hint="Say --older-than 1d, or more.",
        )
    settings = Settings.of(given, environment=dict(os.environ))
    if if_any and Path("last") in runs and not newest_ended(settings.work_directory):
        click.echo("There is no run to clean up after.")
        return 0
    how = _How(
        grace_s=settings.grace_s,
        keep=keep,
        dry_run=dry_run,
        any_machine=any_machine,
        before_utc=datetime.now(UTC) - timedelta(seconds=older_than_s),
        destination=_named_destination(ctx, settings),
    )
    asks = not (yes or as_json or dry_run) and sys.stdin.isatty()
    with _alone_with(runs, settings) as known:
        results = _clean(known, settings, replace(how, dry_run=True) if asks else how)
        if asks and any(finding.removable for one in results for finding in one.findings):
            _print(results, as_json=False, dry_run=True)
            if not click.confirm("Remove them?", default=False):
                click.echo("Nothing was removed.")
                return UploadError.exit_code
            results = _clean(known, settings, how)
    _print(results, as_json=as_json, dry_run=dry_run)
    exit_code = UploadError.exit_code if any(result.left_open for result in results) else 0
    _tell_step(results, exit_code)
    return exit_code


def _tell_step(results: Sequence[reaping.Reaped], exit_code: int) -> None:
    """As a step of GitHub Actions: what could not be removed, and the exit code."""
    for result in results:
        for finding in result.findings:
            if finding.problem:
                step.warn("reap", f"{finding.what} is left: {finding.problem} {finding.advice}")
        for warning in result.warnings:
            step.warn("reap", warning)
    step.hand_on({"exit-code": str(exit_code)})


def _named_destination(ctx: click.Context, settings: Settings) -> str:
    """That of the command line, which goes before where a run published."""
    source = ctx.get_parameter_source("destination")
    return settings.destination if source is click.core.ParameterSource.COMMANDLINE else ""


@contextmanager
def _alone_with(runs: Sequence[Path], settings: Settings) -> Iterator[list[KnownRun] | None]:
    """The named runs, until the end nobody else's; None: none was named.

    Raises:
        UsageError: a run is still active, or the folder is not a run's; nothing was touched.
    """
    from asyncpipe.run.state import alone, find_run, read_run

    folders = dict.fromkeys(find_run(str(name), settings.work_directory) for name in runs)
    known = [read_run(folder) for folder in folders]
    with ExitStack() as stack:
        for run in known:
            stack.enter_context(alone(run.folder))
        yield known if runs else None


def _clean(known: list[KnownRun] | None, settings: Settings, how: _How) -> list[reaping.Reaped]:
    import anyio

    if known is None:
        return [anyio.run(_sweep, settings, how)]
    return [anyio.run(_reap_run, run, settings, how) for run in known]


async def _sweep(settings: Settings, how: _How) -> reaping.Reaped:
    from asyncpipe import reap as reaping
    from asyncpipe.cli.run.hosts import host_opener, look_at_run, names_host
    from asyncpipe.stores.open import open_store
    from asyncpipe.system.groups import ProcessGroups

    at_host = []
    if names_host(settings):
        at_host = await reaping.sweep_host(
            host_opener(settings),
            partial(look_at_run, settings.work_directory.resolve()),
            ProcessGroups(),
            before_utc=how.before_utc,
            any_machine=how.any_machine,
            dry_run=how.dry_run,
        )

    tests = await reaping.sweep_boot_tests(
        settings.work_directory, ProcessGroups(), host_opener(settings), dry_run=how.dry_run
    )
    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        stored = await reaping.sweep(
            store, before_utc=how.before_utc, dry_run=how.dry_run, options=settings.transfer
        )
    return replace(stored, findings=(*at_host, *tests, *stored.findings))


async def _reap_run(run: KnownRun, settings: Settings, how: _How) -> reaping.Reaped:
    from asyncpipe import reap as reaping
    from asyncpipe.cli.run.hosts import host_opener
    from asyncpipe.stores.open import open_store
    from asyncpipe.system.groups import ProcessGroups

    async with open_store(
        how.destination or run.record.destination or settings.destination,
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
    now_utc = datetime.now(UTC)
    for finding in findings:
        click.echo(_line(finding, now_utc, dry_run=dry_run))
    for warning in warnings:
        click.echo(f"asyncpipe: {warning}", err=True)
    if not findings:
        click.echo("Nothing was left behind.")


def _line(finding: reaping.Finding, now_utc: datetime, *, dry_run: bool) -> str:
    if finding.removed:
        outcome = "removed"
    elif finding.problem:
        outcome = f"LEFT ({finding.problem})"
    else:
        outcome = "would be removed" if dry_run and finding.removable else "to look at"
    advice = f"\n  -> {finding.advice}" if finding.advice else ""
    measures = "".join(f", {text}" for text in _measures(finding, now_utc))
    return f"{outcome}: {finding.kind.value}: {finding.what}{measures}{advice}"


def _measures(finding: reaping.Finding, now_utc: datetime) -> Iterator[str]:
    """Size and age, as far as they are known."""
    from asyncpipe.text.format import duration_text, size_text

    if finding.size_bytes is not None:
        yield size_text(finding.size_bytes)
    if finding.begun_utc:
        age_s = (now_utc - datetime.fromisoformat(finding.begun_utc)).total_seconds()
        yield f"{duration_text(age_s)} old"
