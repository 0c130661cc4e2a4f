"""Change the index: a publication rewrites one segment, whatever the number of versions.

New versions go to the last segment of their template. A full one is followed by another, which the
root names then. Every change is a compare-and-swap, so writers at the same time lose nothing; they
meet only where they publish versions of one template.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from asyncpipe.catalog.read import each, read_root
from asyncpipe.catalog.swap import Change, swap, unguarded_warning
from asyncpipe.errors import ConflictError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.model.documents.index import (
    SEGMENT_VERSIONS,
    Listed,
    Root,
    decode_root,
    decode_segment,
    encode_root,
    encode_segment,
)
from asyncpipe.ports import ObjectStore

_REBUILD = "run asyncpipe index rebuild"
_CONVERSIONS = 5  # each time a writer of the old index may have been faster


@dataclass(frozen=True, slots=True)
class _Index:
    """The index of a store that is being changed, and what was seen on the way."""

    store: ObjectStore
    warnings: list[str] = field(default_factory=list)

    async def swap(self, key: str, change: Change) -> bool:
        """Apply ``change``; whether something was written."""
        swapped = await swap(self.store, key, change)
        if swapped.written and not swapped.guarded:
            self.warnings.append(unguarded_warning(self.store, key))
        return swapped.written

    def broken(self, key: str, text: str) -> None:
        self.warnings.append(f"{self.store.url_of(key)} {text}; {_REBUILD}")

    def listed(self, key: str, body: bytes | None, short_id: str) -> Listed | None:
        """What a segment says; None for a damaged one, which only a rebuild replaces."""
        if body is None:
            return Listed()
        try:
            found = decode_segment(body, short_id)
        except NewerSchemaError as error:
            raise NewerSchemaError(f"{self.store.url_of(key)}: {error.message}") from error
        except UnreadableError as error:
            self.broken(key, f"is unreadable: {error.message}")
            return None
        for text in found.problems:
            self.broken(key, f"lost an entry: {text}")
        return found


async def change_index(
    store: ObjectStore, *, add: Iterable[CatalogEntry] = (), remove: frozenset[str] = frozenset()
) -> list[str]:
    """Add versions and remove those of the ``remove`` folders; returns warnings.

    Raises:
        UploadError: the index is of a newer schema, or the store failed.
    """
    index = _Index(store)
    root = await _root(index)
    if remove:
        await _remove(index, root, remove)
    await _add(index, root, add)
    return list(dict.fromkeys(index.warnings))


async def find_segments(store: ObjectStore) -> frozenset[str]:
    """Return the keys of all segments there are, by a listing of the objects."""
    keys = [info.key async for info in store.list("templates/")]
    return frozenset(filter(store_keys.parse_segment_key, keys))


async def _root(index: _Index) -> Root:
    """Read the root; an old index is converted, and one that is lost is found again."""
    try:
        root = await read_root(index.store)
    except UnreadableError as error:
        why = error.message.removeprefix(
            f"{index.store.url_of(store_keys.INDEX_KEY)} is unreadable: "
        )
        index.broken(store_keys.INDEX_KEY, f"was unreadable and was made again: {why}")
        root = None
    if root is None:
        found = await find_segments(index.store)
        if found:
            await _name(index, found)
        return Root(segments=found)
    for text in root.problems:
        index.broken(store_keys.INDEX_KEY, f"lost an entry: {text}")
    return root if root.old is None else await _converted(index, root.old)


async def _converted(index: _Index, old: tuple[CatalogEntry, ...]) -> Root:
    """Write segments for the versions of an old index, then the root that names them."""
    done: frozenset[str] = frozenset()
    missing = old
    for _ in range(_CONVERSIONS):
        done |= await _fill(index, Root(), missing)
        known = frozenset(old)
        missing = await _replace_old(index, known, done)
        if not missing:
            return Root(segments=done)
        old = (*old, *missing)  # somebody with an older asyncpipe published meanwhile
    raise ConflictError(
        f"An older asyncpipe keeps changing {index.store.url_of(store_keys.INDEX_KEY)}.",
        hint="Update asyncpipe on every runner that publishes there.",
    )


async def _replace_old(
    index: _Index, known: frozenset[CatalogEntry], segments: frozenset[str]
) -> tuple[CatalogEntry, ...]:
    """Replace an old index unless it lists more than ``known``; returns what it lists more."""
    missing: list[CatalogEntry] = []

    def change(body: bytes | None) -> bytes | None:
        present = _decoded_root(body)
        missing[:] = [entry for entry in present.old or () if entry not in known]
        return None if missing else encode_root(present.segments | segments)

    await index.swap(store_keys.INDEX_KEY, change)
    return tuple(missing)


async def _add(index: _Index, root: Root, entries: Iterable[CatalogEntry]) -> None:
    keys = await _fill(index, root, entries)
    if keys - root.segments:
        await _name(index, keys)


async def _fill(index: _Index, root: Root, entries: Iterable[CatalogEntry]) -> frozenset[str]:
    """Put versions into the last segment of their template and those after it; returns the keys."""
    by_template: dict[str, list[CatalogEntry]] = {}
    for entry in entries:
        by_template.setdefault(entry.short_id, []).append(entry)

    async def fill(short_id: str) -> list[str]:
        keys = root.of(short_id)
        last = store_keys.parse_segment_key(keys[-1]) if keys else None
        return await _append(index, short_id, by_template[short_id], last[1] if last else 1)

    return frozenset(key for keys in await each(by_template, fill) for key in keys)


async def _append(
    index: _Index, short_id: str, entries: list[CatalogEntry], number: int
) -> list[str]:
    """Add versions of a template from segment ``number`` on, the oldest first."""
    left = sorted(entries, key=lambda entry: entry.timestamp)
    used: list[str] = []
    while left:
        key = store_keys.segment_key(short_id, number)
        if taken := await _put_into(index, key, short_id, left):
            used.append(key)
        left = [entry for entry in left if entry not in taken]
        number += 1
    return used


async def _put_into(
    index: _Index, key: str, short_id: str, entries: list[CatalogEntry]
) -> frozenset[CatalogEntry]:
    """List versions in a segment as far as there is room; returns those that it lists then."""
    taken: list[CatalogEntry] = []

    def change(body: bytes | None) -> bytes | None:
        taken.clear()
        present = index.listed(key, body, short_id)
        if present is None or present.sealed:
            return None
        known = {entry.timestamp: entry for entry in present.versions}
        new = [entry for entry in entries if entry.timestamp not in known]
        room = max(0, SEGMENT_VERSIONS - len(known))
        taken.extend(entry for entry in entries if entry.timestamp in known)
        taken.extend(new[:room])
        changed = any(known.get(entry.timestamp) != entry for entry in taken)
        return encode_segment((*present.versions, *taken)) if changed else None

    await index.swap(key, change)
    return frozenset(taken)


async def _name(index: _Index, keys: frozenset[str]) -> None:
    """Let the root name ``keys``; one that cannot be read is made anew."""

    def change(body: bytes | None) -> bytes | None:
        try:
            present = _decoded_root(body).segments
        except UnreadableError:
            present = frozenset()
        wanted = encode_root(present | keys)
        return None if wanted == body else wanted

    await index.swap(store_keys.INDEX_KEY, change)


def _decoded_root(body: bytes | None) -> Root:
    return Root() if body is None else decode_root(body)


async def _remove(index: _Index, root: Root, folders: frozenset[str]) -> None:
    """Take versions out of the segments that list them; empty ones go, except the last.

    A segment is sealed before it goes: whoever read the root earlier adds nothing to it.
    """
    keys = {short_id: root.of(short_id) for short_id in {name.split("/")[1] for name in folders}}
    last = {mine[-1] for mine in keys.values() if mine}

    async def take_out(key: str) -> str | None:
        return await _take_out(index, key, folders, may_go=key not in last)

    went = await each([key for mine in keys.values() for key in mine], take_out)
    gone = frozenset(key for key in went if key)
    if gone:
        await _forget(index, gone)
        for key in gone:
            await index.store.delete(key)


async def _take_out(
    index: _Index, key: str, folders: frozenset[str], *, may_go: bool
) -> str | None:
    """Returns the key when this sealed the segment."""
    short_id = key.split("/")[1]
    sealed = False

    def change(body: bytes | None) -> bytes | None:
        nonlocal sealed
        sealed = False
        present = index.listed(key, body, short_id) if body is not None else None
        if present is None or present.sealed:
            return None
        kept = [entry for entry in present.versions if entry.folder_key not in folders]
        if len(kept) == len(present.versions) and (kept or not may_go):
            return None
        sealed = may_go and not kept
        return encode_segment(kept, sealed=sealed)

    written = await index.swap(key, change)
    return key if written and sealed else None


async def _forget(index: _Index, keys: frozenset[str]) -> None:
    def change(body: bytes | None) -> bytes | None:
        present = _decoded_root(body).segments
        return encode_root(present - keys) if present & keys else None

    await index.swap(store_keys.INDEX_KEY, change)
