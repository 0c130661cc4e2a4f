"""Why one would build a published version again, beside the packages that it lacks (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from asyncpipe.text.format import counted, moment_of
from asyncpipe.updates.lacking import Lacking

_NEAR_DAYS: Final = 90  # before the end of life: time to make another template
_SHOWN: Final = 5


class Kind(StrEnum):
    """What kind of reason it is."""

    SECURITY = "security-updates"
    UPDATES = "updates"
    CHANGED = "template-changed"
    AGE = "age"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason, in a few words."""

    kind: Kind
    text: str


def by_packages(lacking: Lacking, *, security_only: bool) -> list[Reason]:
    """What the lacking packages give: security fixes first."""
    fixes = lacking.security
    others = [one for one in lacking.packages if not one.is_security]
    found = []
    if fixes:
        names = _some([one.name for one in fixes])
        text = f"lacks {counted(len(fixes), 'security update')}: {names}"
        found.append(Reason(kind=Kind.SECURITY, text=text))
    if others and not security_only:
        text = f"lacks {counted(len(others), 'update')}: {_some([one.name for one in others])}"
        found.append(Reason(kind=Kind.UPDATES, text=text))
    return found


def by_age(timestamp: str, now: datetime, older_than_s: float | None) -> list[Reason]:
    """Whether a version is older than the longest time that was asked for."""
    built = moment_of(timestamp)
    if older_than_s is None or built is None:
        return []
    age_s = (now - built).total_seconds()
    if age_s <= older_than_s:
        return []
    return [Reason(kind=Kind.AGE, text=f"is {counted(int(age_s // 86400), 'day')} old")]


def by_change(files: Sequence[str], commit: str) -> list[Reason]:
    """What changed in the template, or in what it refers to, since it was built."""
    if not files:
        return []
    text = f"{counted(len(files), 'file')} changed since {commit[:12]}: {_some(files)}"
    return [Reason(kind=Kind.CHANGED, text=text)]


def end_of_life_note(end: str | None, today: date) -> list[str]:
    """A sentence where support has ended or ends soon: no rebuild helps, another template does."""
    try:
        days = (date.fromisoformat(end) - today).days if end else _NEAR_DAYS + 1
    except ValueError:
        return []
    if days < 0:
        return [f"the system has had no support since {end}"]
    return [f"the system's support ends on {end}"] if days <= _NEAR_DAYS else []


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
