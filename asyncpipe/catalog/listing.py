"""Find versions: by the index, by a listing, by a name a person types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio

from asyncpipe.catalog import entries
from asyncpipe.catalog.entries import UnreadableError
from asyncpipe.catalog.pointer import MAX_METADATA_BYTES
from asyncpipe.catalog.swap import read_small, swap, unguarded_warning
from asyncpipe.errors import ObjectMissingError, UploadError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore

_READ_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A rebuilt index and what could not be listed in it."""

    versions: tuple[CatalogEntry, ...]
    warnings: tuple[str, ...] = ()


async def list_versions(
    store: ObjectStore, short_id: str | None = None, *, fresh: bool = False
) -> tuple[CatalogEntry, ...]:
    """Every version, newest first; from the index, or from a listing when it is absent.

    ``fresh`` looks at the objects themselves. Raises UnreadableError when the index is broken.
    """
    body = None if fresh else await read_small(store, store_keys.INDEX_KEY)
    found = (await _scan(store)).versions if body is None else entries.decode_index(body)
    return tuple(entry for entry in found if short_id in {None, entry.short_id})


async def latest(store: ObjectStore, short_id: str) -> CatalogEntry:
    """The version that ``latest.json`` names.

    Raises:
        ObjectMissingError: there is none.
    """
    return await _follow(store, store_keys.latest_key(_name(short_id)), f"No version of {short_id}")


async def resolve(store: ObjectStore, reference: str) -> CatalogEntry:
    """Find ``debian12`` (latest), ``debian12:stable`` (a channel) or ``debian12@TIMESTAMP``.

    Raises:
        UsageError: it is no reference.
        ObjectMissingError: nothing is published under it.
    """
    if "@" in reference:
        short_id, _, timestamp = reference.partition("@")
        if not store_keys.is_timestamp(timestamp):
            raise UsageError(
                f"{timestamp!r} is not the timestamp of a version.",
                hint="asyncpipe list shows them; they look like 20261123T170000Z.",
            )
        return await version_at(store, store_keys.folder_key(_name(short_id), timestamp))
    short_id, colon, channel = reference.partition(":")
    if not colon:
        return await latest(store, short_id)
    key = store_keys.channel_key(_name(short_id), _name(channel))
    return await _follow(store, key, f"{short_id} has no channel {channel}")


async def version_at(store: ObjectStore, folder_key: str) -> CatalogEntry:
    """The version in a folder, from its own metadata; ObjectMissingError, UnreadableError."""
    key = f"{folder_key}/{store_keys.METADATA_NAME}"
    body = await read_small(store, key, max_bytes=MAX_METADATA_BYTES)
    if body is None:
        raise ObjectMissingError(
            f"There is no version {store.url_of(folder_key)}.",
            hint="asyncpipe list shows what is published.",
        )
    try:
        entry = entries.entry_of(entries.load(body))
    except UnreadableError as error:
        raise UnreadableError(f"{store.url_of(key)} is unreadable: {error.message}") from error
    if entry.folder_key != folder_key:
        raise UnreadableError(f"{store.url_of(key)} is the metadata of another version.")
    return entry


async def rebuild_index(store: ObjectStore) -> Rebuilt:
    """Write ``index.json`` anew from a listing and each version's metadata.

    A version that is published while this runs is kept: it is newer than the listing.
    """
    seen = await read_small(store, store_keys.INDEX_KEY)
    known = _known(seen)
    scanned = await _scan(store)

    def change(body: bytes | None) -> bytes | None:
        added = [entry for entry in _known(body).values() if entry.folder_key not in known]
        wanted = entries.encode_index((*scanned.versions, *added))
        return None if wanted == body else wanted

    swapped = await swap(store, store_keys.INDEX_KEY, change)
    warnings = list(scanned.warnings)
    if swapped.written and not swapped.guarded:
        warnings.append(unguarded_warning(store, store_keys.INDEX_KEY))
    return Rebuilt(versions=scanned.versions, warnings=tuple(warnings))


async def _scan(store: ObjectStore) -> Rebuilt:
    """Look at every version that has its metadata, a few at a time."""
    keys = [store_keys.parse_version_key(info.key) async for info in store.list("templates/")]
    folders = [key.folder_key for key in keys if key and key.name == store_keys.METADATA_NAME]
    found: list[CatalogEntry] = []
    warnings: list[str] = []
    limiter = anyio.CapacityLimiter(_READ_AT_ONCE)

    async def look_at(folder_key: str) -> None:
        try:
            async with limiter:
                found.append(await version_at(store, folder_key))
        except (UnreadableError, ObjectMissingError, entries.NewerSchemaError) as error:
            warnings.append(f"{store.url_of(folder_key)} is not listed: {error.message}")

    async with anyio.create_task_group() as tasks:
        for folder_key in folders:
            tasks.start_soon(look_at, folder_key)
    return Rebuilt(versions=entries.in_order(found), warnings=tuple(sorted(warnings)))


def _known(body: bytes | None) -> dict[str, CatalogEntry]:
    try:
        listed = entries.decode_index(body) if body is not None else ()
    except UnreadableError:
        listed = ()
    return {entry.folder_key: entry for entry in listed}


async def _follow(store: ObjectStore, key: str, absent: str) -> CatalogEntry:
    body = await read_small(store, key)
    if body is None:
        raise ObjectMissingError(
            f"{absent} at {store.url}.", hint="asyncpipe list shows what is published."
        )
    try:
        return entries.decode_pointer(body)
    except UploadError as error:
        raise UnreadableError(f"{store.url_of(key)} is unreadable: {error.message}") from error


def _name(text: str) -> str:
    if not store_keys.is_name(text):
        raise UsageError(f"{text!r} is not a name in a catalogue.")
    return text
