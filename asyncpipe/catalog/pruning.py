"""Remove old versions, and never one that a pointer or a channel leads to, or might lead to.

The plan is made from the index; only the versions that stay by their number are looked at, since
what is damaged must not push a good one out. A version disappears in the order in which readers
look: index, metadata, then image and log. An interrupted removal leaves a folder without
metadata.json, which nobody sees and reap removes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from asyncpipe.catalog.index.change import change_index
from asyncpipe.catalog.index.listing import list_versions
from asyncpipe.catalog.read import BAD, each, read_pointer, read_versions
from asyncpipe.catalog.releases.channels import channels
from asyncpipe.catalog.releases.standing import Standings, standings
from asyncpipe.errors import UploadError, UsageError
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
    """Choose the versions beyond the ``keep`` newest good ones of each template.

    Revoked and expired versions are never among those that are kept for their number, nor are
    damaged ones. ``older_than`` is a timestamp: younger versions stay whatever their number. Where
    a pointer or a channel cannot be read, every version of that template stays.

    Raises:
        UsageError: ``keep`` is below 1.
    """
    if keep < 1:
        raise UsageError("At least one version of each template is kept (--keep 1).")
    listing = await list_versions(store, short_id)
    marks = await standings(store, short_id)
    warnings = list(listing.warnings)

    async def plan(versions: list[CatalogEntry]) -> list[tuple[CatalogEntry, str]]:
        beyond = await _beyond(store, versions, marks, keep, warnings)
        old = [one for one in beyond if older_than is None or one.timestamp < older_than]
        if not old:
            return []
        names = await _names(store, versions, marks)
        warnings.extend([names.unreadable] if names.unreadable else [])
        return [(entry, names.of(entry)) for entry in old]

    planned = await each(_by_template(listing.versions), plan)
    reasons = [one for template in planned for one in template]
    return Pruning(
        remove=tuple(entry for entry, reason in reasons if not reason),
        protected=tuple((entry, reason) for entry, reason in reasons if reason),
        warnings=tuple(dict.fromkeys(warnings)),
    )


async def prune(store: ObjectStore, pruning: Pruning) -> tuple[str, ...]:
    """Remove what ``plan_pruning`` chose; looks at pointers and channels again before each version.

    A version whose metadata cannot be read stays: it is not known whose it is.

    Returns:
        Warnings. Raises UploadError when the store fails; what was begun is finished by reap.
    """
    warnings: list[str] = []
    remove: list[CatalogEntry] = []
    folders = [entry.folder_key for entry in pruning.remove]
    for entry, found in zip(pruning.remove, await read_versions(store, folders), strict=True):
        if isinstance(found, BAD):
            warnings.append(f"{store.url_of(entry.folder_key)} was kept: {found.message}")
        else:  # one that is missing too: somebody else was faster, and what is left of it goes
            remove.append(entry)
    gone = frozenset(entry.folder_key for entry in remove)
    warnings += await change_index(store, remove=gone) if gone else []

    async def empty(versions: list[CatalogEntry]) -> None:
        short_id = versions[0].short_id
        left = (await list_versions(store, short_id)).versions
        marks = await standings(store, short_id)
        for entry in versions:
            reason = (await _names(store, [*versions, *left], marks)).of(entry)
            if reason:
                warnings.extend(await change_index(store, add=(entry,)))
                warnings.append(f"{store.url_of(entry.folder_key)} was kept: {reason}")
                continue
            await remove_folder(store, entry.folder_key)

    await each(_by_template(remove), empty)
    return tuple(warnings)


async def remove_folder(store: ObjectStore, folder_key: str) -> None:
    """Remove every object in a version's folder, the metadata first."""
    await store.delete(f"{folder_key}/{store_keys.METADATA_NAME}")
    keys = [info.key async for info in store.list(f"{folder_key}/")]
    for key in filter(store_keys.parse_version_key, keys):  # what others put there is theirs
        await store.delete(key)


def _by_template(versions: Iterable[CatalogEntry]) -> list[list[CatalogEntry]]:
    return [list(some) for _, some in groupby(versions, key=lambda entry: entry.short_id)]


async def _beyond(
    store: ObjectStore,
    versions: list[CatalogEntry],
    marks: Standings,
    keep: int,
    warnings: list[str],
) -> list[CatalogEntry]:
    """Return the versions of a template, newest first, without the ``keep`` newest good ones."""
    good = [entry for entry in versions if marks.is_good(entry)]
    stay: set[str] = set()  # folders; damaged ones too, which a person has to look at
    while keep and good:
        some, good = good[:keep], good[keep:]
        for entry, problem in zip(some, await _damage(store, some), strict=True):
            stay.add(entry.folder_key)
            keep -= not problem
            if problem:
                warnings.append(f"{store.url_of(entry.folder_key)} does not count: {problem}")
    return [entry for entry in versions if entry.folder_key not in stay]


async def _damage(store: ObjectStore, entries: list[CatalogEntry]) -> list[str]:
    """Say why listed versions are not whole; "" for one that is."""

    async def image(found: CatalogEntry | UploadError) -> str:
        if isinstance(found, UploadError):
            return found.message
        there = await store.head(found.xva.key)
        is_whole = there is not None and there.size_bytes == found.xva.size_bytes
        return "" if is_whole else "its image is not there, or has another size."

    return await each(await read_versions(store, [one.folder_key for one in entries]), image)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What leads to versions of one template."""

    by_folder: dict[str, str]
    unreadable: str = ""  # a pointer that might name any of them

    def of(self, entry: CatalogEntry) -> str:
        """Return why a version stays; empty when nothing holds it."""
        return self.by_folder.get(entry.folder_key) or self.unreadable


async def _names(store: ObjectStore, versions: Iterable[CatalogEntry], marks: Standings) -> _Names:
    """Return what names versions of one template, and to what a bad one falls back."""
    newest_first = sorted(versions, key=lambda entry: entry.timestamp, reverse=True)
    short_id = newest_first[0].short_id
    found = await channels(store, short_id)
    unreadable = [text for _, text in found.unreadable]
    named = [(f"channel {one.name}", one.entry) for one in found.found]
    try:
        latest = await read_pointer(store, store_keys.latest_key(short_id), short_id)
        named += [("latest", latest)] if latest else []
    except BAD as error:
        unreadable.append(error.message)
    by_folder: dict[str, str] = {}
    for name, entry in named:
        older = [one for one in newest_first if one.timestamp < entry.timestamp]
        good = next(filter(marks.is_good, older), None)
        if good is not None and not marks.is_good(entry):
            by_folder.setdefault(good.folder_key, f"{name} falls back to it")
    by_folder |= {entry.folder_key: name for name, entry in reversed(named)}
    return _Names(by_folder=by_folder, unreadable=" ".join(unreadable))
