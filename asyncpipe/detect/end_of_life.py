"""End-of-life dates of operating systems, from libosinfo's data."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from importlib.resources import files

from asyncpipe.model.identity import OsIdentity, short_id_of


@cache
def _table() -> dict[str, str]:
    text = files("asyncpipe.detect").joinpath("data/end-of-life.json").read_text("utf-8")
    dates: dict[str, str] = json.loads(text)["dates"]
    return dates


def date_of(os_type: str, os_version: str | None, release: str | None = None) -> str | None:
    """The ISO date of the series' end of life; of the release only where no series is listed."""
    for version in (os_version, release):
        if version:
            found = _table().get(short_id_of(os_type, version))
            if found is not None:
                return found
    return None


def end_of_life_warning(identity: OsIdentity, today: date) -> str | None:
    """One sentence when the system's support has ended, or ends within 90 days of ``today``."""
    if identity.end_of_life is None:
        return None
    try:
        end = date.fromisoformat(identity.end_of_life)
    except ValueError:
        return None
    days = (end - today).days
    if days < 0:
        return f"{identity.short_id} has had no support since {end.isoformat()} (osinfo-db)."
    if days <= 90:
        return f"{identity.short_id} is supported until {end.isoformat()}, {days} days from now."
    return None
