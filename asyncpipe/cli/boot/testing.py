"""What ``asyncpipe boot-test`` does: find the XVA, test it, say what became of it."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import click

from asyncpipe import catalog
from asyncpipe.boot.host.hosted import HostTester
from asyncpipe.boot.tester import Tester
from asyncpipe.cli.boot.tester import new_host_tester, new_tester
from asyncpipe.cli.host.importing import import_source
from asyncpipe.cli.progress import Progress, watched_stream
from asyncpipe.cli.run.signals import cancelled_by_signals
from asyncpipe.cli.xva.source import open_source
from asyncpipe.errors import EXIT_CANCELLED, BootTestFailedError, ChecksumError
from asyncpipe.model.boot.machine import Subject
from asyncpipe.model.boot.result import (
    FOLDER_NAME,
    SCREENSHOT_NAME,
    TESTS_NAME,
    BootHow,
    BootResult,
    CheckOutcome,
    result_to_dict,
)
from asyncpipe.model.documents import host_boot
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import Piece
from asyncpipe.run.log import open_log
from asyncpipe.run.state import alone
from asyncpipe.settings import Settings
from asyncpipe.stores.open import open_store
from asyncpipe.system.lock import LOCK_NAME
from asyncpipe.system.logfile import DiskLogFiles
from asyncpipe.text import mask
from asyncpipe.text.format import duration_text, timestamp_of
from asyncpipe.text.mask import Redactor
from asyncpipe.text.safe import clean
from asyncpipe.text.secrets import secrets_of

LOG_NAME: Final = "boot-test.log"
_SIGNS: Final = {
    CheckOutcome.PASSED: "ok",
    CheckOutcome.FAILED: "FAILED",
    CheckOutcome.NOT_RUN: "not run",
}


def run(given: dict[str, Any], *, environment: Mapping[str, str]) -> int:
    """Test one image; returns the exit code."""
    what, as_json = given.pop("what"), given.pop("as_json")
    allowed = {name: given.pop(name) for name in ("revoked", "expired")}
    how = BootHow(given.pop("how"))
    settings = replace(Settings.of(given, environment=environment), boot_test=how)
    image = _Image(what=what, settings=settings, allowed=allowed)
    ended = anyio.run(_run, image, _tester_of(settings))
    if ended is None:
        return EXIT_CANCELLED
    result, folder = ended
    known = secrets_of(environment, {})
    if as_json:
        document = {"schema_version": 1, "image": what, **result_to_dict(result)}
        document["log"] = str(folder / LOG_NAME) if folder else None
        click.echo(mask.text(json.dumps(document, indent=2), known))
    else:
        click.echo(mask.text(text_of(what, result), known))
    if folder is not None:
        kept = "log and screen are" if result.screenshot else "the log is"
        click.echo(f"asyncpipe: {kept} in {folder}", err=True)
    for sentence in result.remains:
        click.echo(f"asyncpipe: stays at the host: {clean(sentence)}", err=True)
    return 0 if result.passed else BootTestFailedError.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """What a person named; ``allowed``: bad versions too."""

    what: str
    settings: Settings
    allowed: Mapping[str, bool]


def _tester_of(settings: Settings) -> Tester | HostTester:
    if settings.boot_test is BootHow.QEMU:
        return new_tester(settings)
    tester = new_host_tester(settings)
    tester.require()
    return tester


async def _run(image: _Image, tester: Tester | HostTester) -> tuple[BootResult, Path | None] | None:
    """The result, and the folder that a failure leaves; None when cancelled."""
    ended: tuple[BootResult, Path | None] | None = None
    async with cancelled_by_signals():
        name = f"{timestamp_of(datetime.now(UTC))}-{secrets.token_hex(4)}"
        folder = (image.settings.work_directory / TESTS_NAME / name).resolve()
        with alone(folder):
            kept = False
            try:
                result = await _test(image, tester, folder)
                kept = not result.passed
                ended = (result, folder if kept else None)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_leave, folder, kept)
    return ended


async def _test(image: _Image, tester: Tester | HostTester, folder: Path) -> BootResult:
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(
            open_log(
                folder / LOG_NAME,
                log_files=DiskLogFiles(),
                redactor=Redactor(secrets_of(image.settings.environment, {})),
            )
        )
        files = folder / FOLDER_NAME
        if isinstance(tester, Tester):
            pieces = await stack.enter_async_context(_pieces(image))
            result = await tester.test(pieces, files, log.feed)
        else:
            opening = import_source(image.what, image.settings, image.allowed, trust=None)
            source = await stack.enter_async_context(opening)
            subject = Subject(run_id=folder.name, unit="boot-test")
            result = await tester.test(source, files, log.feed, subject)
        await log.feed(result.check_output.encode())
    if result.screenshot:
        await anyio.to_thread.run_sync((folder / SCREENSHOT_NAME).write_bytes, result.screenshot)
    return result


@asynccontextmanager
async def _pieces(image: _Image) -> AsyncGenerator[AsyncIterator[memoryview]]:
    what, settings = image.what, image.settings
    if "://" in what or what.endswith(".xva") or "/" in what or await anyio.Path(what).exists():
        async with open_source(what) as source, aclosing(source.pieces) as pieces:
            yield _shown(pieces, Progress(source.name, source.size_bytes))
        return
    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        entry = await catalog.resolve(store, what, warn=_warn, **image.allowed)
        watching = watched_stream(store, what, entry.xva.size_bytes)
        async with watching as watched, catalog.stream_xva(watched, entry) as pieces:
            yield _as_published(pieces, entry)


async def _as_published(
    pieces: AsyncIterator[Piece], entry: CatalogEntry
) -> AsyncGenerator[memoryview]:
    """Raise ChecksumError at the end of what is not the image that was published."""
    digest = hashlib.sha256()
    async for piece in pieces:
        await anyio.to_thread.run_sync(digest.update, piece)
        yield memoryview(piece)
    if entry.xva.sha256_hex and digest.hexdigest() != entry.xva.sha256_hex:
        raise ChecksumError(
            f"The XVA under {entry.folder_key} is not the one that was published: "
            f"its SHA-256 is {digest.hexdigest()}, not {entry.xva.sha256_hex}.",
            hint="It was not started. Look who changed the object at the store.",
        )


async def _shown(pieces: AsyncIterator[memoryview], shown: Progress) -> AsyncGenerator[memoryview]:
    done_bytes = 0
    try:
        async for piece in pieces:
            yield piece
            done_bytes += len(piece)
            shown.update(done_bytes)
    finally:
        shown.clear()


def _warn(text: str) -> None:
    click.echo(f"asyncpipe: {text}", err=True)


def _leave(folder: Path, kept: bool) -> None:  # noqa: FBT001 - called in a thread
    """Remove a test's folder, or its lock alone; and the folder of all tests once it is empty.

    While something of it is at a host both stay, so that ``reap`` finds it.
    """
    if (folder / FOLDER_NAME / host_boot.NAME).exists():
        return
    if kept:
        (folder / LOCK_NAME).unlink(missing_ok=True)
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.rmdir()
    except OSError:  # another test is in it
        return


def _where(result: BootResult) -> str:
    if result.how is BootHow.HOST:
        return "at the host"
    return "KVM" if result.accelerated else "emulated (no KVM)"


def text_of(what: str, result: BootResult) -> str:
    """What a person reads."""
    how = f"{result.firmware.upper()}, {_where(result)}"
    lines = [f"  {_SIGNS[one.outcome]:8} {one.name}: {one.says}" for one in result.checks]
    if result.passed:
        assert result.login_s is not None
        took = duration_text(result.login_s)
        return "\n".join([f"{clean(what)}: came up in {took} ({how})", *lines])
    reason = result.reason.value if result.reason else ""
    return "\n".join([f"{clean(what)}: FAILED ({how}): {reason}: {result.says}", *lines])
