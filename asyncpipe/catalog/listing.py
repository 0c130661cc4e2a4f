"""Find versions: by the index, by a listing, by a name a person types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio

from asyncpipe.catalog.read import BAD, read_index, read_pointer, read_version
from asyncpipe.catalog.revocation import newest_good, revocation_of
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import (
    CatalogEntry,
    decode_index,
    encode_index,
    in_order,
)
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.ports import ObjectStore

_READ_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Versions, newest first, and what could not be listed."""

    versions: tuple[CatalogEntry, ...]
    warnings: tuple[str, ...] = ()


async def list_versions(
    store: ObjectStore, short_id: str | None = None, *, fresh: bool = False
) -> Listing:
    """List every version; from the index, or from the objects when it is absent or broken.

    ``fresh`` looks at the objects themselves. Raises NewerSchemaError.
    """
    listing = await _scan(store) if fresh else await _indexed(store)
    mine = tuple(entry for entry in listing.versions if short_id in {None, entry.short_id})
    return Listing(versions=mine, warnings=listing.warnings)


async def _indexed(store: ObjectStore) -> Listing:
    rebuild = "run asyncpipe index rebuild"
    try:
        indexed = await read_index(store)
    except UnreadableError as error:
        scanned = await _scan(store)
        warning = f"{error.message} The objects were listed instead; {rebuild}."
        return Listing(versions=scanned.versions, warnings=(warning, *scanned.warnings))
    if indexed is None:
        return await _scan(store)
    url = store.url_of(store_keys.INDEX_KEY)
    warnings = tuple(f"{url}: an entry is left out: {text}" for text in indexed[1])
    return Listing(versions=indexed[0], warnings=warnings)


async def latest(store: ObjectStore, short_id: str) -> CatalogEntry:
    """The version that ``latest.json`` names.

    Raises:
        ObjectMissingError: there is none.
        UnreadableError, NewerSchemaError: ``latest.json`` is not what it should be.
    """
    key = store_keys.latest_key(_name(short_id))
    return await _follow(store, key, short_id, f"No version of {short_id}")


async def resolve(
    store: ObjectStore,
    reference: str,
    *,
    revoked: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> CatalogEntry:
    """Find ``debian12`` (latest), ``debian12:stable`` (a channel) or ``debian12@TIMESTAMP``.

    A name that leads to a revoked version leads to the newest older one that is good, which is
    reported to ``warn``; ``revoked`` takes what is named.

    Raises:
        UsageError: the text is not a reference, or what it names is revoked.
        ObjectMissingError: nothing is published under it.
    """
    entry = await _named(store, reference)
    found = None if revoked else await revocation_of(store, entry)
    if found is None:
        return entry
    name = f"{entry.short_id}@{entry.timestamp}"
    why = f"was revoked{f' by {found.by}' if found.by else ''}: {found.reason}"
    if "@" in reference:
        raise UsageError(f"{name} {why}", hint="--revoked takes it all the same.")
    listing = await list_versions(store, entry.short_id)
    older = await newest_good(store, listing.versions, entry.timestamp)
    if older is None:
        raise UsageError(
            f"{reference} is {name}, which {why}; no older version is good.",
            hint="--revoked takes it all the same.",
        )
    warn(f"{reference} named {name}, which {why}; {older.short_id}@{older.timestamp} is taken")
    return older


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


async def rebuild_index(store: ObjectStore) -> Listing:
    """Rewrite ``index.json`` from a listing and each version's metadata.

    A version that is published while this runs is kept: it is newer than the listing.

    Raises:
        NewerSchemaError: the index is that of a newer asyncpipe.
    """
    try:
        seen = await read_index(store)
    except UnreadableError:
        seen = None
    known = {entry.folder_key for entry in seen[0]} if seen else set()
    scanned = await _scan(store)

    def change(body: bytes | None) -> bytes | None:
        added = [entry for entry in _listed(body) if entry.folder_key not in known]
        wanted = encode_index((*scanned.versions, *added))
        return None if wanted == body else wanted

    swapped = await swap(store, store_keys.INDEX_KEY, change)
    warnings = list(scanned.warnings)
    if swapped.written and not swapped.guarded:
        warnings.append(unguarded_warning(store, store_keys.INDEX_KEY))
    return Listing(versions=scanned.versions, warnings=tuple(warnings))


async def _scan(store: ObjectStore) -> Listing:
    """Look at every version that has its metadata, a few at a time.

    A version counts when it is whole: its metadata can be read, and its image is there.
    """
    sizes = {info.key: info.size_bytes async for info in store.list("templates/")}
    keys = [store_keys.parse_version_key(key) for key in sizes]
    folders = [key.folder_key for key in keys if key and key.name == store_keys.METADATA_NAME]
    found: list[CatalogEntry] = []
    warnings: list[str] = []
    limiter = anyio.CapacityLimiter(_READ_AT_ONCE)

    async def look_at(folder_key: str) -> None:
        try:
            async with limiter:
                entry = await read_version(store, folder_key)
            if sizes.get(entry.xva.key) != entry.xva.size_bytes:
                raise UnreadableError("its image is not there, or has another size.")
            found.append(entry)
        except (*BAD, ObjectMissingError) as error:
            warnings.append(f"{store.url_of(folder_key)} is not listed: {error.message}")

    async with anyio.create_task_group() as tasks:
        for folder_key in folders:
            tasks.start_soon(look_at, folder_key)
    return Listing(versions=in_order(found), warnings=tuple(sorted(warnings)))


def _listed(body: bytes | None) -> tuple[CatalogEntry, ...]:
    try:
        return decode_index(body)[0] if body is not None else ()
    except UnreadableError:
        return ()


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
