"""What would make a run fail: everything is planned as a build would plan it, nothing starts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from asyncpipe import catalog, preflight
from asyncpipe.cli.run import folders
from asyncpipe.cli.run.mirrors import HttpMirrors
from asyncpipe.cli.run.prepare import request_of, sensitive_of
from asyncpipe.errors import AsyncpipeError, DestinationTakenError, UploadError
from asyncpipe.host.access import access_of_template
from asyncpipe.host.pool import open_pool
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.model.host import HostAccess
from asyncpipe.model.template import Template
from asyncpipe.packer.locate import find_packer
from asyncpipe.ports import ObjectStore
from asyncpipe.preflight.iso import Checker, Keys
from asyncpipe.run import plan
from asyncpipe.run.claim import claimant_of
from asyncpipe.run.origin import run_facts
from asyncpipe.run.units import collisions, discover, load
from asyncpipe.run.units.load import Unit
from asyncpipe.settings import Settings
from asyncpipe.stores.http import HttpUrls
from asyncpipe.stores.open import open_store
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text import mask
from asyncpipe.text.format import timestamp_of
from asyncpipe.text.secrets import secrets_of

_HEAD_S = 5.0  # only for the room that an ISO image takes: not worth more
_STORE_S = 30.0
# Every build sets these itself; here any value will do.
_BUILD_SECRETS = {"build_password": "stand-in", "build_password_hash": "stand-in"}


async def inspect(settings: Settings, *, iso: bool) -> tuple[CheckResult, ...]:
    """Make every check of a build with ``settings``; ``iso`` asks for installation media too."""
    units, unreadable = await anyio.to_thread.run_sync(_units, settings)
    packer, version, of_packer = await _packer(settings, [unit.template for unit in units])
    plans, unplanned = _plans(settings, units, packer, version)
    at_host: list[CheckResult] = []

    async def ask_hosts() -> None:
        at_host.extend(await preflight.check_hosts(plans, access_of, open_pool, sizes.of))

    sizes = _IsoSizes(HttpUrls())

    def access_of(one: BuildPlan) -> HostAccess | None:
        return access_of_template(one.template, settings.host_trust)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask_hosts)
        found = await _at_destination(settings, plans if version else (), units, iso=iso)
    return (of_packer, *unreadable, *unplanned, *at_host, *found)


@dataclass(slots=True)
class _IsoSizes:
    """Sizes of ISO images: of files, and of URLs by a HEAD; a server that is silent is left."""

    urls: HttpUrls
    silent: set[str] = field(default_factory=set)

    async def of(self, url: str) -> int | None:
        """The size in bytes; None when nobody says."""
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"}:
            return await self._of_url(url, parts.netloc)
        path = unquote(parts.path) if parts.scheme == "file" else url
        try:
            return (await anyio.Path(path).stat()).st_size
        except OSError:
            return None

    async def _of_url(self, url: str, server: str) -> int | None:
        if server in self.silent:
            return None
        seen = await self.urls.look(url, timeout_s=_HEAD_S)
        if not seen.status:
            self.silent.add(server)
        return seen.size_bytes if 200 <= seen.status < 300 else None


async def _at_destination(
    settings: Settings,
    plans: Sequence[BuildPlan],
    units: Sequence[Unit],
    *,
    iso: bool,
) -> tuple[CheckResult, ...]:
    try:
        folders.refuse_workspace(settings)
        async with open_store(
            settings.destination, environment=settings.environment, options=settings.store
        ) as store:
            found = await preflight.run(_inspection(settings, plans, units, store=store, iso=iso))
            return (*found, *await _at_places(settings, store, plans))
    except AsyncpipeError as error:
        return (preflight.failure("destination", error),)


async def _at_places(
    settings: Settings, store: ObjectStore, plans: Sequence[BuildPlan]
) -> list[CheckResult]:
    """Whether another template fills a place; a store that cannot say was reported already."""
    facts = await run_facts.gather(
        SystemProcessRunner(), environment=settings.environment, cwd=Path.cwd()
    )
    results: list[CheckResult] = []
    with anyio.move_on_after(_STORE_S):
        for one in plans:
            claimant = claimant_of(one, facts)
            name = plan.published_name(one.static_identity, one.unit, one.variant)
            try:
                if claimant is not None and one.static_identity.os_type is not None:
                    await catalog.look_at_place(store, name, claimant)
            except DestinationTakenError as error:
                results.append(preflight.failure("place", error, unit=one.unit))
            except UploadError:
                break
    return results


async def _packer(
    settings: Settings, templates: Sequence[Template]
) -> tuple[Path, str, CheckResult]:
    runner = SystemProcessRunner()
    try:
        found = await find_packer(
            settings.packer, settings.environment, shutil.which, runner, templates
        )
    except AsyncpipeError as error:
        return Path("packer"), "", preflight.failure("packer", error)
    message = f"Packer {found.version} at {found.path}"
    return (
        found.path,
        found.version,
        CheckResult(name="packer", status=CheckStatus.OK, message=message),
    )


def _units(settings: Settings) -> tuple[list[Unit], list[CheckResult]]:
    """Read every template by itself: one that is broken does not hide the others."""
    root = Path.cwd()
    failures: list[CheckResult] = []
    templates: list[Template] = []
    said: list[str] = []
    for pattern in settings.templates:
        try:
            paths = discover.discover([pattern], root)
        except AsyncpipeError as error:
            failures.append(preflight.failure("template", error, unit=pattern))
            continue
        for path in paths:
            try:
                templates += load.read_templates(settings, [path])
            except AsyncpipeError as error:
                failures.append(preflight.failure("template", error, unit=str(path)))
    try:
        units = load.units_of(settings, templates, root, say=said.append) if templates else []
    except AsyncpipeError as error:
        return [], [*failures, preflight.failure("selection", error)]
    left_out = [CheckResult(name="template", status=CheckStatus.OK, message=one) for one in said]
    return units, [*failures, *left_out, *map(_readable, units), *_shared_places(units)]


def _shared_places(units: Sequence[Unit]) -> list[CheckResult]:
    try:
        collisions.refuse_shared_places(units)
    except AsyncpipeError as error:
        return [preflight.failure("place", error)]
    return []


def _readable(unit: Unit) -> CheckResult:
    name = unit.identity.short_id and unit.place
    return CheckResult(
        name="template",
        unit=unit.name,
        status=CheckStatus.OK if name else CheckStatus.WARN,
        message=f"{unit.template.path} is readable, operating system: {name or 'unknown'}",
        hint="" if name else "Name it with --os and --os-version.",
    )


def _plans(
    settings: Settings, units: Sequence[Unit], packer: Path, version: str
) -> tuple[list[BuildPlan], list[CheckResult]]:
    plans: list[BuildPlan] = []
    results: list[CheckResult] = []
    for unit in units:
        try:
            plans.append(plan.expand(_request(settings, unit, packer, version)))
        except AsyncpipeError as error:
            results.append(preflight.failure("variables", error, unit=unit.name))
    return plans, results


def _request(settings: Settings, unit: Unit, packer: Path, version: str) -> plan.Request:
    timestamp = timestamp_of(datetime.now(UTC))
    return request_of(
        settings,
        unit,
        timestamp=timestamp,
        run_directory=(settings.work_directory / "runs" / f"{timestamp}-check").resolve(),
        packer_path=packer,
        packer_version=version,
        build_secrets=_BUILD_SECRETS,
    )


def _media_checker() -> Checker:
    return Checker(HttpMirrors(), SystemProcessRunner(), Keys(gpgv=shutil.which("gpgv")))


def _inspection(
    settings: Settings,
    plans: Sequence[BuildPlan],
    units: Sequence[Unit],
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
        media=_media_checker() if iso else None,
        install_plugins=not settings.no_init,
        redact=lambda text: mask.text(text, secrets),
    )
