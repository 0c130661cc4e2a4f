"""Places remember their template: ``debian12`` is filled by one, and another one is refused.

``place.json`` is created before a template's first build and changed by compare-and-swap. Places
from before it existed are those of the template that built their latest version. Where a store
honours no conditions, what was written is read back, as for every pointer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from asyncpipe.catalog.read import BAD, read_metadata, read_pointer
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.errors import DestinationTakenError, ObjectMissingError, ObjectTooLargeError
from asyncpipe.model import store_keys
from asyncpipe.model.documents import catalog
from asyncpipe.model.documents.catalog import Filler
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.model.documents.metadata import PublishedMetadata
from asyncpipe.ports import ObjectStore

_MAX_PLACE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """A build that wants a place: its template, and the folder of the version it will make."""

    template: Filler
    timestamp: str
    take_over: bool = False  # although another template fills the place


async def take_place(store: ObjectStore, name: str, claimant: Claimant) -> tuple[str, ...]:
    """Make a place that of a template, or find that it is; returns warnings.

    A place that somebody took and where nothing ever came to be is free.

    Raises:
        DestinationTakenError: another template fills it.
        NewerSchemaError, UploadError: the store failed, or holds what cannot be judged.
    """
    key = store_keys.place_key(name)
    url, mine = store.url_of(key), claimant.template
    present = await _read(store, key)
    warnings = await _judge(store, name, present, claimant)

    def change(body: bytes | None) -> bytes | None:
        known = _decoded(body, url)
        if known is None:
            if body is not None:
                warnings.append(f"{url} was unreadable and was replaced")
            return catalog.encode_place(mine, claimant.timestamp)
        if known.template.is_same(mine):
            better = _more_exact(known.template, mine)
            return None if better == known.template else catalog.encode_place(better, known.since)
        if body != present and not claimant.take_over:  # somebody was faster
            raise _refusal(store, name, known.template)
        return catalog.encode_place(mine, claimant.timestamp)

    swapped = await swap(store, key, change)
    if swapped.written and not swapped.guarded:
        warnings.append(unguarded_warning(store, key))
    return tuple(dict.fromkeys(warnings))


async def leave_place(store: ObjectStore, name: str, claimant: Claimant) -> None:
    """Give a place back that ``claimant`` was the first to take, if nothing came to be there."""
    key = store_keys.place_key(name)
    known = _decoded(await _read(store, key), store.url_of(key))
    is_ours = known is not None and known.template.is_same(claimant.template)
    if known is None or not is_ours or known.since != claimant.timestamp:
        return
    claim = f"{store_keys.folder_key(name, claimant.timestamp)}/{store_keys.CLAIM_NAME}"
    keys = {info.key async for info in store.list(f"templates/{name}/")}
    if not keys - {key, claim}:
        await store.delete(key)


async def look_at_place(store: ObjectStore, name: str, claimant: Claimant) -> None:
    """Refuse as ``take_place`` would, and change nothing."""
    await _judge(store, name, await _read(store, store_keys.place_key(name)), claimant)


async def _judge(
    store: ObjectStore, name: str, present: bytes | None, claimant: Claimant
) -> list[str]:
    """Refuse the place of another template, unless it is free or taken over; returns warnings."""
    known = _decoded(present, store.url_of(store_keys.place_key(name)))
    filler = known.template if known else await _older_filler(store, name, claimant.template)
    if filler is None or filler.is_same(claimant.template):
        return []
    if not await _is_in_use(store, name, claimant):
        return []
    if not claimant.take_over:
        raise _refusal(store, name, filler)
    return [f"templates/{name} was taken over from {filler}"]


async def _read(store: ObjectStore, key: str) -> bytes | None:
    try:
        return (await store.get(key, max_bytes=_MAX_PLACE_BYTES)).body
    except ObjectMissingError:
        return None
    except ObjectTooLargeError:
        return b""  # no document of ours


def _decoded(body: bytes | None, url: str) -> catalog.Place | None:
    """What a document says; a damaged one says nothing and is replaced, as pointers are."""
    if body is None:
        return None
    try:
        return catalog.decode_place(body)
    except NewerSchemaError as error:
        raise NewerSchemaError(f"{url} cannot be read: {error.message}") from error
    except UnreadableError:
        return None


async def _older_filler(store: ObjectStore, name: str, mine: Filler) -> Filler | None:
    """Who built the latest version; None where that is not known.

    Its metadata has the template's path as seen from where the build was started.
    """
    try:
        latest = await read_pointer(store, store_keys.latest_key(name), name)
        metadata = await read_metadata(store, latest) if latest else None
    except BAD:
        return None
    older = catalog.filler_of(msgspec.convert(metadata, PublishedMetadata)) if metadata else None
    if older is not None and mine.path.endswith(f"/{older.path}"):
        return replace(older, path=mine.path)
    return older


async def _is_in_use(store: ObjectStore, name: str, claimant: Claimant) -> bool:
    """Whether a place holds more than its document and what ``claimant`` itself put there."""
    own = f"{store_keys.folder_key(name, claimant.timestamp)}/"
    keys = [info.key async for info in store.list(f"templates/{name}/")]
    return any(key != store_keys.place_key(name) and not key.startswith(own) for key in keys)


def _more_exact(known: Filler, mine: Filler) -> Filler:
    """What both know together."""
    return Filler(
        repository=known.repository or mine.repository,
        path=known.path,
        build=known.build or mine.build,
    )


def _refusal(store: ObjectStore, name: str, filler: Filler) -> DestinationTakenError:
    return DestinationTakenError(
        f"{store.url_of(f'templates/{name}')} holds the versions of another template: {filler}.",
        hint="Publish beside it with --variant NAME; after a rename, pass --take-over once.",
    )
