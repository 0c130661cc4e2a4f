"""``asyncpipe recompress``: a published version again, compressed otherwise."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from click.core import ParameterSource

from asyncpipe.cli.options import lifetime, shared
from asyncpipe.cli.options.command import Command
from asyncpipe.errors import EXIT_CANCELLED, AsyncpipeError, ObjectMissingError
from asyncpipe.model import store_keys
from asyncpipe.model.transfer import Zstd

if TYPE_CHECKING:
    from asyncpipe.cli.run.finished import Finished
    from asyncpipe.cli.run.signals import Announcer
    from asyncpipe.model.build import BuildPlan
    from asyncpipe.model.documents.catalog import CatalogEntry
    from asyncpipe.model.identity import OsIdentity
    from asyncpipe.ports import ObjectStore
    from asyncpipe.settings import Settings

_MAX_LOG_BYTES: Final = 256 * 1024 * 1024
_OF_THE_FILES: Final = ("files", "log", "verified", "provenance", "compression", "xva", "failure")


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]")
@lifetime.EXPIRES
@shared.PUBLISHING
def recompress(template: str, **given: Any) -> int:
    """Publish a version again, compressed with --compress (zstd, unless it says otherwise).

    The new version has the same content digest, metadata and log, and names the old one as its
    parent. The old one stays. The XVA passes through --work-directory, decompressed.
    """
    from asyncpipe.settings import Settings

    source = click.get_current_context().get_parameter_source("zstd")
    settings = Settings.of(given, environment=dict(os.environ))
    if source is ParameterSource.DEFAULT:
        settings = replace(settings, zstd=Zstd())
    return anyio.run(_run, settings, template)


async def _run(settings: Settings, template: str) -> int:
    from asyncpipe.cli.run.signals import cancelled_by_signals

    exit_code = EXIT_CANCELLED
    async with cancelled_by_signals() as announcer:
        exit_code = await _recompress(settings, template, announcer)
    return exit_code  # noqa: RET504 - the context may swallow the cancellation


async def _recompress(settings: Settings, template: str, announcer: Announcer) -> int:
    from asyncpipe import catalog
    from asyncpipe.cli.run.finished import publish_finished
    from asyncpipe.stores.open import open_store

    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        entry = await catalog.resolve(store, template, warn=_warn)
        document = await catalog.read_metadata(store, entry)
        if document is None:
            raise ObjectMissingError(f"There is no metadata {store.url_of(entry.metadata_key)}.")
        if _is_so_already(document, settings.zstd):
            click.echo(f"{_version(entry)} is compressed so already; nothing was published.")
            return 0
        folder = settings.work_directory / "recompress" / f"{entry.short_id}-{entry.timestamp}"
        finished = await _fetched(store, entry, document, folder)
    try:
        return await publish_finished(settings, finished, announcer, resumed=False)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove, folder)


def _is_so_already(document: dict[str, Any], zstd: Zstd | None) -> bool:
    found = document["compression"]
    if found is None or zstd is None:
        return found is None and zstd is None
    return bool((found["format"], found["level"]) == ("zstd", zstd.level))


async def _fetched(
    store: ObjectStore, entry: CatalogEntry, document: dict[str, Any], folder: Path
) -> Finished:
    """Fetch image and log; what an interrupted attempt left is fetched again.

    Raises:
        ChecksumError: the content is not what was published.
    """
    from asyncpipe.catalog.fetch.plain import pull_plain
    from asyncpipe.cli.run.finished import Finished

    await anyio.to_thread.run_sync(_remove, folder)
    file, log_file = folder / f"{entry.short_id}.xva", folder / store_keys.LOG_NAME
    try:
        await pull_plain(store, entry, file)
        log_key = f"{entry.folder_key}/{store_keys.LOG_NAME}"
        body = (await store.get(log_key, max_bytes=_MAX_LOG_BYTES)).body
        await anyio.Path(log_file).write_bytes(body)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove, folder)
        raise

    def described(one: BuildPlan, run_id: str) -> tuple[dict[str, Any], str]:
        return _draft(entry, document, one, run_id), entry.short_id

    return Finished(
        file=file, log_file=log_file, identity=_identity(entry, document), described=described
    )


def _draft(
    entry: CatalogEntry, document: dict[str, Any], one: BuildPlan, run_id: str
) -> dict[str, Any]:
    """What was known of the version, less what is of its files; its end stays, if it has one."""
    from datetime import timedelta

    from asyncpipe.text.format import moment_of, utc_text

    kept = {name: value for name, value in document.items() if name not in _OF_THE_FILES}
    begun = moment_of(one.timestamp)
    if one.expires_s is not None and begun is not None:
        kept["expires_utc"] = utc_text(begun + timedelta(seconds=one.expires_s))
    parent = {"version": _version(entry), "sha256_hex": entry.xva.sha256_hex or None}
    of_the_files: dict[str, Any] = {
        "files": {},
        "xva": None,
        "log": None,
        "verified": [],
        "failure": None,
    }
    return {
        **kept,
        **of_the_files,
        "status": "draft",
        "run_id": run_id,
        "timestamp": one.timestamp,
        "parent": parent,
    }


def _identity(entry: CatalogEntry, document: dict[str, Any]) -> OsIdentity:
    from asyncpipe import detect
    from asyncpipe.detect import evidence

    os_type, os_version = document["os"]["type"], document["os"]["version"]
    if os_type is None:
        raise AsyncpipeError(f"{_version(entry)} does not say which system it holds.")
    return detect.determine_os_info(tuple(evidence.from_options(os_type, os_version)))


def _version(entry: CatalogEntry) -> str:
    return f"{entry.short_id}@{entry.timestamp}"


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _warn(text: str) -> None:
    from asyncpipe.text.safe import clean

    click.echo(f"asyncpipe: {clean(text)}", err=True)
