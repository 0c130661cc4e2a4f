"""Evidence -> OsIdentity: the heaviest evidence names the series, the guest the exact release."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from asyncpipe.detect import end_of_life, names
from asyncpipe.model.identity import Conflict, Evidence, OsIdentity, Weight

_CONFIDENCE: Final = {
    Weight.EXPLICIT: 1.0,
    Weight.GUEST: 1.0,
    Weight.DECLARED: 0.95,
    Weight.ISO_NAME: 0.9,
    Weight.GUEST_UNMARKED: 0.85,
    Weight.ISO_URL: 0.8,
    Weight.LABEL: 0.5,
    Weight.VM_NAME: 0.35,
    Weight.HARDWARE_PROFILE: 0.2,
}
_MAX_CONFLICTS: Final = 20
_TELLING = Weight.ISO_URL  # labels, VM names and profiles below it do not make a conflict


def determine_os_info(evidence: Iterable[Evidence]) -> OsIdentity:
    """Weigh all evidence; unknown is an answer.

    The system and its series, which decide the place, come from the heaviest evidence that tells
    them; release, codename, pretty name and architecture are the guest's, as long as it is the
    same system, even where another series was asked for: a conflict then says so. Several media
    of one weight that disagree make the answer ambiguous: unknown, with the conflicts.
    """
    everything = tuple(evidence)
    ranked = sorted(everything, key=lambda one: -one.weight)  # stable: order of a weight stays
    telling = [one for one in ranked if one.os_type]
    if not telling:
        return OsIdentity(evidence=everything)
    system = telling[0]
    os_type = system.os_type
    ranked = [_of_system(one, os_type) for one in ranked]
    versions = [one for one in ranked if one.os_version]
    series = next((one for one in versions if one.os_type == os_type or one.os_type is None), None)
    os_version = series.os_version if series else None
    conflicts = _conflicts(ranked, system, series)
    if _ambiguous(telling, system):
        return OsIdentity(evidence=everything, conflicts=conflicts, confidence=0.0)
    same = [one for one in ranked if _agrees(one, os_type, os_version)]
    by_guest = sorted(same, key=lambda one: one.weight not in _GUEST)
    release = _first(by_guest, "release")
    return OsIdentity(
        os_type=os_type,
        os_version=os_version,
        release=release,
        codename=_first(by_guest, "codename"),
        arch=_first(sorted(ranked, key=lambda one: one.weight not in _GUEST), "arch"),
        pretty_name=_pretty(by_guest),
        confidence=_confidence(system, series, conflicts),
        end_of_life=end_of_life.date_of(os_type, os_version, release) if os_type else None,
        evidence=everything,
        conflicts=conflicts + _weaker(by_guest, release, os_version),
    )


_GUEST: Final = frozenset({Weight.GUEST, Weight.GUEST_UNMARKED})


def _of_system(one: Evidence, os_type: str | None) -> Evidence:
    """A version that came without a system (``--os-version 9.4``), read as that system's."""
    entry = names.entry_of(os_type) if os_type else None
    stated = one.os_version
    if one.os_type is not None or stated is None or entry is None:
        return one
    series = entry.codenames.get(stated) or entry.series_of(stated)
    release = stated if stated != series and stated[:1].isdigit() else one.release
    return replace(one, os_version=series, release=release)


def _agrees(one: Evidence, os_type: str | None, os_version: str | None) -> bool:
    is_guest = one.weight in _GUEST and one.kind == "os-release"
    return one.os_type in {None, os_type} and (is_guest or one.os_version in {None, os_version})


def _first(ranked: list[Evidence], field: str) -> str | None:
    return next((value for one in ranked if (value := getattr(one, field))), None)


def _pretty(ranked: list[Evidence]) -> str | None:
    return next((one.text for one in ranked if one.kind == "os-release"), None)


def _ambiguous(telling: list[Evidence], system: Evidence) -> bool:
    """Whether the evidence of the greatest weight names two series (several sources)."""
    same_weight = [one for one in telling if one.weight == system.weight]
    series = {(one.os_type, one.os_version) for one in same_weight if one.os_version}
    return len({one.os_type for one in same_weight}) > 1 or len(series) > 1


def _conflicts(
    ranked: list[Evidence], system: Evidence, series: Evidence | None
) -> tuple[Conflict, ...]:
    found: dict[tuple[str, str, str], Conflict] = {}
    for one in ranked:
        if one.weight < min(_TELLING, system.weight):
            continue
        if one.os_type and one.os_type != system.os_type:
            found.setdefault(*_conflict("os_type", system, one, series=True))
        elif series is not None and one.os_version and one.os_version != series.os_version:
            found.setdefault(*_conflict("os_version", series, one, series=True))
    chosen = next((one for one in ranked if one.arch), None)
    for one in ranked:
        if chosen and one.arch and one.arch != chosen.arch and one.weight >= _TELLING:
            found.setdefault(*_conflict("arch", chosen, one, series=False))
    return tuple(found.values())[:_MAX_CONFLICTS]


def _weaker(
    ranked: list[Evidence], release: str | None, os_version: str | None
) -> tuple[Conflict, ...]:
    """Point releases that disagree: told, but the place is not at stake."""
    chosen = next((one for one in ranked if one.release), None)
    if chosen is None or release is None or os_version is None:
        return ()
    found: dict[tuple[str, str, str], Conflict] = {}
    for one in ranked:
        if one.release and not _same_release(one.release, release) and one.weight >= _TELLING:
            found.setdefault(*_conflict("release", chosen, one, series=False))
    return tuple(found.values())[:_MAX_CONFLICTS]


def _same_release(one: str, other: str) -> bool:
    """12.9 and 12.9.0 are the same; 9.4 and 9.4.20240805 are compatible."""
    short, long = sorted((one.lower(), other.lower()), key=len)
    return long == short or long.startswith((f"{short}.", f"{short}-"))


def _conflict(
    field: str, chosen: Evidence, other: Evidence, *, series: bool
) -> tuple[tuple[str, str, str], Conflict]:
    one, two = str(getattr(chosen, field)), str(getattr(other, field))
    return (field, two, other.origin), Conflict(
        field=field,
        chosen=one,
        other=two,
        chosen_origin=chosen.origin,
        other_origin=other.origin,
        series=series,
    )


def _confidence(
    system: Evidence, series: Evidence | None, conflicts: tuple[Conflict, ...]
) -> float:
    confidence = _CONFIDENCE[system.weight]
    if series is None:
        confidence *= 0.8
    else:
        confidence = min(confidence, _CONFIDENCE[series.weight])
    if any(conflict.series for conflict in conflicts):
        confidence *= 0.6
    return round(confidence, 2)
