"""A run without a build: a finished XVA is verified and published as a build's would be."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from asyncpipe import detect, metadata
from asyncpipe.cli.run import folders
from asyncpipe.cli.run.execute import NEXT_SECOND_S, execute
from asyncpipe.cli.run.hosts import end_test_before
from asyncpipe.cli.run.prepare import Prepared
from asyncpipe.cli.run.signals import Announcer, cancelled_by_signals
from asyncpipe.detect import evidence
from asyncpipe.detect.guest import facts_of
from asyncpipe.errors import EXIT_CANCELLED, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.identity import GuestFacts, OsIdentity
from asyncpipe.model.run import RunFacts
from asyncpipe.model.store_keys import LOG_NAME
from asyncpipe.model.template import Template
from asyncpipe.run import plan
from asyncpipe.run.origin import run_facts
from asyncpipe.run.state import FILE_NAME, Built, RunJournal, alone, making
from asyncpipe.settings import Settings
from asyncpipe.system.lock import LOCK_NAME
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text.format import timestamp_of, utc_text
from asyncpipe.text.mask import Redactor
from asyncpipe.text.safe import printable
from asyncpipe.text.secrets import Secrets, secrets_of

_PIECE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished XVA and what is known of it; None: it is found out, or not known.

    ``described(plan, run_id)`` gives the metadata as far as it is known without the files, and
    the name of its place.
    """

    file: Path
    log_file: Path | None = None
    identity: OsIdentity | None = None
    described: Callable[[BuildPlan, str], tuple[Mapping[str, Any], str]] | None = None


def publish_file(settings: Settings, file: Path, log_file: Path | None, *, resumed: bool) -> int:
    """Publish ``file``; returns the exit code.

    Raises:
        UsageError: no such file, its system is not known, or there is nothing to resume.
    """
    if not file.is_file():
        raise UsageError(f"{file}: no such file.")
    return anyio.run(_run, settings, Finished(file=file, log_file=log_file), resumed)


async def _run(settings: Settings, finished: Finished, resumed: bool) -> int:  # noqa: FBT001
    exit_code = EXIT_CANCELLED
    async with cancelled_by_signals() as announcer:
        folders.refuse_workspace(settings)
        exit_code = await publish_finished(settings, finished, announcer, resumed=resumed)
    return exit_code  # noqa: RET504 - the context may swallow the cancellation


async def publish_finished(
    settings: Settings, finished: Finished, announcer: Announcer, *, resumed: bool
) -> int:
    """Publish an XVA within `cancelled_by_signals`; returns the exit code, raises as above."""
    file, log_file = finished.file, finished.log_file
    new_folders = folders.not_there_yet(settings)
    guest = await anyio.to_thread.run_sync(_guest_of, log_file)
    identity = finished.identity or _identity(settings, file, guest)
    folder = _folder(settings, file)
    with alone(folder):
        await end_test_before(settings, folder)
        known = secrets_of(settings.environment, {})
        facts = await run_facts.gather(
            SystemProcessRunner(), environment=settings.environment, cwd=Path.cwd()
        )
        while True:
            journal = _journal(settings, folder, resumed=resumed)
            await anyio.to_thread.run_sync(_write_log, folder / LOG_NAME, file, log_file, known)
            one = _plan(settings, file, identity, journal)
            prepared = _prepared(settings, one, journal, new_folders)
            built = _built(one, identity, guest, replace(facts, run_id=journal.run_id))
            if finished.described is not None:
                built = _as_described(built, one, journal, finished.described)
            ended = await execute(prepared, announcer, built=built, facts=facts)
            if ended is not None:
                return ended
            await anyio.sleep(NEXT_SECOND_S)


def _as_described(
    built: Built,
    one: BuildPlan,
    journal: RunJournal,
    described: Callable[[BuildPlan, str], tuple[Mapping[str, Any], str]],
) -> Built:
    draft, name = described(one, journal.run_id)
    return msgspec.structs.replace(
        built,
        folder_key=store_keys.folder_key(name, one.timestamp),
        name=name,
        draft=dict(draft),
    )


