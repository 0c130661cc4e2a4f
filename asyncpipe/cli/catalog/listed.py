"""What ``list`` says, and which name a mistyped one may have meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache

from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog.said import Cell, Said, table
from asyncpipe.cli.progress import watched
from asyncpipe.detect.end_of_life import date_of
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import age_text, moment_of, size_text
from asyncpipe.text.safe import clean
from asyncpipe.text.similar import did_you_mean

_COLUMNS = ("VERSION", "AGE", "SIZE", "SYSTEM", "ARCH", "END OF LIFE", "NAMES", "")
_SOON_DAYS = 90
_RED, _YELLOW, _GREEN = "red", "yellow", "green"


async def list_versions(
    store: ObjectStore, *, template: str | None, fresh: bool, system: str | None, failed: bool
) -> Said:
    """Every version, newest first, with its age, its names and what speaks against it."""
    if failed:
        return await _failures(store, template)
    async with watched(store, "list") as watched_store:
        listing = await catalog.list_versions(watched_store, template, fresh=fresh)
    versions = [entry for entry in listing.versions if system is None or _is(entry, system)]
    names, warnings = await catalog.names_of(store, {entry.short_id for entry in versions})
    marks = await catalog.standings(store, template)
    inherited = await catalog.revoked_ancestors(store, versions)
    about = _About(names=names, marks=marks, inherited=inherited, now=datetime.now(UTC))
    if not versions:
        what = f"version of {template}" if template else "version"
        of = f" with the system {system}" if system else ""
        hint = await meant(store, template) if template else ""
        text = f"No {what}{of} is published at {store.url}. {hint}".rstrip()
    else:
        text = table([_row(one, about) for one in versions], header=_COLUMNS)
    return Said(
        text=text,
        document=lambda: {"versions": [_plain(one, about) for one in versions]},
        warnings=(*listing.warnings, *warnings),
    )


async def meant(store: ObjectStore, name: str) -> str:
    """Suggest published templates that are called alike; "" where they cannot be listed."""
    short_id = re.split("[:@]", name, maxsplit=1)[0]
    try:
        known = {entry.short_id for entry in (await catalog.list_versions(store)).versions}
    except AsyncpipeError:
        return ""
    return "" if short_id in known else did_you_mean(short_id, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What is known of the versions beside the index."""

    names: Mapping[str, list[str]]  # by folder, as the next two
    marks: catalog.Standings
    inherited: Mapping[str, str]  # the revoked version that one was built from
    now: datetime

    def against(self, entry: CatalogEntry) -> list[str]:
        """What speaks against a version, or will: ``REVOKED``, ``expires in 12 days``."""
        found = ["REVOKED"] if self.marks.is_revoked(entry) else []
        ancestor = self.inherited.get(entry.folder_key)
        if ancestor and not found:
            found.append(f"BUILT FROM REVOKED {ancestor}")
        end_utc = self.marks.expires_utc(entry)
        if catalog.has_passed(end_utc, self.now):
            found.append("EXPIRED")
        elif end_utc is not None:
            left_s = (datetime.fromisoformat(end_utc) - self.now).total_seconds()
            found.append(f"expires in {age_text(left_s)}")
        return found


def _row(entry: CatalogEntry, about: _About) -> tuple[Cell, ...]:
    bad = not about.marks.is_good(entry)
    return (
        Cell(f"{entry.short_id}@{entry.timestamp}", _RED if bad else ""),
        Cell(_age_of(entry.timestamp, about.now), right=True),
        Cell(size_text(entry.xva.size_bytes), right=True),
        Cell(" ".join(filter(None, (entry.os.type, entry.os.release or entry.os.version)))),
        Cell(entry.os.arch or ""),
        _end_of_life(_date_of(entry) or "", about.now.date()),
        Cell(", ".join(about.names.get(entry.folder_key, ())), _GREEN),
        Cell(", ".join(about.against(entry)), _RED if bad else _YELLOW),
    )


@cache
def _end_of_life(text: str, today: date) -> Cell:
    try:
        days = (date.fromisoformat(text) - today).days
    except ValueError:
        return Cell(text)
    return Cell(text, _RED if days < 0 else _YELLOW if days <= _SOON_DAYS else "")


def _date_of(entry: CatalogEntry) -> str | None:
    """The date that the version was published with, else what is known today."""
    system = entry.os
    if system.end_of_life or not system.type:
        return system.end_of_life
    return date_of(system.type, system.version, system.release)


def _is(entry: CatalogEntry, system: str) -> bool:
    """Whether ``system`` is an entry's ``debian``, ``debian12`` or ``debian 12.7``."""
    wanted = system.lower().replace(" ", "")
    of, versions = entry.os, {entry.os.version, entry.os.release, ""}
    return bool(of.type) and wanted in {f"{of.type}{version or ''}".lower() for version in versions}


def _plain(entry: CatalogEntry, about: _About) -> dict[str, object]:
    end_utc = about.marks.expires_utc(entry)
    return {
        **to_builtins(entry),
        "names": about.names.get(entry.folder_key, []),
        "revoked": about.marks.is_revoked(entry),
        "revoked_ancestor": about.inherited.get(entry.folder_key),
        "expires_utc": end_utc,
        "expired": catalog.has_passed(end_utc, about.now),
        "end_of_life": _date_of(entry),
    }


async def _failures(store: ObjectStore, template: str | None) -> Said:
    found = await catalog.list_failures(store, template)
    now = datetime.now(UTC)
    rows = [
        (
            Cell(f"{one.unit}@{one.timestamp}"),
            Cell(_age_of(one.timestamp, now), right=True),
            Cell("" if one.exit_code is None else str(one.exit_code), right=True),
            Cell(clean(one.error, limit=100), _RED),
        )
        for one in found.failures
    ]
    of = f" of {template}" if template else ""
    text = table(rows, header=("FAILED BUILD", "AGE", "CODE", "ERROR"))
    return Said(
        text=text or f"No failed build{of} is at {store.url}.",
        document=lambda: {"failures": [one.as_document() for one in found.failures]},
        warnings=found.warnings,
    )


def _age_of(timestamp: str, now: datetime) -> str:
    moment = moment_of(timestamp)
    return age_text((now - moment).total_seconds()) if moment else ""
