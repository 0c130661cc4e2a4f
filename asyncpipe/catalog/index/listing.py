"""Find versions: by the index, or by a listing of the objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asyncpipe.catalog.read import read_root, read_segments, read_versions
from asyncpipe.errors import UploadError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry, in_order
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.model.documents.index import Listed, Root
from asyncpipe.ports import ObjectStore

_REPAIR = "run asyncpipe index repair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Versions, newest first, and what could not be listed."""

    versions: tuple[CatalogEntry, ...]
    warnings: tuple[str, ...] = ()


async def list_versions(
    store: ObjectStore, short_id: str | None = None, *, fresh: bool = False
) -> Listing:
    """List every version; from the index, or from the objects where it is absent or broken.

    ``fresh`` looks at the objects themselves. Raises NewerSchemaError.
    """
    listing = await scan(store, short_id) if fresh else await _indexed(store, short_id)
    mine = tuple(entry for entry in listing.versions if short_id in {None, entry.short_id})
    return Listing(versions=mine, warnings=listing.warnings)


async def scan(store: ObjectStore, short_id: str | None = None) -> Listing:
    """Look at every version that has its metadata, of one template or of all.

    A version counts when it is whole: its metadata can be read, and its image is there.
    """
    prefix = f"templates/{short_id}/" if short_id else "templates/"
    sizes = {info.key: info.size_bytes async for info in store.list(prefix)}
    return await look_at(store, folders_of(sizes), sizes)


def folders_of(keys: Iterable[str]) -> list[str]:
    """Return the folders that have metadata, of the keys of a listing."""
    parsed = map(store_keys.parse_version_key, keys)
    return [key.folder_key for key in parsed if key and key.name == store_keys.METADATA_NAME]


async def look_at(store: ObjectStore, folders: Iterable[str], sizes: dict[str, int]) -> Listing:
    """Read the versions in ``folders``; ``sizes`` has the keys of a listing."""
    warnings: list[str] = []
    found: list[CatalogEntry] = []
    wanted = list(folders)
    for folder_key, entry in zip(wanted, await read_versions(store, wanted), strict=True):
        if isinstance(entry, UploadError):
            problem = entry.message
        elif sizes.get(entry.xva.key) != entry.xva.size_bytes:
            problem = "its image is not there, or has another size."
        else:
            found.append(entry)
            continue
        warnings.append(f"{store.url_of(folder_key)} is not listed: {problem}")
    return Listing(versions=in_order(found), warnings=tuple(sorted(warnings)))


async def _indexed(store: ObjectStore, short_id: str | None) -> Listing:
    try:
        root = await read_root(store)
    except UnreadableError as error:
        return await _instead(store, [short_id], [error.message])
    if root is None:
        return await scan(store, short_id)
    index_url = store.url_of(store_keys.INDEX_KEY)
    warnings = [f"{index_url}: an entry is left out: {text}" for text in root.problems]
    if root.old is not None:
        return Listing(versions=root.old, warnings=tuple(warnings))
    listed, damaged = await _segments(store, root, short_id)
    for key, segment in listed.items():
        url = store.url_of(key)
        warnings += [f"{url}: an entry is left out: {text}" for text in segment.problems]
    versions = [entry for segment in listed.values() for entry in segment.versions]
    if damaged:
        templates = sorted({key.split("/")[1] for key in damaged})
        instead = await _instead(store, templates, damaged.values())
        versions = [entry for entry in versions if entry.short_id not in templates]
        versions += instead.versions
        warnings += instead.warnings
    return Listing(versions=in_order(versions), warnings=tuple(warnings))


async def _segments(
    store: ObjectStore, root: Root, short_id: str | None
) -> tuple[dict[str, Listed], dict[str, str]]:
    """Read the segments; returns those that can be read, and what is wrong with others, by key."""
    found = await read_segments(store, root.of(short_id))
    damaged = {key: one.message for key, one in found.items() if isinstance(one, UploadError)}
    absent = [key for key, segment in found.items() if segment is None]
    if absent:  # prune removes an empty one after the root was read, or it is lost
        again = await read_root(store)
        named = again.segments if again else frozenset()
        damaged |= {key: f"{store.url_of(key)} is missing." for key in absent if key in named}
    return {key: one for key, one in found.items() if isinstance(one, Listed)}, damaged


async def _instead(
    store: ObjectStore, templates: Sequence[str | None], why: Iterable[str]
) -> Listing:
    """List the objects of templates of which the index is broken."""
    scanned = [await scan(store, name) for name in templates]
    return Listing(
        versions=tuple(entry for one in scanned for entry in one.versions),
        warnings=(
            *(f"{text} The objects were listed instead; {_REPAIR}." for text in why),
            *(text for one in scanned for text in one.warnings),
        ),
    )