def _prepared(
    settings: Settings, one: BuildPlan, journal: RunJournal, new_folders: tuple[Path, ...]
) -> Prepared:
    return Prepared(
        new_folders=new_folders,
        settings=replace(
            settings, keep_xva=True, boot_test=settings.boot_test.or_else(journal.boot_test)
        ),
        root=Path.cwd(),
        journal=journal,
        units=(),
        plans=(one,),
        secrets=secrets_of(settings.environment, {}),
    )


def _guest_of(log_file: Path | None) -> GuestFacts:
    """What the guest printed into the log of the build, as a build would have read it."""
    if log_file is None:
        return GuestFacts()
    with log_file.open(encoding="utf-8", errors="replace") as lines:
        return facts_of(lines)


def _stem(file: Path) -> str:
    """The name less ``.xva``, ``.xva.gz`` or ``.xva.zst``."""
    return re.sub(r"\.xva(\.gz|\.zst)?$", "", file.name, flags=re.IGNORECASE)


def _identity(settings: Settings, file: Path, guest: GuestFacts) -> OsIdentity:
    identity = detect.determine_os_info(
        (
            *evidence.from_options(settings.os, settings.os_version),
            *evidence.from_name(_stem(file)),
            *evidence.from_guest(guest),
        )
    )
    if identity.os_type is None:
        raise UsageError(
            f"{file.name} does not say which operating system it holds.",
            hint="Name it: --os debian --os-version 12.",
        )
    return identity


def _folder(settings: Settings, file: Path) -> Path:
    """One folder per file, so that --resume finds what the same command began."""
    name = hashlib.sha256(os.fsencode(file.resolve())).hexdigest()[:12]
    return (settings.work_directory / "publish" / f"{plan.slug(_stem(file))}-{name}").resolve()


def _journal(settings: Settings, folder: Path, *, resumed: bool) -> RunJournal:
    if resumed and (folder / FILE_NAME).exists():
        return RunJournal.read(folder)
    with making(folder):
        _clear(folder)
    timestamp = timestamp_of(datetime.now(UTC))
    return RunJournal.begin(
        folder,
        run_id=f"{timestamp}-{secrets.token_hex(4)}",
        timestamp=timestamp,
        destination=settings.destination,
        expires_s=settings.lifetime_s,
        boot_test=settings.boot_test,
    )


def _clear(folder: Path) -> None:
    """Remove what an earlier publication of the file left, but not the lock that we hold."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK_NAME:
            path.unlink()


def _plan(settings: Settings, file: Path, identity: OsIdentity, journal: RunJournal) -> BuildPlan:
    template = Template(path=file, folder=file.parent, kind="file", files=(file,), sha256_hex="")
    return BuildPlan(
        unit=plan.slug(_stem(file)),
        template=template,
        packer_path=Path(),
        packer_version="",
        packer_arguments=(),
        packer_environment={},
        working_directory=Path.cwd(),
        run_directory=journal.folder,
        output_directory=file.parent,
        timestamp=journal.timestamp,
        static_identity=identity,
        variant=settings.variant or "",
        expires_s=journal.expires_s if settings.lifetime_s is None else settings.lifetime_s,
        strict_identity=settings.strict_identity,
    )


def _write_log(path: Path, file: Path, log_file: Path | None, known: Secrets) -> None:
    """Begin the log that is published; the secrets of a log from elsewhere are masked."""
    if path.exists():
        return  # a resumed run publishes the log it had
    now = utc_text(datetime.now(UTC))
    with making(path.parent):
        if log_file is not None:
            redactor = Redactor(known)
            with log_file.open("rb") as given, path.open("wb") as masked:
                while piece := given.read(_PIECE_BYTES):
                    masked.write(redactor.feed(piece))
                masked.write(redactor.flush())
        else:
            text = f"{now} asyncpipe publish: {printable(file.name, 300)}; no build log was given\n"
            path.write_text(text, "utf-8")


def _built(one: BuildPlan, identity: OsIdentity, guest: GuestFacts, facts: RunFacts) -> Built:
    draft = metadata.draft(plan=one, build_exit=None, identity=identity, guest=guest, facts=facts)
    return Built(
        xva_path=one.template.path,
        folder_key=plan.folder_key(identity, one.unit, one.variant, one.timestamp),
        name=plan.published_name(identity, one.unit, one.variant),
        redaction_count=0,
        draft=draft,
    )
