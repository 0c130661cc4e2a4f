"""What ``asyncpipe reap`` does: journals and stores -> ``reap`` -> words and an exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import click

from asyncpipe import reap
from asyncpipe.errors import UploadError
from asyncpipe.model.run_state import KnownRun
from asyncpipe.run.state import find_run, read_run
from asyncpipe.settings import Settings
from asyncpipe.stores.open import open_store
from asyncpipe.system.groups import ProcessGroups


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What a person asked for."""

    grace_s: float
    keep: bool
    dry_run: bool


def run(
    *,
    older_than_s: float,
    runs: Sequence[Path],
    destination: str | None,
    work_directory: Path | None,
    grace_s: float,
    keep: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Reap and print; returns 0, or 40 when something is left open."""
    settings = Settings.from_environ(
        dict(os.environ), {"destination": destination, "work_directory": work_directory}
    )
    how = _How(grace_s=grace_s, keep=keep, dry_run=dry_run)
    if runs:
        read = [read_run(find_run(str(name), settings.work_directory)) for name in runs]
        results = [
            anyio.run(_reap_run, one, settings, destination or _destination(one, settings), how)
            for one in read
        ]
    else:
        before_utc = datetime.now(UTC) - timedelta(seconds=older_than_s)
        results = [anyio.run(_sweep, settings, before_utc, how)]
    _print(results, as_json=as_json, dry_run=dry_run)
    return UploadError.exit_code if any(result.left_open for result in results) else 0


async def _sweep(settings: Settings, before_utc: datetime, how: _How) -> reap.Reaped:
    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        return await reap.sweep(
            store, before_utc=before_utc, dry_run=how.dry_run, options=settings.transfer
        )


async def _reap_run(run: KnownRun, settings: Settings, url: str, how: _How) -> reap.Reaped:
    async with open_store(url, environment=settings.environment, options=settings.store) as store:
        return await reap.reap_run(
            run,
            store,
            ProcessGroups(),
            dry_run=how.dry_run,
            keep_files=how.keep,
            grace_s=how.grace_s,
            options=settings.transfer,
        )


def _destination(run: KnownRun, settings: Settings) -> str:
    """Where the run published, unless it does not say."""
    return run.record.destination or settings.destination


def _print(results: Sequence[reap.Reaped], *, as_json: bool, dry_run: bool) -> None:
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


def _line(finding: reap.Finding, *, dry_run: bool) -> str:
    if finding.removed:
        outcome = "removed"
    elif finding.problem:
        outcome = f"LEFT ({finding.problem})"
    else:
        outcome = "would be removed" if dry_run else "to look at"
    advice = f"\n  -> {finding.advice}" if finding.advice else ""
    return f"{outcome}: {finding.kind.value}: {finding.what}{advice}"
