"""Read the documents of a catalogue; a bad one is named, with its URL and what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar

import anyio
import msgspec
from msgspec.structs import replace

from asyncpipe.catalog.swap import MAX_INDEX_BYTES
from asyncpipe.errors import ObjectMissingError, ObjectTooLargeError, flattened
from asyncpipe.model import store_keys
from asyncpipe.model.documents import catalog, fields
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.model.documents.index import Listed, Root, decode_root, decode_segment
from asyncpipe.model.documents.metadata import FailedMetadata, Failure, PublishedMetadata
from asyncpipe.ports import ObjectStore

_MAX_POINTER_BYTES: Final = 1024 * 1024
_MAX_METADATA_BYTES: Final = 16 * 1024 * 1024
MAX_SEGMENT_BYTES: Final = 4 * 1024 * 1024

BAD: Final = (UnreadableError, NewerSchemaError)  # of one document: the others are still read
Item = TypeVar("Item")
Value = TypeVar("Value")
_AT_ONCE: Final = 16  # as many as a store has connections


async def each(items: Iterable[Item], do: Callable[[Item], Awaitable[Value]]) -> list[Value]:
    """Call ``do`` for every item, a few at a time; the results are in the order of the items."""
    wanted = list(items)
    if len(wanted) < 2:
        return [await do(item) for item in wanted]
    todo = iter(enumerate(wanted))
    found: dict[int, Value] = {}

    async def work() -> None:
        for number, item in todo:
            found[number] = await do(item)

    with flattened():
        async with anyio.create_task_group() as tasks:
            for _ in range(min(_AT_ONCE, len(wanted))):
                tasks.start_soon(work)
    return [found[number] for number in sorted(found)]


async def read_pointer(store: ObjectStore, key: str, short_id: str) -> CatalogEntry | None:
    """Read ``latest.json`` or a channel of a template; None when there is none.

    Raises:
        UnreadableError, NewerSchemaError: naming it.
    """
    return await _read(
        store, key, _MAX_POINTER_BYTES, lambda body: catalog.decode_pointer(body, short_id)
    )


async def read_root(store: ObjectStore) -> Root | None:
    """Read ``index.json``; None when there is none; errors as ``read_pointer``."""
    return await _read(store, store_keys.INDEX_KEY, MAX_INDEX_BYTES, decode_root)


async def read_segment(store: ObjectStore, key: str) -> Listed | None:
    """Read a segment of the index; None when there is none; errors as ``read_pointer``."""
    named = store_keys.parse_segment_key(key)
    assert named is not None
    return await _read(store, key, MAX_SEGMENT_BYTES, lambda body: decode_segment(body, named[0]))


async def read_version(store: ObjectStore, folder_key: str) -> CatalogEntry:
    """Read the version in a folder from its own metadata.

    Raises:
        ObjectMissingError: there is none.
        UnreadableError, NewerSchemaError: naming it.
    """

    def entry(body: bytes) -> CatalogEntry:
        found = catalog.entry_of(fields.decode(body, PublishedMetadata))
        if found.folder_key != folder_key:
            raise UnreadableError("It is the metadata of another version.")
        return found

    key = f"{folder_key}/{store_keys.METADATA_NAME}"
    found = await _read(store, key, _MAX_METADATA_BYTES, entry)
    if found is None:
        raise ObjectMissingError(
            f"There is no version {store.url_of(folder_key)}.",
            hint="asyncpipe list shows what is published.",
        )
    return found


async def read_failure(store: ObjectStore, folder_key: str) -> Failure:
    """Read why a build published nothing; ObjectMissingError, or errors as ``read_pointer``."""
    key = f"{folder_key}/{store_keys.METADATA_NAME}"
    found = await _read(
        store, key, _MAX_METADATA_BYTES, lambda body: fields.decode(body, FailedMetadata).failure
    )
    if found is None:
        raise ObjectMissingError(f"There is no {store.url_of(key)}.")
    return found


async def with_statement_digest(store: ObjectStore, entry: CatalogEntry) -> CatalogEntry:
    """Return ``entry`` with the digest of its signed statement, for a pointer to carry.

    metadata.json cannot hold it: the statement is about metadata.json.
    """
    named = entry.provenance
    if named is None or named.sha256_hex:
        return entry
    try:
        body = (await store.get(named.key, max_bytes=_MAX_METADATA_BYTES)).body
    except (ObjectMissingError, ObjectTooLargeError):
        return entry
    return replace(entry, provenance=replace(named, sha256_hex=hashlib.sha256(body).hexdigest()))


async def read_metadata(store: ObjectStore, entry: CatalogEntry) -> dict[str, Any] | None:
    """Read the metadata of a version, None when it is gone; errors as ``read_pointer``."""

    def plain(body: bytes) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(fields.decode(body, PublishedMetadata))
        return found

    return await _read(store, entry.metadata_key, _MAX_METADATA_BYTES, plain)


async def _read(
    store: ObjectStore, key: str, max_bytes: int, decode: Callable[[bytes], Value]
) -> Value | None:
    url = store.url_of(key)
    try:
        return decode((await store.get(key, max_bytes=max_bytes)).body)
    except ObjectMissingError:
        return None
    except ObjectTooLargeError as error:
        raise UnreadableError(f"{url} is unreadable: it is too large.") from error
    except NewerSchemaError as error:
        raise NewerSchemaError(f"{url} cannot be read: {error.message}") from error
    except UnreadableError as error:
        raise UnreadableError(f"{url} is unreadable: {error.message}") from error
