"""Find versions: by the index, or by a listing of the objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio

from asyncpipe.catalog.read import BAD, read_index, read_version
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.errors import ObjectMissingError
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
