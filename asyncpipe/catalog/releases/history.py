"""What happened to a channel: every change is an object of its own, never changed again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from asyncpipe.catalog.read import BAD, read_pointer, read_version, with_statement_digest
from asyncpipe.catalog.releases.channels import set_channel
from asyncpipe.catalog.releases.standing import standing_of
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import Move, decode_move, encode_move
from asyncpipe.ports import ObjectStore

_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Who moves a channel, when and why."""

    by: str
    reason: str
    moved_utc: str  # RFC 3339
    timestamp: str  # the same moment as a name


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The changes of a template's channels, newest first, and what cannot be read."""

    moves: tuple[Move, ...]
    warnings: tuple[str, ...] = ()


async def move_channel(
    store: ObjectStore, channel: str, entry: CatalogEntry, why: Why
) -> tuple[str, ...]:
    """Point ``channel`` at ``entry`` and remember it; returns warnings.

    The change is remembered first: a channel never names what its history does not have.

    Raises:
        UsageError: no name of a channel.
        ObjectMissingError: the version is gone.
    """
    store_keys.require_name(channel)
    try:
        present = await read_pointer(
            store, store_keys.channel_key(entry.short_id, channel), entry.short_id
        )
    except BAD:
        present = None
    if present is not None and present.timestamp == entry.timestamp:
        return ()
    entry = await with_statement_digest(store, entry)
    move = Move(
        channel=channel,
        before=present.timestamp if present else None,
        after=entry.timestamp,
        by=why.by,
        reason=why.reason,
        moved_utc=why.moved_utc,
    )
    key = store_keys.history_key(entry.short_id, channel, why.timestamp, secrets.token_hex(4))
    await store.put(key, encode_move(move), content_type="application/json", create_only=True)
    return await set_channel(store, channel, entry)


async def history(store: ObjectStore, short_id: str, channel: str | None = None) -> History:
    """Return the changes of one channel, or of all of a template, newest first."""
    prefix = f"templates/{short_id}/history/" + (f"{channel}/" if channel else "")
    keys = [info.key async for info in store.list(prefix)]
    found: list[tuple[str, Move]] = []
    warnings: list[str] = []
    for key in keys:
        try:
            move = decode_move((await store.get(key, max_bytes=_MAX_BYTES)).body)
            found.append((f"{move.moved_utc} {key}", move))
        except ObjectMissingError:
            continue
        except BAD as error:
            warnings.append(f"{store.url_of(key)} is left out: {error.message}")
    newest = sorted(found, key=lambda one: one[0], reverse=True)
    return History(moves=tuple(move for _, move in newest), warnings=tuple(warnings))


async def before(store: ObjectStore, short_id: str, channel: str) -> CatalogEntry:
    """Return the version to which a channel rolls back: the last good one that it named before.

    Raises:
        UsageError: it names nothing, or named no other version that is there and good.
    """
    present = await read_pointer(store, store_keys.channel_key(short_id, channel), short_id)
    if present is None:
        raise ObjectMissingError(f"{short_id} has no channel {channel} at {store.url}.")
    for timestamp in _earlier(await history(store, short_id, channel), present.timestamp):
        try:
            entry = await read_version(store, store_keys.folder_key(short_id, timestamp))
        except (*BAD, ObjectMissingError):
            continue
        if (await standing_of(store, entry)).is_good:
            return entry
    raise UsageError(
        f"{short_id}:{channel} named no other version that is still there and good.",
        hint=f"asyncpipe promote {short_id}@TIMESTAMP --channel {channel} names one.",
    )


def _earlier(past: History, present: str) -> list[str]:
    """Return what the channel named before ``present``, the last one first."""
    moves = past.moves
    start = next((n for n, move in enumerate(moves) if move.after == present), 0)
    named = [stamp for move in moves[start:] for stamp in (move.after, move.before) if stamp]
    return [stamp for stamp in dict.fromkeys(named) if stamp != present]
