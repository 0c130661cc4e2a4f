"""Remove old versions, and never one that a pointer or a channel names, or might name.

A version disappears in the order in which readers look: index, metadata, then image and log. An
interrupted removal leaves a folder without metadata.json, which nobody sees and reap removes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from asyncpipe.catalog.index.listing import list_versions
from asyncpipe.catalog.index.pointer import change_index
from asyncpipe.catalog.read import BAD, read_pointer
from asyncpipe.catalog.releases.channels import channels
from asyncpipe.errors import UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """Which versions go, and why others that are old enough stay."""

    remove: tuple[CatalogEntry, ...]
    protected: tuple[tuple[CatalogEntry, str], ...] = ()  # with "latest" or "channel stable"
    warnings: tuple[str, ...] = ()

    @property
    def freed_bytes(self) -> int:
        """What removing them frees, in XVAs alone."""
        return sum(entry.xva.size_bytes for entry in self.remove)


async def plan_pruning(
    store: ObjectStore,
    *,
    keep: int,
    older_than: str | None = None,
    short_id: str | None = None,
) -> Pruning:
    """Choose the versions beyond the ``keep`` newest of each template.

    ``older_than`` is a timestamp: younger versions stay whatever their number. What cannot be
    read does not count as a version, and where a pointer or a channel cannot be read every
    version of that template stays.

    Raises:
        UsageError: ``keep`` is below 1.
    """
    if keep < 1:
        raise UsageError("At least one version of each template is kept (--keep 1).")
    listing = await list_versions(store, short_id, fresh=True)
    old = _beyond(listing.versions, keep, older_than)
    names = {owner: await _names(store, owner) for owner in {entry.short_id for entry in old}}
    reasons = [(entry, names[entry.short_id].of(entry)) for entry in old]
    unreadable = sorted({one.unreadable for one in names.values() if one.unreadable})
    return Pruning(
        remove=tuple(entry for entry, reason in reasons if not reason),
        protected=tuple((entry, reason) for entry, reason in reasons if reason),
        warnings=(*listing.warnings, *unreadable),
    )


async def prune(store: ObjectStore, pruning: Pruning) -> tuple[str, ...]:
    """Remove what ``plan_pruning`` chose; looks at pointers and channels again before each version.

    Returns:
        Warnings. Raises UploadError when the store fails; what was begun is finished by reap.
    """
    gone = frozenset(entry.folder_key for entry in pruning.remove)
    warnings = await change_index(store, remove=gone) if gone else []
    for entry in pruning.remove:
        reason = (await _names(store, entry.short_id)).of(entry)
        if reason:
            warnings += await change_index(store, add=(entry,))
            warnings.append(f"{store.url_of(entry.folder_key)} was kept: {reason}")
            continue
        await remove_folder(store, entry.folder_key)
    return tuple(warnings)


async def remove_folder(store: ObjectStore, folder_key: str) -> None:
    """Remove every object in a version's folder, the metadata first."""
    await store.delete(f"{folder_key}/{store_keys.METADATA_NAME}")
    keys = [info.key async for info in store.list(f"{folder_key}/")]
    for key in filter(store_keys.parse_version_key, keys):  # what others put there is theirs
        await store.delete(key)


def _beyond(
    versions: Iterable[CatalogEntry], keep: int, older_than: str | None
) -> tuple[CatalogEntry, ...]:
    seen: dict[str, int] = {}
    chosen: list[CatalogEntry] = []
    for entry in versions:  # newest first
        seen[entry.short_id] = seen.get(entry.short_id, 0) + 1
        old_enough = older_than is None or entry.timestamp < older_than
        if seen[entry.short_id] > keep and old_enough:
            chosen.append(entry)
    return tuple(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What names versions of one template."""

    by_folder: dict[str, str]
    unreadable: str = ""  # a pointer that might name any of them

    def of(self, entry: CatalogEntry) -> str:
        """Return why a version stays; empty when nothing holds it."""
        return self.by_folder.get(entry.folder_key) or self.unreadable


async def _names(store: ObjectStore, short_id: str) -> _Names:
    by_folder: dict[str, str] = {}
    found = await channels(store, short_id)
    unreadable = [text for _, text in found.unreadable]
    try:
        latest = await read_pointer(store, store_keys.latest_key(short_id), short_id)
        by_folder |= {latest.folder_key: "latest"} if latest else {}
    except BAD as error:
        unreadable.append(error.message)
    by_folder |= {one.entry.folder_key: f"channel {one.name}" for one in found.found}
    return _Names(by_folder=by_folder, unreadable=" ".join(unreadable))
