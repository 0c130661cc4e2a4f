"""What ``asyncpipe check`` does: plan everything as a build would, start nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import click

from asyncpipe import preflight
from asyncpipe.cli.prepare import request_of, sensitive_of
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.packer.version import packer_version
from asyncpipe.run import plan, scheduler
from asyncpipe.settings import Settings
from asyncpipe.stores.http import HttpUrls
from asyncpipe.stores.open import open_store
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text import mask
from asyncpipe.text.moments import timestamp_of
from asyncpipe.text.secrets import secrets_of

_STAND_IN = {"build_password": "stand-in", "build_password_hash": "stand-in"}  # set by every build


def run(options: dict[str, Any], *, iso: bool, as_json: bool) -> int:
    """Check and print; returns the exit code of the first failure."""
    settings = Settings.from_environ(dict(os.environ), options)
    results = anyio.run(_check, settings, iso)
    if as_json:
        document = {
            "schema_version": 1,
            "exit_code": preflight.exit_code_of(results),
            "checks": [asdict(result) for result in results],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(preflight.render(results), nl=False)
    return preflight.exit_code_of(results)


async def _check(settings: Settings, iso: bool) -> tuple[CheckResult, ...]:  # noqa: FBT001 - anyio.run passes by position
    packer, version, of_packer = await _packer(settings)
    units, unreadable = await anyio.to_thread.run_sync(_units, settings)
    plans, unplanned = _plans(settings, units, packer, version)
    try:
        async with open_store(
            settings.destination, environment=settings.environment, options=settings.store
        ) as store:
            found = await preflight.run(
                _inspection(settings, plans if version else (), units, store=store, iso=iso)
            )
    except AsyncpipeError as error:
        found = (preflight.failure("destination", error),)
    return (of_packer, *unreadable, *unplanned, *found)


async def _packer(settings: Settings) -> tuple[Path, str, CheckResult]:
    try:
        path = preflight.locate_packer(settings.packer, settings.environment, shutil.which)
        version = await packer_version(SystemProcessRunner(), path)
    except AsyncpipeError as error:
        return Path("packer"), "", preflight.failure("packer", error)
    message = f"Packer {version} at {path}"
    return path, version, CheckResult(name="packer", status=CheckStatus.OK, message=message)


def _units(settings: Settings) -> tuple[list[scheduler.Unit], list[CheckResult]]:
    """Read every template by itself: one that is broken does not hide the others."""
    root = Path.cwd()
    results: list[CheckResult] = []
    units: list[scheduler.Unit] = []
    for pattern in settings.templates:
        try:
            for path in scheduler.discover([pattern], root):
                units += _loaded(settings, path, root, results)
        except AsyncpipeError as error:
            results.append(preflight.failure("template", error, unit=pattern))
    return units, results


def _loaded(
    settings: Settings, path: Path, root: Path, results: list[CheckResult]
) -> list[scheduler.Unit]:
    try:
        units = scheduler.load_units(settings, [path], root)
    except AsyncpipeError as error:
        results.append(preflight.failure("template", error, unit=str(path)))
        return []
    for unit in units:
        name = unit.identity.short_id or "unknown"
        results.append(
            CheckResult(
                name="template",
                unit=unit.name,
                status=CheckStatus.OK if unit.identity.short_id else CheckStatus.WARN,
                message=f"{path} is readable, operating system: {name}",
                hint="" if unit.identity.short_id else "Name it by --os and --os-version.",
            )
        )
    return units


def _plans(
    settings: Settings, units: Sequence[scheduler.Unit], packer: Path, version: str
) -> tuple[list[BuildPlan], list[CheckResult]]:
    plans: list[BuildPlan] = []
    results: list[CheckResult] = []
    for unit in units:
        try:
            plans.append(plan.expand(_request(settings, unit, packer, version)))
        except AsyncpipeError as error:
            results.append(preflight.failure("variables", error, unit=unit.name))
    return plans, results


def _request(settings: Settings, unit: scheduler.Unit, packer: Path, version: str) -> plan.Request:
    timestamp = timestamp_of(datetime.now(UTC))
    return request_of(
        settings,
        unit,
        timestamp=timestamp,
        run_directory=(settings.work_directory / "runs" / f"{timestamp}-check").resolve(),
        packer_path=packer,
        packer_version=version,
        build_secrets=_STAND_IN,
    )


def _inspection(
    settings: Settings,
    plans: Sequence[BuildPlan],
    units: Sequence[scheduler.Unit],
    *,
    store: Any,
    iso: bool,
) -> preflight.Inspection:
    secrets = secrets_of(settings.environment, sensitive_of(units))
    work = settings.work_directory.absolute()
    existing = next(folder for folder in (work, *work.parents) if folder.exists())
    return preflight.Inspection(
        plans=plans,
        runner=SystemProcessRunner(),
        store=store,
        free_bytes=shutil.disk_usage(existing).free,
        expected_bytes={unit.name: plan.expected_size_bytes(unit.template) for unit in units},
        today=datetime.now(UTC).date().isoformat(),
        at_once=settings.jobs,
        urls=HttpUrls() if iso else None,
        redact=lambda text: mask.text(text, secrets),
    )
