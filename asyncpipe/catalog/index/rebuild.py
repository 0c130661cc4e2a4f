"""Bring the index in line with what is published: a rebuild reads all, a repair what differs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from asyncpipe.catalog.index.change import change_index
from asyncpipe.catalog.index.listing import Listing, folders_of, look_at
from asyncpipe.catalog.read import each, read_root, read_segments
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry, in_order
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.model.documents.index import (
    Listed,
    decode_root,
    decode_segment,
    encode_root,
    encode_segment,
)
from asyncpipe.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the index says; ``broken`` are segments that cannot be read, whole or in part."""

    named: frozenset[str] = frozenset()
    known: dict[str, CatalogEntry] = field(default_factory=dict)  # by folder
    broken: set[str] = field(default_factory=set)

    async def read(self, store: ObjectStore, keys: Iterable[str]) -> None:
        for key, listed in (await read_segments(store, keys)).items():
            if isinstance(listed, Listed):
                self.known.update({entry.folder_key: entry for entry in listed.versions})
            if isinstance(listed, UnreadableError) or (listed and listed.problems):
                self.broken.add(key)


async def rebuild_index(store: ObjectStore, *, thorough: bool = True) -> Listing:
    """Make the index list exactly what is published; returns that.

    The metadata of every version is read or, without ``thorough``, only of those that the index
    does not list. A version that is published meanwhile stays listed: it is newer than the look.

    Raises:
        NewerSchemaError: the index is that of a newer asyncpipe.
    """
    await change_index(store)  # converts an old index, and finds the segments of a lost one
    root = await read_root(store)
    seen = _Seen(named=root.segments if root else frozenset())
    await seen.read(store, seen.named)
    before = dict(seen.known)  # a version that comes later is not judged by an earlier listing
    sizes = {info.key: info.size_bytes async for info in store.list("templates/")}
    segments = frozenset(filter(store_keys.parse_segment_key, sizes))
    await seen.read(store, segments - seen.named)  # of a writer that was cut off
    folders = folders_of(sizes)
    trusted = {} if thorough else _whole(before, folders, sizes)
    looked = await look_at(store, [one for one in folders if one not in trusted], sizes)
    versions = in_order((*trusted.values(), *looked.versions))
    guarded = await _mend(store, seen, segments)
    warnings = [] if guarded else [unguarded_warning(store, store_keys.INDEX_KEY)]
    wanted = {entry.folder_key: entry for entry in versions}
    warnings += await change_index(
        store,
        remove=frozenset(one for one, entry in before.items() if wanted.get(one) != entry),
        add=[entry for one, entry in wanted.items() if seen.known.get(one) != entry],
    )
    return Listing(versions=versions, warnings=(*looked.warnings, *dict.fromkeys(warnings)))


def _whole(
    known: dict[str, CatalogEntry], folders: Iterable[str], sizes: dict[str, int]
) -> dict[str, CatalogEntry]:
    """Those of the listed versions whose metadata and image are there."""
    return {
        folder_key: known[folder_key]
        for folder_key in folders
        if folder_key in known
        and sizes.get(known[folder_key].xva.key) == known[folder_key].xva.size_bytes
    }


async def _mend(store: ObjectStore, seen: _Seen, there: frozenset[str]) -> bool:
    """Let the root name the segments that are there, and write damaged ones anew.

    Returns:
        Whether the store refused every write that would have lost another's change.
    """
    lost = seen.named - there
    guarded = True

    def name(body: bytes | None) -> bytes | None:
        present = decode_root(body).segments if body is not None else frozenset()
        wanted = encode_root((present | there) - lost)
        return None if wanted == body or (body is None and not there) else wanted

    async def mend(key: str) -> None:
        nonlocal guarded
        swapped = await swap(store, key, lambda body: _readable_part(body, key))
        guarded = guarded and (swapped.guarded or not swapped.written)

    await each(seen.broken, mend)
    swapped = await swap(store, store_keys.INDEX_KEY, name)
    return guarded and (swapped.guarded or not swapped.written)


def _readable_part(body: bytes | None, key: str) -> bytes | None:
    if body is None:
        return None
    try:
        listed = decode_segment(body, key.split("/")[1])
    except UnreadableError:
        return encode_segment(())
    return encode_segment(listed.versions) if listed.problems else None
