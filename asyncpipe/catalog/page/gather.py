"""Everything that the page shows, read from the store: index, names, revocations, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import anyio

from asyncpipe.catalog.comparing import Difference, compare
from asyncpipe.catalog.index.listing import list_versions
from asyncpipe.catalog.read import BAD, read_metadata
from asyncpipe.catalog.releases.ancestry import revoked_ancestors
from asyncpipe.catalog.releases.naming import names_of
from asyncpipe.catalog.releases.revocation import revocation_of
from asyncpipe.catalog.releases.standing import Standings, standings
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore

_READ_AT_ONCE: Final = 8
_MAX_REASONS: Final = 200  # one small object each; beyond, the page says "revoked" without a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateView:
    """One template: its versions, newest first, and what is known of the current one."""

    short_id: str
    versions: tuple[CatalogEntry, ...]
    names: Mapping[str, list[str]]  # by folder: latest and the channels
    revoked: Mapping[str, str]  # by folder: the reason, "" when it was not read
    current: CatalogEntry | None  # the newest good version, if any
    metadata: Mapping[str, Any] | None  # of ``current``
    before: CatalogEntry | None  # the newest good version older than ``current``
    difference: Difference | None  # from ``before`` to ``current``
    ends: Mapping[str, str] = field(default_factory=dict)  # by folder: when it expires, RFC 3339
    inherited: Mapping[str, str] = field(default_factory=dict)  # by folder: its revoked ancestor
    outdated: Mapping[str, str] = field(default_factory=dict)  # by folder: what it lacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A destination as the page shows it."""

    templates: tuple[TemplateView, ...]  # by name
    warnings: tuple[str, ...] = ()

    @property
    def version_count(self) -> int:
        """Versions of all templates."""
        return sum(len(one.versions) for one in self.templates)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of all versions beside the index; all but ``marks`` by folder."""

    marks: Standings
    reasons: Mapping[str, str]  # why it was revoked
    inherited: Mapping[str, str]
    outdated: Mapping[str, str]


async def gather(store: ObjectStore, outdated: Mapping[str, str] | None = None) -> Overview:
    """Read what the page shows: for each template its names, and the metadata of two versions.

    ``outdated`` has what versions lack, by folder, as far as somebody has asked.

    A document that cannot be read is a warning. Raises NewerSchemaError for the index.
    """
    listing = await list_versions(store)
    warnings = list(listing.warnings)
    marks = await standings(store)
    known = _Known(
        marks=marks,
        reasons=await _reasons(store, marks, listing.versions),
        inherited=await revoked_ancestors(store, listing.versions),
        outdated=outdated or {},
    )
    views: dict[str, TemplateView] = {}
    limiter = anyio.CapacityLimiter(_READ_AT_ONCE)

    async def look_at(short_id: str, versions: tuple[CatalogEntry, ...]) -> None:
        async with limiter:
            views[short_id] = await _view(store, versions, known, warnings)

    async with anyio.create_task_group() as tasks:
        for short_id, group in groupby(listing.versions, key=lambda entry: entry.short_id):
            tasks.start_soon(look_at, short_id, tuple(group))
    ordered = tuple(views[short_id] for short_id in sorted(views))
    return Overview(templates=ordered, warnings=tuple(dict.fromkeys(warnings)))


async def _reasons(
    store: ObjectStore, marks: Standings, versions: tuple[CatalogEntry, ...]
) -> dict[str, str]:
    """Why each revoked version was taken back; read for the newest of them."""
    revoked = sorted(
        filter(marks.is_revoked, versions),
        key=lambda entry: entry.timestamp,
        reverse=True,
    )
    reasons = {entry.folder_key: "" for entry in revoked}
    limiter = anyio.CapacityLimiter(_READ_AT_ONCE)

    async def read(entry: CatalogEntry) -> None:
        async with limiter:
            found = await revocation_of(store, entry)
        reasons[entry.folder_key] = found.reason if found else ""

    async with anyio.create_task_group() as tasks:
        for entry in revoked[:_MAX_REASONS]:
            tasks.start_soon(read, entry)
    return reasons


async def _view(
    store: ObjectStore,
    versions: tuple[CatalogEntry, ...],
    known: _Known,
    warnings: list[str],
) -> TemplateView:
    short_id = versions[0].short_id
    names, problems = await names_of(store, [short_id])
    warnings += problems
    good = list(filter(known.marks.is_good, versions))
    folders = [entry.folder_key for entry in versions]
    ends = {entry.folder_key: known.marks.expires_utc(entry) for entry in versions}
    current, before = (*good[:2], None, None)[:2]
    new = await _metadata(store, current, warnings)
    old = await _metadata(store, before, warnings)
    return TemplateView(
        short_id=short_id,
        versions=versions,
        names=names,
        revoked={one: known.reasons[one] for one in folders if one in known.reasons},
        current=current,
        metadata=new,
        before=before,
        difference=compare(old, new) if old and new else None,
        ends={folder: end for folder, end in ends.items() if end is not None},
        inherited={one: known.inherited[one] for one in folders if one in known.inherited},
        outdated={one: known.outdated[one] for one in folders if one in known.outdated},
    )


async def _metadata(
    store: ObjectStore, entry: CatalogEntry | None, warnings: list[str]
) -> dict[str, Any] | None:
    try:
        return await read_metadata(store, entry) if entry else None
    except BAD as error:
        warnings.append(error.message)
        return None
