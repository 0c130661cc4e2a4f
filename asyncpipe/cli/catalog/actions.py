"""What the catalogue's commands do: open the store, call ``catalog``, print."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import click
from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog import reading, releasing
from asyncpipe.cli.catalog.said import Said, table
from asyncpipe.cli.progress import watched, watched_stream
from asyncpipe.errors import AsyncpipeError, ObjectMissingError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.store import StoreOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.run.selection import did_you_mean
from asyncpipe.settings import Settings
from asyncpipe.stores.open import open_store
from asyncpipe.text.format import counted, size_text, timestamp_of
from asyncpipe.xva.read.validator import XvaValidator


def run(action: str, given: dict[str, Any]) -> int:
    """Do ``action`` at the destination; returns the exit code."""
    as_json = bool(given.pop("as_json"))
    names = {one.name for kind in (Settings, StoreOptions) for one in fields(kind)}
    place = {name: given.pop(name) for name in names & given.keys()}
    settings = Settings.of(place, environment=dict(os.environ))
    said = anyio.run(_with_store, _ACTIONS[action], settings, given)
    for warning in said.warnings:
        click.echo(f"asyncpipe: {warning}", err=True)
    if said.bare is not None:
        click.echo(json.dumps(said.bare, indent=2))
    elif as_json:
        click.echo(json.dumps({"schema_version": 1, **said.document}, indent=2))
    else:
        click.echo(said.text)
    return 0


Action = Callable[..., Awaitable[Said]]


async def _with_store(action: Action, settings: Settings, options: dict[str, Any]) -> Said:
    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        try:
            return await action(store, **options)
        except ObjectMissingError as error:
            for name in filter(None, map(options.get, ("template", "name", "before", "after"))):
                error.hint = await _meant(store, str(name)) or error.hint
            raise


async def _meant(store: ObjectStore, name: str) -> str:
    """Suggest published templates that are called alike; "" where they cannot be listed."""
    short_id = re.split("[:@]", name, maxsplit=1)[0]
    try:
        known = {entry.short_id for entry in (await catalog.list_versions(store)).versions}
    except AsyncpipeError:
        return ""
    return "" if short_id in known else did_you_mean(short_id, known)


async def _list(store: ObjectStore, *, template: str | None, fresh: bool) -> Said:
    async with watched(store, "list") as watched_store:
        listing = await catalog.list_versions(watched_store, template, fresh=fresh)
    versions = listing.versions
    names, warnings = await catalog.names_of(store, {entry.short_id for entry in versions})
    revoked = await catalog.revoked_folders(store, template)
    rows = [
        (
            f"{entry.short_id}@{entry.timestamp}",
            size_text(entry.xva.size_bytes),
            entry.os.release or entry.os.version or "",
            entry.os.arch or "",
            ", ".join([*names.get(entry.folder_key, ()), *_marks(entry, revoked)]),
        )
        for entry in versions
    ]
    document = {
        "versions": [
            {
                **to_builtins(entry),
                "names": names.get(entry.folder_key, []),
                "revoked": entry.folder_key in revoked,
            }
            for entry in versions
        ]
    }
    nothing = f"No version of {template} is published" if template else "Nothing is published"
    meant = await _meant(store, template) if template and not rows else ""
    return Said(
        text=table(rows) or f"{nothing} at {store.url}. {meant}".rstrip(),
        document=document,
        warnings=(*listing.warnings, *warnings),
    )


async def _show(store: ObjectStore, *, template: str) -> Said:
    warnings: list[str] = []
    entry = await catalog.resolve(store, template, warn=warnings.append)
    return Said(
        warnings=tuple(warnings),
        text=f"{entry.short_id}@{entry.timestamp}\n{store.url_of(entry.xva.key)}\n"
        f"{size_text(entry.xva.size_bytes)}  sha256:{entry.xva.sha256_hex}",
        document={"version": to_builtins(entry), "url": store.url_of(entry.xva.key)},
    )


async def _pull(
    store: ObjectStore, *, template: str, output: Path | None, verify_xva: bool, revoked: bool
) -> Said:
    warnings: list[str] = []
    entry = await catalog.resolve(store, template, revoked=revoked, warn=warnings.append)
    path = await anyio.to_thread.run_sync(_output, output, entry)
    async with watched_stream(store, path.name, entry.xva.size_bytes) as watched_store:
        validator = XvaValidator() if verify_xva else None
        pulled = await catalog.pull(watched_store, entry, path, validator=validator)
    if "sha256" not in pulled.verified:
        warnings.append("the version was published without a SHA-256: only its size was compared")
    resumed = f", {size_text(pulled.resumed_bytes)} were there" if pulled.resumed_bytes else ""
    size, verified = size_text(pulled.entry.xva.size_bytes), ", ".join(pulled.verified)
    return Said(
        text=f"{pulled.path}: {size}{resumed}, verified: {verified}\n"
        f"Import it: xe vm-import filename={shlex.quote(str(pulled.path))}\n"
        "Then make a template of it; clones let people in by a cloud-init drive only.",
        document={
            "version": to_builtins(pulled.entry),
            "path": str(pulled.path),
            "resumed_bytes": pulled.resumed_bytes,
            "verified": list(pulled.verified),
        },
        warnings=tuple(warnings),
    )


async def _set_channel(store: ObjectStore, *, name: str, version: str) -> Said:
    short_id, channel = releasing.channel_name(name)
    if store_keys.is_timestamp(version):
        reference = f"{short_id}@{version}"
    else:
        reference = short_id if version == "latest" else f"{short_id}:{version}"
    return await releasing.promote(store, template=reference, channel=channel, reason="")


async def _unset_channel(store: ObjectStore, *, name: str) -> Said:
    await catalog.unset_channel(store, *releasing.channel_name(name))
    return Said(text=f"{name} was removed", document={"unset": name})


async def _list_channels(store: ObjectStore, *, template: str | None) -> Said:
    found = await catalog.channels(store, template)
    rows = [(f"{one.short_id}:{one.name}", one.entry.timestamp) for one in found.found]
    document = {
        "channels": [
            {"short_id": one.short_id, "name": one.name, "version": to_builtins(one.entry)}
            for one in found.found
        ]
    }
    return Said(
        text=table(rows) or "There are no channels.", document=document, warnings=found.warnings
    )


async def _prune(
    store: ObjectStore,
    *,
    template: str | None,
    keep: int,
    older_than_s: float | None,
    yes: bool,
) -> Said:
    bound = _stamp_before(older_than_s) if older_than_s is not None else None
    async with watched(store, "prune") as watched_store:
        pruning = await catalog.plan_pruning(
            watched_store, keep=keep, older_than=bound, short_id=template
        )
    if yes:
        await store.probe()  # finds out whether the store honours compare-and-swap
    warnings = pruning.warnings
    if yes:
        async with watched(store, "prune") as watched_store:
            warnings += await catalog.prune(watched_store, pruning)
    done = "removed" if yes else "would go"
    lines = [
        *(f"{done}: {entry.short_id}@{entry.timestamp}" for entry in pruning.remove),
        *(
            f"stays: {entry.short_id}@{entry.timestamp} ({reason})"
            for entry, reason in pruning.protected
        ),
        f"{counted(len(pruning.remove), 'version')}, {size_text(pruning.freed_bytes)}"
        + ("" if yes else "; nothing was removed: add --yes"),
    ]
    document = {
        "removed" if yes else "would_remove": [to_builtins(e) for e in pruning.remove],
        "protected": [
            {"version": to_builtins(entry), "by": reason} for entry, reason in pruning.protected
        ],
        "freed_bytes": pruning.freed_bytes,
    }
    return Said(text="\n".join(lines), document=document, warnings=warnings)


async def _rebuild(store: ObjectStore) -> Said:
    await store.probe()  # finds out whether the store honours compare-and-swap
    async with watched(store, "index rebuild") as watched_store:
        rebuilt = await catalog.rebuild_index(watched_store)
    return Said(
        text=f"{store.url_of(store_keys.INDEX_KEY)}: {counted(len(rebuilt.versions), 'version')}",
        document={"versions": len(rebuilt.versions)},
        warnings=rebuilt.warnings,
    )


def _marks(entry: CatalogEntry, revoked: frozenset[str]) -> list[str]:
    return ["REVOKED"] if entry.folder_key in revoked else []


def _output(output: Path | None, entry: CatalogEntry) -> Path:
    name = f"{entry.short_id}.xva"  # never a name that only the store's metadata chose
    if output is None:
        return Path(name)
    return output / name if output.is_dir() else output


def _stamp_before(seconds: float) -> str:
    return timestamp_of(datetime.now(UTC) - timedelta(seconds=seconds))


_ACTIONS: Mapping[str, Action] = {
    "show_version": reading.show,
    "diff": reading.diff,
    "logs": reading.logs,
    "sbom": reading.sbom,
    "promote": releasing.promote,
    "rollback": releasing.rollback,
    "revoke": releasing.revoke,
    "history": releasing.history,
    "list_versions": _list,
    "show": _show,
    "pull": _pull,
    "set_channel": _set_channel,
    "unset_channel": _unset_channel,
    "list_channels": _list_channels,
    "prune": _prune,
    "rebuild_index": _rebuild,
}
