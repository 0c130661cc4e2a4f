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
from asyncpipe.cli.outdated.kept import Answer, kept
from asyncpipe.cli.progress import watched
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import age_text, moment_of, size_text
from asyncpipe.text.safe import clean
from asyncpipe.text.similar import did_you_mean

_COLUMNS = ("VERSION", "AGE", "SIZE", "SYSTEM", "ARCH", "END OF LIFE", "NAMES", "")
_RIGHT = (1, 2)
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
    about = _About(
        names=names,
        marks=marks,
        inherited=inherited,
        outdated=kept(store.url),
        now=datetime.now(UTC),
    )
    if not versions:
        what = f"version of {template}" if template else "version"
        of = f" with the system {system}" if system else ""
        hint = await meant(store, template) if template else ""
        text = f"No {what}{of} is published at {store.url}. {hint}".rstrip()
    else:
        rows = [_row(one, about) for one in versions]
        text = table(rows, header=_COLUMNS, right=_RIGHT)
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
    outdated: Mapping[str, Answer]  # the last answer of `asyncpipe outdated`
    now: datetime

    def against(self, entry: CatalogEntry) -> tuple[bool, str]:
        """Whether names pass over a version, and what speaks against it, or will.

        ``REVOKED``, ``expires in 12 days``.
        """
        folder, marks = entry.folder_key, self.marks
        is_revoked = folder in marks.revoked
        end_utc = marks.expires_utc(entry)
        outdated = self.outdated.get(folder)
        if not (is_revoked or end_utc or outdated or folder in self.inherited):
            return False, ""
        found = ["REVOKED"] if is_revoked else []
        if folder in self.inherited and not is_revoked:
            found.append(f"BUILT FROM REVOKED {self.inherited[folder]}")
        is_expired = catalog.has_passed(end_utc, self.now)
        if is_expired:
            found.append("EXPIRED")
        elif end_utc is not None:
            left_s = (datetime.fromisoformat(end_utc) - self.now).total_seconds()
            found.append(f"expires in {age_text(left_s)}")
        if outdated and outdated.reasons:
            found.append(str(outdated))
        return is_revoked or is_expired, ", ".join(found)


def _row(entry: CatalogEntry, about: _About) -> tuple[str | Cell, ...]:
    is_bad, against = about.against(entry)
    name, system = f"{entry.short_id}@{entry.timestamp}", entry.os
    named = about.names.get(entry.folder_key)
    return (
        Cell(name, _RED) if is_bad else name,
        _age_of(entry.timestamp, about.now),
        size_text(entry.xva.size_bytes),
        f"{system.type or ''} {system.release or system.version or ''}".strip(),
        system.arch or "",
        _end_of_life(_date_of(entry) or "", about.now.date()),
        Cell(", ".join(named), _GREEN) if named else "",
        Cell(against, _RED if is_bad else _YELLOW) if against else "",
    )


@cache
def _end_of_life(text: str, today: date) -> str | Cell:
    try:
        days = (date.fromisoformat(text) - today).days
    except ValueError:
        return text
    if days > _SOON_DAYS:
        return text
    return Cell(text, _RED if days < 0 else _YELLOW)


def _date_of(entry: CatalogEntry) -> str | None:
    """The date that the version was published with, else what is known today."""
    system = entry.os
    if system.end_of_life or not system.type:
        return system.end_of_life
    from asyncpipe.detect.end_of_life import date_of

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
        "outdated": to_builtins(about.outdated.get(entry.folder_key)),
    }


async def _failures(store: ObjectStore, template: str | None) -> Said:
    found = await catalog.list_failures(store, template)
    now = datetime.now(UTC)
    rows = [
        (
            f"{one.unit}@{one.timestamp}",
            _age_of(one.timestamp, now),
            "" if one.exit_code is None else str(one.exit_code),
            Cell(clean(one.error, limit=100), _RED),
        )
        for one in found.failures
    ]
    of = f" of {template}" if template else ""
    text = table(rows, header=("FAILED BUILD", "AGE", "CODE", "ERROR"), right=_RIGHT)
    return Said(
        text=text or f"No failed build{of} is at {store.url}.",
        document=lambda: {"failures": [one.as_document() for one in found.failures]},
        warnings=found.warnings,
    )


def _age_of(timestamp: str, now: datetime) -> str:
    moment = moment_of(timestamp)
    return age_text((now - moment).total_seconds()) if moment else ""
