"""Decides a run before anything starts: settings -> units and plans, or why there can be none."""

from __future__ import annotations

import secrets as random_source
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
import anyio.to_thread
import click

from asyncpipe.cli.run import folders
from asyncpipe.errors import UsageError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.run import OnError
from asyncpipe.run import plan
from asyncpipe.run.state import RunJournal, find_run
from asyncpipe.settings import Settings, default_of
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text.format import timestamp_of
from asyncpipe.text.secrets import Secrets, is_secret_name, secrets_of, texts_of

if TYPE_CHECKING:
    from asyncpipe.packer.locate import FoundPacker
    from asyncpipe.run.units.load import Unit

_PASSWORD_BYTES = 24
_HASH_ROUNDS = 5000  # stretching is for guessable passwords: 24 random bytes need none


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run of which everything is decided and nothing has started."""

    settings: Settings
    root: Path
    journal: RunJournal
    units: tuple[Unit, ...]
    plans: tuple[BuildPlan, ...]
    secrets: Secrets = field(repr=False)
    new_folders: tuple[Path, ...] = ()  # that did not exist before this command


async def prepare(settings: Settings) -> Prepared:
    """Decide everything about a run; nothing is written.

    Raises:
        UsageError, TemplateError: what would make it fail is known now.
    """
    # a publication of a file is prepared elsewhere, and has no templates to read
    from asyncpipe.packer.locate import find_packer
    from asyncpipe.run.units import collisions
    from asyncpipe.run.units.discover import discover
    from asyncpipe.run.units.load import load_units

    root = Path.cwd()
    journal = _journal(settings, root)
    settings = _as_before(settings, journal)
    if not settings.dry_run:
        folders.refuse_workspace(settings)
    paths = discover(settings.templates, root)
    load = partial(load_units, between=anyio.from_thread.check_cancelled, say=_say)
    units = await anyio.to_thread.run_sync(load, settings, paths, root)
    units = [unit for unit in units if unit.name in journal.units] or units  # of a resumed run
    collisions.refuse_shared_places(units)
    packer = await find_packer(
        settings.packer,
        settings.environment,
        shutil.which,
        SystemProcessRunner(),
        [unit.template for unit in units],
    )
    build_secrets = {unit.name: _build_secrets() for unit in units}
    plans = tuple(
        _plan_of(settings, journal, unit, packer, build_secrets[unit.name]) for unit in units
    )
    collisions.refuse_collisions(plans, {unit.name: _vm_name(unit) for unit in units})
    made = {
        f"{name}.{key}": value for name, own in build_secrets.items() for key, value in own.items()
    }
    return Prepared(
        new_folders=folders.not_there_yet(settings),
        settings=settings,
        root=root,
        journal=journal,
        units=tuple(units),
        plans=plans,
        secrets=secrets_of(settings.environment, sensitive_of(units) | made),
    )


def _plan_of(
    settings: Settings,
    journal: RunJournal,
    unit: Unit,
    packer: FoundPacker,
    build_secrets: Mapping[str, str],
) -> BuildPlan:
    return plan.expand(
        request_of(
            settings,
            unit,
            timestamp=journal.timestamp,
            run_id=journal.run_id,
            run_directory=fresh_folder(journal.folder / unit.name),
            packer_path=packer.path,
            packer_version=packer.version,
            build_secrets=build_secrets,
        )
    )


def _journal(settings: Settings, root: Path) -> RunJournal:
    if settings.resume:
        return RunJournal.read(find_run(settings.resume, settings.work_directory))
    timestamp = timestamp_of(datetime.now(UTC))
    run_id = f"{timestamp}-{random_source.token_hex(4)}"
    folder = (root / settings.work_directory / "runs" / run_id).resolve()
    return RunJournal.begin(
        folder,
        run_id=run_id,
        timestamp=timestamp,
        destination=settings.destination,
        variant=settings.variant,
        expires_s=settings.lifetime_s,
        boot_test=settings.boot_test,
    )


def _as_before(settings: Settings, journal: RunJournal) -> Settings:
    """A resumed run builds the templates it had, to the place it had.

    Raises:
        UsageError: others were named.
    """
    if not settings.resume:
        return settings
    templates = dict.fromkeys(unit.template for unit in journal.units.values())
    if settings.destination not in {journal.destination, default_of("destination")}:
        raise UsageError(
            f"The run publishes to {journal.destination}, not to {settings.destination}.",
            hint="--resume goes on where the run was; for another destination start a new run.",
        )
    if settings.variant not in {None, journal.variant}:
        raise UsageError(
            f"The run publishes {_shown(journal.variant)}, not the variant {settings.variant!r}.",
            hint="Leave --variant out, or start a new run.",
        )
    others = [name for name in settings.templates if str(Path(name)) not in templates]
    if others:
        raise UsageError(
            f"The run does not build {others[0]}: --resume takes the templates that it had.",
            hint="Leave the names out, or start a new run.",
        )
    return replace(
        settings.with_variant(journal.variant),
        templates=tuple(templates),
        destination=journal.destination,
        lifetime_s=journal.expires_s if settings.lifetime_s is None else settings.lifetime_s,
        boot_test=settings.boot_test.or_else(journal.boot_test),
    )


def _build_secrets() -> dict[str, str]:
    """A password for the build alone: random, in no file, useless when clean-up has locked it."""
    from passlib.hash import sha512_crypt

    password = random_source.token_urlsafe(_PASSWORD_BYTES)
    return {
        "build_password": password,
        "build_password_hash": str(sha512_crypt.using(rounds=_HASH_ROUNDS).hash(password)),  # type: ignore[no-untyped-call]  # libpass types hash() alone
    }


def request_of(
    settings: Settings,
    unit: Unit,
    *,
    timestamp: str,
    run_directory: Path,
    run_id: str = "",
    packer_path: Path,
    packer_version: str,
    build_secrets: Mapping[str, str],
) -> plan.Request:
    """What a build of ``unit`` would be asked for."""
    from asyncpipe.run import selection

    return plan.Request(
        unit=unit.name,
        template=unit.template,
        source=unit.source,
        identity=unit.identity,
        variant=unit.variant,
        expires_s=settings.lifetime_s,
        timestamp=timestamp,
        run_id=run_id,
        run_directory=run_directory,
        working_directory=Path.cwd(),
        packer_path=packer_path,
        packer_version=packer_version,
        environment=settings.environment,
        build_secrets=build_secrets,
        var_files=settings.var_files,
        variables=settings.variables,
        only=unit.only,
        except_=selection.post_processors_left_out(unit.post_processors, settings.except_),
        packer_environment=settings.packer_environment,
        python=sys.executable,
        explicit_os=settings.os,
        explicit_os_version=settings.os_version,
        strict_identity=settings.strict_identity,
        grace_s=settings.grace_s,
        build_timeout_s=settings.build_timeout_s,
        host_timeout_s=settings.host_timeout_s,
        keep_failed_s=settings.keep_failed_s if settings.on_error is OnError.KEEP else None,
    )


def sensitive_of(units: Iterable[Unit]) -> dict[str, str]:
    """The values of variables that are sensitive or named like a secret, by unit and name."""
    return {
        f"{unit.name}.{variable.name}.{number}": text
        for unit in units
        for variable in unit.template.variables.values()
        if variable.sensitive or is_secret_name(variable.name)
        for number, text in enumerate(texts_of(variable.value))
    }


def fresh_folder(folder: Path) -> Path:
    """Return ``folder``, or ``folder.2`` and so on where an earlier attempt of the run left one."""
    number, fresh = 1, folder
    while fresh.exists():
        number += 1
        fresh = folder.with_name(f"{folder.name}.{number}")
    return fresh


def _shown(variant: str | None) -> str:
    return f"the variant {variant!r}" if variant else "what its templates declare"


def _say(sentence: str) -> None:
    click.echo(f"asyncpipe: {sentence}", err=True)


def _vm_name(unit: Unit) -> str:
    name = unit.source.attributes.get("vm_name") if unit.source else None
    return name if isinstance(name, str) else ""
