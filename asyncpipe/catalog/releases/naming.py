"""Names and versions: to which version a name leads, and which names lead to a version."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from asyncpipe.catalog.index.listing import list_versions
from asyncpipe.catalog.read import BAD, each, read_pointer, read_version
from asyncpipe.catalog.releases.channels import Channels, channels
from asyncpipe.catalog.releases.standing import Standing, newest_good, standing_of
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore


async def latest(store: ObjectStore, short_id: str) -> CatalogEntry:
    """The version that ``latest.json`` names.

    Raises:
        ObjectMissingError: no version was published.
        UnreadableError, NewerSchemaError: ``latest.json`` is not what it should be.
    """
    key = store_keys.latest_key(_name(short_id))
    return await _follow(store, key, short_id, f"No version of {short_id}")


async def resolve(
    store: ObjectStore,
    reference: str,
    *,
    revoked: bool = False,
    expired: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> CatalogEntry:
    """Find ``debian12`` (latest), ``debian12:stable`` (a channel) or ``debian12@TIMESTAMP``.

    A name that leads to a revoked or expired version leads to the newest older one that is good,
    which is reported to ``warn``. ``expired`` takes an expired version that is named, ``revoked``
    takes whatever is named.

    Raises:
        UsageError: the text is not a reference, or what it names is revoked or has expired.
        ObjectMissingError: nothing is published under it.
    """
    entry = await _named(store, reference)
    standing = Standing() if revoked else await standing_of(store, entry)
    if standing.is_good or (expired and standing.revocation is None):
        return entry
    name = f"{entry.short_id}@{entry.timestamp}"
    if "@" in reference:
        raise UsageError(f"{name} {standing.problem}", hint=standing.hint)
    listing = await list_versions(store, entry.short_id)
    older = await newest_good(store, listing.versions, entry.timestamp)
    if older is None:
        raise UsageError(
            f"{reference} is {name}, which {standing.problem}; no older version is good.",
            hint=standing.hint,
        )
    warn(
        f"{reference} named {name}, which {standing.problem}; "
        f"{older.short_id}@{older.timestamp} is taken"
    )
    return older


async def names_of(
    store: ObjectStore, short_ids: Iterable[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the names of each folder, and what is wrong with names that were left out."""
    named: dict[str, list[str]] = {}
    warnings: list[str] = []

    async def look_at(short_id: str) -> tuple[CatalogEntry | None, Channels]:
        newest: CatalogEntry | None = None
        try:
            newest = await latest(store, short_id)
        except ObjectMissingError:
            pass
        except BAD as error:
            warnings.append(error.message)
        return newest, await channels(store, short_id)

    for newest, found in await each(sorted(short_ids), look_at):
        if newest is not None:
            named.setdefault(newest.folder_key, []).append("latest")
        warnings += found.warnings
        for channel in found.found:
            named.setdefault(channel.entry.folder_key, []).append(channel.name)
    return named, sorted(warnings)


async def _named(store: ObjectStore, reference: str) -> CatalogEntry:
    if "@" in reference:
        short_id, _, timestamp = reference.partition("@")
        if not store_keys.is_timestamp(timestamp):
            raise UsageError(
                f"{timestamp!r} is not the timestamp of a version.",
                hint="asyncpipe list shows them; they look like 20261123T170000Z.",
            )
        return await read_version(store, store_keys.folder_key(_name(short_id), timestamp))
    short_id, colon, channel = reference.partition(":")
    if not colon:
        return await latest(store, short_id)
    key = store_keys.channel_key(_name(short_id), _name(channel))
    return await _follow(store, key, short_id, f"{short_id} has no channel {channel}")


async def _follow(store: ObjectStore, key: str, short_id: str, absent: str) -> CatalogEntry:
    entry = await read_pointer(store, key, short_id)
    if entry is None:
        raise ObjectMissingError(
            f"{absent} at {store.url}.", hint="asyncpipe list shows what is published."
        )
    return entry


def _name(text: str) -> str:
    if not store_keys.is_name(text):
        raise UsageError(f"{text!r} is not a name in a catalogue.")
    return text
