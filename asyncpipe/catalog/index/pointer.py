"""Make readers find a version: ``latest.json`` first, then the index; never backwards."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from asyncpipe.catalog.index.change import change_index
from asyncpipe.catalog.read import read_metadata
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.errors import UploadError, flattened
from asyncpipe.model import store_keys
from asyncpipe.model.documents import catalog
from asyncpipe.model.documents.catalog import CatalogEntry, PointerResult
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.ports import ObjectStore


async def move_pointer(store: ObjectStore, entry: CatalogEntry) -> PointerResult:
    """Point ``latest.json`` at ``entry`` unless it names a newer version, then list it.

    The version's objects must stand already. Repeating the call changes nothing. An index that
    cannot be changed is a warning: it is rebuilt from a listing at any time.

    Raises:
        UploadError: ``latest.json`` could not be read or written.
    """
    key = store_keys.latest_key(entry.short_id)
    broken: list[str] = []

    def change(body: bytes | None) -> bytes | None:
        present = _readable(body, entry.short_id, store.url_of(key), broken)
        if present is not None and present.timestamp >= entry.timestamp:
            return None
        return catalog.encode_pointer(entry)

    swapped = await swap(store, key, change)
    before = _readable(swapped.before, entry.short_id, store.url_of(key), [])
    warnings = list(dict.fromkeys(broken))
    if swapped.written and not swapped.guarded:
        warnings.append(unguarded_warning(store, key))

    async def list_it() -> None:
        warnings.extend(await _add_to_index(store, entry))

    with flattened():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(list_it)
            previous = await _previous(store, before, entry)
    newest = max(entry.timestamp, before.timestamp) if before else entry.timestamp
    return PointerResult(
        moved=newest == entry.timestamp,
        latest_timestamp=newest,
        previous_metadata=previous,
        warnings=tuple(warnings),
    )


async def _add_to_index(store: ObjectStore, entry: CatalogEntry) -> list[str]:
    try:
        return await change_index(store, add=(entry,))
    except UploadError as error:
        url = store.url_of(store_keys.INDEX_KEY)
        reason = f"{url} does not list this version yet: {error.message}"
        return [f"{reason} Run asyncpipe index repair."]


def _readable(
    body: bytes | None, short_id: str, url: str, broken: list[str]
) -> CatalogEntry | None:
    if body is None:
        return None
    try:
        return catalog.decode_pointer(body, short_id)
    except NewerSchemaError as error:
        raise NewerSchemaError(f"{url} was not changed: {error.message}") from error
    except UnreadableError as error:
        broken.append(f"{url} was unreadable and was replaced: {error.message}")
        return None


async def _previous(
    store: ObjectStore, before: CatalogEntry | None, entry: CatalogEntry
) -> Mapping[str, object] | None:
    """The metadata of the version that ``latest`` named before; only of use for a comparison."""
    if before is None or before.timestamp >= entry.timestamp:
        return None
    try:
        return await read_metadata(store, before)
    except UploadError:
        return None
