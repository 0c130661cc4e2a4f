"""Evidence -> OsIdentity: the heaviest evidence names the series, the guest the exact release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from asyncpipe.detect import end_of_life, names
from asyncpipe.model.identity import Conflict, Evidence, OsIdentity, Weight

_CONFIDENCE: Final = {
    Weight.EXPLICIT: 1.0,
    Weight.GUEST: 1.0,
    Weight.DECLARED: 0.95,
    Weight.RETRIEVED: 0.95,
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

    The system and its series, which decide the place, come from the heaviest evidence that names
    them; release, codename, pretty name and architecture are the guest's, as long as it is the
    same system, even where another series was asked for: a conflict then says so. Several media
    of one weight that disagree make the answer ambiguous: unknown, with the conflicts.
    """
    everything = tuple(evidence)
    ranked = sorted(_admitted(everything), key=lambda one: -one.weight)  # stable within a weight
    telling = [one for one in ranked if one.os_type]
    if not telling:
        return OsIdentity(evidence=everything)
    system = telling[0]
    os_type = system.os_type
    ranked = [_of_system(one, os_type) for one in ranked]
    versions = [one for one in ranked if one.os_version and one.os_type in {os_type, None}]
    series = versions[0] if versions else None
    conflicts = _conflicts(ranked, system, series)
    if _ambiguous(telling, system) or _at_odds(versions):
        return OsIdentity(evidence=everything, conflicts=conflicts, confidence=0.0)
    os_version = _nearest(versions, os_type)
    same = [one for one in ranked if _agrees(one, os_type, os_version)]
    by_guest = _guest_first(same)
    release = _first(by_guest, "release")
    return OsIdentity(
        os_type=os_type,
        os_version=os_version,
        release=release,
        codename=_first(by_guest, "codename"),
        arch=_first(_guest_first(ranked), "arch"),
        pretty_name=_pretty(by_guest),
        confidence=_confidence(system, series, conflicts),
        end_of_life=end_of_life.date_of(os_type, os_version, release) if os_type else None,
        evidence=everything,
        conflicts=conflicts + _of_releases(by_guest),
    )


_GUEST: Final = frozenset({Weight.GUEST, Weight.GUEST_UNMARKED})
_NAMING: Final = frozenset({Weight.LABEL, Weight.VM_NAME})
_MEDIA: Final = frozenset({Weight.ISO_NAME, Weight.ISO_URL})


def _admitted(evidence: tuple[Evidence, ...]) -> Iterator[Evidence]:
    """Silence what names something else than the system: a platform, or what runs inside it."""
    others = any(
        one.os_type and one.weight >= Weight.VM_NAME and not names.is_platform(one.os_type)
        for one in evidence
    )
    stated = [one for one in evidence if one.os_type and one.weight not in _GUEST]
    medium = max(stated, key=lambda one: one.weight, default=None)
    for one in evidence:
        hosts = others and one.weight in _NAMING and names.is_platform(one.os_type)
        foreign = medium is not None and medium.weight >= _TELLING and _is_foreign(one, medium)
        yield _silent(one) if hosts or foreign else one


def _is_foreign(guest: Evidence, medium: Evidence) -> bool:
    """Whether an os-release is not that of the medium's system.

    Derivatives keep the os-release of what they are made from. One without our mark may be of
    anything that ran in the guest, a container for instance: it refines, and never replaces.
    """
    if guest.weight not in _GUEST or guest.kind != "os-release":
        return False
    entry = names.entry_of(medium.os_type or "")
    if entry is not None and entry.base and entry.base == guest.os_type:
        return True
    same = guest.os_type == medium.os_type and _compatible(guest.os_version, medium.os_version)
    return guest.weight is Weight.GUEST_UNMARKED and not same


def _silent(one: Evidence) -> Evidence:
    return replace(one, os_type=None, os_version=None, release=None, codename=None)


def _compatible(one: str | None, other: str | None) -> bool:
    """Whether two series may be the same: ``3`` and ``3.19`` are, so are one and none."""
    return (
        not one
        or not other
        or f"{one}.".startswith(f"{other}.")
        or f"{other}.".startswith(f"{one}.")
    )


def _at_odds(versions: list[Evidence]) -> bool:
    """Whether media, of several sources for instance, decide the series and disagree."""
    if not versions:
        return False
    first = versions[0]
    peers = _MEDIA if first.weight in _MEDIA else {first.weight}
    return any(
        one.weight in peers and not _compatible(one.os_version, first.os_version)
        for one in versions
    )


def _nearest(versions: list[Evidence], os_type: str | None) -> str | None:
    """The series; where it is stated too shortly for the table, as another states it."""
    if not versions:
        return None
    stated = versions[0].os_version or ""
    entry = names.entry_of(os_type or "")
    if entry is None or stated.count(".") + 1 >= entry.series:
        return stated
    longer = (one.os_version or "" for one in versions)
    return next((one for one in longer if one.startswith(f"{stated}.")), stated)


def _of_system(one: Evidence, os_type: str | None) -> Evidence:
    """A version that came without a system (``--os-version 9.4``), read as that system's."""
    if one.os_type is not None or one.os_version is None or os_type is None:
        return one
    found = names.version_of(os_type, one.os_version)
    return replace(one, os_version=found.os_version, release=found.release or one.release)


def _agrees(one: Evidence, os_type: str | None, os_version: str | None) -> bool:
    is_guest = one.weight in _GUEST and one.kind == "os-release"
    return one.os_type in {None, os_type} and (is_guest or _compatible(one.os_version, os_version))


def _first(ranked: list[Evidence], field: str) -> str | None:
    return next((value for one in ranked if (value := getattr(one, field))), None)


def _guest_first(ranked: list[Evidence]) -> list[Evidence]:
    return sorted(ranked, key=lambda one: one.weight not in _GUEST)


def _pretty(ranked: list[Evidence]) -> str | None:
    texts = (one.text for one in ranked if one.kind == "os-release" and one.os_type)
    return next(texts, None)


def _ambiguous(telling: list[Evidence], system: Evidence) -> bool:
    """Whether the evidence of the greatest weight names two systems, or two series of one."""
    same_weight = [one for one in telling if one.weight == system.weight]
    return any(
        one.os_type != system.os_type or not _compatible(one.os_version, system.os_version)
        for one in same_weight
    )


def _conflicts(
    ranked: list[Evidence], system: Evidence, series: Evidence | None
) -> tuple[Conflict, ...]:
    found: dict[tuple[str, str, str], Conflict] = {}
    for one in ranked:
        if one.weight < min(_TELLING, system.weight):
            continue
        if one.os_type and one.os_type != system.os_type:
            found.setdefault(*_conflict("os_type", system, one, series=True))
        elif series is not None and not _compatible(one.os_version, series.os_version):
            found.setdefault(*_conflict("os_version", series, one, series=True))
    chosen = next((one for one in _guest_first(ranked) if one.arch), None)
    for one in ranked:
        if chosen and one.arch and one.arch != chosen.arch and one.weight >= _TELLING:
            found.setdefault(*_conflict("arch", chosen, one, series=False))
    return tuple(found.values())[:_MAX_CONFLICTS]


def _of_releases(ranked: list[Evidence]) -> tuple[Conflict, ...]:
    """Point releases that disagree: reported, but they do not change the place."""
    chosen = next((one for one in ranked if one.release), None)
    if chosen is None or chosen.release is None:
        return ()
    found: dict[tuple[str, str, str], Conflict] = {}
    for one in ranked:
        if one.weight < _TELLING or one.release is None:
            continue
        if not _same_release(one.release, chosen.release):
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
