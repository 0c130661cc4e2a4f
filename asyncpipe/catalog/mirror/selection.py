"""Which versions travel, by the objects that source and target list (pure, after the listing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from asyncpipe.catalog.index.listing import list_versions
from asyncpipe.catalog.read import BAD, read_pointer, read_version
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.identity import short_id_of
from asyncpipe.ports import ObjectStore

_OURS_ALONE: Final = frozenset({store_keys.CLAIM_NAME})  # of a run at work there


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for; nothing: all of it."""

    systems: tuple[str, ...] = ()  # debian, debian12, or the name of a place
    channel: str | None = None  # only versions that this channel names

    def fits(self, entry: CatalogEntry) -> bool:
        """Whether a version's system is asked for."""
        os_type = entry.os.type or ""
        names = {entry.short_id, os_type, short_id_of(os_type, entry.os.version)}
        return not self.systems or not names.isdisjoint(self.systems)


@dataclass(slots=True, kw_only=True)
class Objects:
    """What a destination lists: sizes by key, and the keys of each whole version."""

    sizes: dict[str, int] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)  # folder -> keys, metadata last

    @classmethod
    async def of(cls, store: ObjectStore) -> Objects:
        """List the versions, their marks and their pointers."""
        found = cls()
        folders: dict[str, list[str]] = {}
        async for info in store.list("templates/"):
            found.sizes[info.key] = info.size_bytes
            key = store_keys.parse_version_key(info.key)
            if key is not None and key.name not in _OURS_ALONE:
                folders.setdefault(key.folder_key, []).append(info.key)
        for folder, keys in folders.items():
            metadata = f"{folder}/{store_keys.METADATA_NAME}"
            if metadata in keys:  # the commit mark: without it nobody sees the others
                others = [key for key in keys if key != metadata]
                found.versions[folder] = [*others, metadata]
        return found

    def lacks(self, other: Objects, folder: str) -> list[str]:
        """The keys of a version that ``other`` has and we do not, or in another size."""
        return [key for key in other.versions[folder] if self.sizes.get(key) != other.sizes[key]]


async def selected(
    store: ObjectStore, objects: Objects, wanted: Wanted, warnings: list[str]
) -> dict[str, CatalogEntry]:
    """Return the versions that travel, by folder.

    Raises:
        UsageError: nothing fits: a wrong source, channel or system, rather than an empty one.
    """
    listing = await list_versions(store)
    known = {entry.folder_key: entry for entry in listing.versions}
    named = await _named(store, objects, wanted.channel) if wanted.channel else None
    found: dict[str, CatalogEntry] = {}
    for folder in objects.versions:
        if named is not None and folder not in named:
            continue
        try:
            entry = known.get(folder) or await read_version(store, folder)
        except (*BAD, ObjectMissingError) as error:
            warnings.append(f"{store.url_of(folder)} stays here: {error.message}")
            continue
        if wanted.fits(entry):
            found[folder] = entry
    if not found:
        raise UsageError(
            f"No version at {store.url} fits.",
            hint="asyncpipe list shows what is there; --os takes debian, debian12 or a place.",
        )
    return found


async def _named(store: ObjectStore, objects: Objects, channel: str) -> frozenset[str]:
    """The folders of the versions that a channel names, of all places."""
    places = {key.split("/")[1] for key in objects.versions}
    found = set()
    for place in sorted(places):
        entry = await read_pointer(store, store_keys.channel_key(place, channel), place)
        if entry is not None:
            found.add(entry.folder_key)
    return frozenset(found)


def places_of(entries: Mapping[str, CatalogEntry]) -> list[str]:
    """The places of the versions that travel."""
    return sorted({entry.short_id for entry in entries.values()})
