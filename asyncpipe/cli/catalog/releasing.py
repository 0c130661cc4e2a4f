"""What ``promote``, ``rollback``, ``revoke``, ``expire`` and ``history`` do."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog.said import Said, table
from asyncpipe.cli.signing.keys import checked, trust_of
from asyncpipe.errors import UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import End, Revocation, as_document
from asyncpipe.ports import ObjectStore
from asyncpipe.report import webhook
from asyncpipe.run.origin.run_facts import github_facts
from asyncpipe.text.format import timestamp_of, utc_text

if TYPE_CHECKING:
    from asyncpipe.provenance.verify import Trust

_ROLLBACK = "rolled back"


async def promote(
    store: ObjectStore,
    *,
    template: str,
    channel: str,
    reason: str,
    require: tuple[str, ...] = (),
    **signature: Any,
) -> Said:
    """Let a channel name a version, and remember who did it, when and why."""
    trust = trust_of(signature, always="signature" in require)
    warnings: list[str] = []
    entry = await catalog.resolve(store, template, warn=warnings.append)
    await _require(store, entry, require, trust)
    await store.probe()  # finds out whether the store honours conditions
    warnings += await catalog.move_channel(store, channel, entry, _why(reason))
    return Said(
        text=f"{entry.short_id}:{channel} is {entry.short_id}@{entry.timestamp}",
        document={"channel": channel, "version": to_builtins(entry)},
        warnings=tuple(warnings),
    )


async def _require(
    store: ObjectStore, entry: CatalogEntry, gates: tuple[str, ...], trust: Trust | None
) -> None:
    """Refuse a version that does not pass the gates; whom to trust is a gate of itself."""
    if trust is not None:
        await checked(store, entry, trust)
    if "boot-test" in gates:
        document = await catalog.read_metadata(store, entry) or {}
        tested = document.get("boot_test") or {}
        if not tested.get("passed"):
            version = f"{entry.short_id}@{entry.timestamp}"
            said = "failed its boot test" if tested else "has no boot test in its metadata"
            raise UsageError(f"{version} {said}: the channel stays as it is.")


async def rollback(store: ObjectStore, *, name: str, reason: str) -> Said:
    """Let a channel name again what it named before."""
    short_id, channel = channel_name(name)
    entry = await catalog.before(store, short_id, channel)
    await store.probe()
    warnings = await catalog.move_channel(store, channel, entry, _why(reason or _ROLLBACK))
    return Said(
        text=f"{name} is {entry.short_id}@{entry.timestamp} again",
        document={"channel": channel, "version": to_builtins(entry)},
        warnings=warnings,
    )


async def revoke(store: ObjectStore, *, version: str, reason: str) -> Said:
    """Take a version back: no reader follows a name to it any more."""
    _require_version(version, "a revocation")
    entry = await catalog.resolve(store, version, revoked=True)
    await store.probe()
    now = utc_text(datetime.now(UTC))
    mark = Revocation(reason=reason, by=_by(os.environ), revoked_utc=now)
    is_new = await catalog.revoke(store, entry, mark)
    moved, warnings = await _led_away(store, entry, f"revoked: {reason}")
    lines = [f"{version} {'is revoked' if is_new else 'was revoked already'}", *moved]
    return Said(
        text="\n".join(lines),
        document={"version": to_builtins(entry), "revoked": True, "moved": moved},
        warnings=tuple(warnings),
        message=webhook.revocation(version, reason=reason, by=mark.by, moved=moved)
        if is_new
        else None,
    )


async def expire(
    store: ObjectStore, *, version: str, in_s: float | None, never: bool, reason: str
) -> Said:
    """Give a version an end, another end, or none any more."""
    if never is (in_s is not None):
        raise UsageError("An end needs exactly one of --in TIME and --never.")
    _require_version(version, "an end")
    entry = await catalog.resolve(store, version, revoked=True)
    await store.probe()
    now = datetime.now(UTC)
    end_utc = None if in_s is None else utc_text(now + timedelta(seconds=in_s))
    end = End(expires_utc=end_utc, by=_by(os.environ), reason=reason, set_utc=utc_text(now))
    warnings = await catalog.set_end(store, entry, end)
    moved: list[str] = []
    if catalog.has_passed(end_utc):
        moved, more = await _led_away(store, entry, f"expired: {reason}".removesuffix(": "))
        warnings = (*warnings, *more)
    return Said(
        text="\n".join([f"{version} expires {f'at {end_utc}' if end_utc else 'never'}", *moved]),
        document={"version": to_builtins(entry), "expires_utc": end_utc, "moved": moved},
        warnings=warnings,
    )


async def history(store: ObjectStore, *, template: str) -> Said:
    """Who moved the channels of a template, when, from where to where, and why."""
    short_id, _, channel = template.partition(":")
    found = await catalog.history(store, short_id, channel or None)
    rows = [
        (
            move.moved_utc[:19] + "Z",
            f"{short_id}:{move.channel}",
            f"{move.before or 'new'} -> {move.after}",
            move.by,
            move.reason,
        )
        for move in found.moves
    ]
    return Said(
        text=table(rows) or f"No change of a channel of {template} is remembered.",
        document={"moves": [as_document(move) for move in found.moves]},
        warnings=found.warnings,
    )


def channel_name(name: str) -> tuple[str, str]:
    """Take ``debian12:stable`` apart."""
    short_id, colon, channel = name.partition(":")
    if not colon:
        raise UsageError(f"{name!r} names no channel.", hint="Write TEMPLATE:CHANNEL.")
    return short_id, channel


def _require_version(version: str, what: str) -> None:
    if "@" not in version:
        raise UsageError(
            f"{version!r} is a name that may move; {what} is of one version.",
            hint="Write TEMPLATE@TIMESTAMP; asyncpipe list shows them.",
        )


async def _led_away(
    store: ObjectStore, entry: CatalogEntry, reason: str
) -> tuple[list[str], list[str]]:
    """Move latest and channels off ``entry``; return what moved, and what is left to do."""
    listing = await catalog.list_versions(store, entry.short_id)
    older = await catalog.newest_good(store, listing.versions, entry.timestamp)
    names = (await catalog.names_of(store, [entry.short_id]))[0].get(entry.folder_key, [])
    if older is None:
        named = ", ".join(names)
        return [], [f"{named} still name it: no older version is good"] if names else []
    warnings: list[str] = []
    for name in names:
        if name != "latest":
            why = _why(reason[:500])
            warnings += await catalog.move_channel(store, name, older, why)
    pointers = {store_keys.latest_key(entry.short_id): "latest"} if "latest" in names else {}
    await catalog.repoint(store, pointers, entry, older)
    return [f"{name} is {older.short_id}@{older.timestamp}" for name in names], warnings


def _why(reason: str) -> catalog.Why:
    now = datetime.now(UTC)
    return catalog.Why(
        by=_by(os.environ), reason=reason, moved_utc=utc_text(now), timestamp=timestamp_of(now)
    )


def _by(environment: Mapping[str, str]) -> str:
    """Name the CI run, or the user of this machine."""
    facts = github_facts(environment)
    if facts is not None:
        return f"{facts.actor} in {facts.run_url}" if facts.run_url else facts.actor
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
