"""Read the documents of a catalogue; a bad one is named, with its URL and what is wrong."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import anyio
import msgspec
from msgspec.structs import replace

from asyncpipe.catalog.swap import MAX_INDEX_BYTES
from asyncpipe.errors import ObjectMissingError, ObjectTooLargeError, UploadError, flattened
from asyncpipe.model import store_keys
from asyncpipe.model.documents import catalog, fields
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.model.documents.index import Listed, Root, decode_root, decode_segment
from asyncpipe.model.documents.metadata import FailedMetadata, Failure, PublishedMetadata
from asyncpipe.ports import ObjectStore, ReadsMany

_MAX_POINTER_BYTES: Final = 1024 * 1024
_MAX_METADATA_BYTES: Final = 16 * 1024 * 1024
MAX_SEGMENT_BYTES: Final = 4 * 1024 * 1024

BAD: Final = (UnreadableError, NewerSchemaError)  # of one document: the others are still read
Item = TypeVar("Item")
Value = TypeVar("Value")
Body: TypeAlias = bytes | UploadError
_AT_ONCE: Final = 16  # as many as a store has connections
_WORKERS: Final = 4  # of calls that read many objects each: memory has to hold their bodies
_MOST_IN_ONE: Final = 256


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


async def read_each(
    store: ObjectStore, keys: Iterable[str], max_bytes: int, take: Callable[[str, Body], Value]
) -> list[Value]:
    """Read small objects, many in one call where the store can; what ``take`` returns of each.

    ``take`` is given a key and a body, or the ObjectMissingError or ObjectTooLargeError that came
    instead. The results are in the order of the keys.
    """
    wanted = list(keys)
    if not isinstance(store, ReadsMany):
        return await each(wanted, lambda key: _read_one(store, key, max_bytes, take))
    many = store  # the narrowed type, for the function below
    todo = deque(wanted)
    found: dict[str, Value] = {}
    # reading beside decoding, both wait for the interpreter's lock: it pays for many only
    is_little = len(wanted) <= _MOST_IN_ONE

    async def work(_: int) -> None:
        while todo:
            count = min(_MOST_IN_ONE, len(todo) if is_little else -(-len(todo) // (2 * _WORKERS)))
            some = [todo.popleft() for _ in range(count)]
            bodies = await many.get_many(some, max_bytes=max_bytes)
            todo.extendleft(reversed(some[len(bodies) :]))
            for key, body in zip(some, bodies, strict=False):
                found[key] = take(key, body)

    await each(range(1 if is_little else _WORKERS), work)
    return [found[key] for key in wanted]


async def _read_one(
    store: ObjectStore, key: str, max_bytes: int, take: Callable[[str, Body], Value]
) -> Value:
    body: Body
    try:
        body = (await store.get(key, max_bytes=max_bytes)).body
    except (ObjectMissingError, ObjectTooLargeError) as error:
        body = error
    return take(key, body)


async def read_pointer(store: ObjectStore, key: str, short_id: str) -> CatalogEntry | None:
    """Read ``latest.json`` or a channel of a template; None if it does not exist.

    Raises:
        UnreadableError, NewerSchemaError: naming it.
    """
    return await _read(
        store, key, _MAX_POINTER_BYTES, lambda body: catalog.decode_pointer(body, short_id)
    )


async def read_root(store: ObjectStore) -> Root | None:
    """Read ``index.json``; None if it does not exist; raises as ``read_pointer``."""
    return await _read(store, store_keys.INDEX_KEY, MAX_INDEX_BYTES, decode_root)


async def read_segments(
    store: ObjectStore, keys: Iterable[str]
) -> dict[str, Listed | UnreadableError | None]:
    """Read segments of the index: None for one that is missing, the error for a damaged one.

    Raises:
        NewerSchemaError: naming it.
    """

    def listed(key: str, body: Body) -> Listed | UnreadableError | None:
        short_id = key.split("/")[1]
        try:
            return _decoded(store, key, body, lambda one: decode_segment(one, short_id))
        except UnreadableError as error:
            return error

    wanted = sorted(keys)
    found = await read_each(store, wanted, MAX_SEGMENT_BYTES, listed)
    return dict(zip(wanted, found, strict=True))


async def read_version(store: ObjectStore, folder_key: str) -> CatalogEntry:
    """Read the version in a folder from its own metadata.

    Raises:
        ObjectMissingError: the folder has no metadata.
        UnreadableError, NewerSchemaError: naming it.
    """
    (found,) = await read_versions(store, [folder_key])
    if isinstance(found, UploadError):
        raise found
    return found


async def read_versions(
    store: ObjectStore, folder_keys: Sequence[str]
) -> list[CatalogEntry | UploadError]:
    """Read the versions in folders; of one that cannot be read what ``read_version`` raises."""

    def entry(key: str, body: Body) -> CatalogEntry | UploadError:
        folder_key = key.rpartition("/")[0]
        try:
            found = _decoded(store, key, body, _entry)
        except BAD as error:
            return error
        if found is None:
            return ObjectMissingError(
                f"There is no version {store.url_of(folder_key)}.",
                hint="asyncpipe list shows what is published.",
            )
        if found.folder_key != folder_key:
            url = store.url_of(key)
            return UnreadableError(f"{url} is unreadable: It is the metadata of another version.")
        return found

    keys = [f"{one}/{store_keys.METADATA_NAME}" for one in folder_keys]
    return await read_each(store, keys, _MAX_METADATA_BYTES, entry)


def _entry(body: bytes) -> CatalogEntry:
    return catalog.entry_of(fields.decode(body, PublishedMetadata))


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
    return await _read_one(
        store, key, max_bytes, lambda key, body: _decoded(store, key, body, decode)
    )


def _decoded(
    store: ObjectStore, key: str, body: Body, decode: Callable[[bytes], Value]
) -> Value | None:
    """Decode a document; None if it is missing; UnreadableError, NewerSchemaError."""
    if isinstance(body, ObjectMissingError):
        return None
    if isinstance(body, UploadError):
        raise UnreadableError(f"{store.url_of(key)} is unreadable: it is too large.") from body
    try:
        return decode(body)
    except NewerSchemaError as error:
        raise NewerSchemaError(f"{store.url_of(key)} cannot be read: {error.message}") from error
    except UnreadableError as error:
        raise UnreadableError(f"{store.url_of(key)} is unreadable: {error.message}") from error
