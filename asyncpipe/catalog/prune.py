"""Remove old versions, and never one that a pointer or a channel names.

A version disappears in the order in which readers look: index, metadata, then image and log. An
interrupted removal leaves a folder without metadata.json, which nobody sees and reap removes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from asyncpipe.catalog import entries
from asyncpipe.catalog.channels import channels
from asyncpipe.catalog.listing import list_versions
from asyncpipe.catalog.pointer import change_index
from asyncpipe.catalog.swap import read_small
from asyncpipe.errors import UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.catalog import CatalogEntry
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
        return sum(entry.xva_size_bytes for entry in self.remove)


async def plan_pruning(
    store: ObjectStore,
    *,
    keep: int,
    older_than: str | None = None,
    short_id: str | None = None,
) -> Pruning:
    """Choose the versions beyond the ``keep`` newest of each template.

    ``older_than`` is a timestamp: younger versions stay whatever their number.

    Raises:
        UsageError: ``keep`` is below 1.
        UnreadableError: a pointer or channel cannot be read, so that nothing is safe to remove.
    """
    if keep < 1:
        raise UsageError("At least one version of each template is kept (--keep 1).")
    versions = await list_versions(store, short_id, fresh=True)
    old = _beyond(versions, keep, older_than)
    reasons = await _named(store, {entry.short_id for entry in old})
    return Pruning(
        remove=tuple(entry for entry in old if entry.folder_key not in reasons),
        protected=tuple(
            (entry, reasons[entry.folder_key]) for entry in old if entry.folder_key in reasons
        ),
    )


async def prune(store: ObjectStore, pruning: Pruning) -> tuple[str, ...]:
    """Remove what ``plan_pruning`` chose; looks at pointers and channels again before each version.

    Returns:
        Warnings. Raises UploadError when the store fails; what was begun is finished by reap.
    """
    gone = frozenset(entry.folder_key for entry in pruning.remove)
    warnings = await change_index(store, remove=gone) if gone else []
    for entry in pruning.remove:
        reason = (await _named(store, {entry.short_id})).get(entry.folder_key)
        if reason is not None:
            warnings += await change_index(store, add=(entry,))
            warnings.append(f"{store.url_of(entry.folder_key)} was kept: {reason} names it now")
            continue
        await remove_folder(store, entry.folder_key)
    return tuple(warnings)


async def remove_folder(store: ObjectStore, folder_key: str) -> None:
    """Remove every object in a version's folder, the metadata first."""
    await store.delete(f"{folder_key}/{store_keys.METADATA_NAME}")
    keys = [info.key async for info in store.list(f"{folder_key}/")]
    for key in keys:
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


async def _named(store: ObjectStore, short_ids: Iterable[str]) -> dict[str, str]:
    """Folders that something names, with what names them."""
    named: dict[str, str] = {}
    for short_id in sorted(short_ids):
        body = await read_small(store, store_keys.latest_key(short_id))
        if body is not None:
            named[entries.decode_pointer(body).folder_key] = "latest"
        for channel in await channels(store, short_id):
            named[channel.entry.folder_key] = f"channel {channel.name}"
    return named
