"""What the guest printed about itself -> Evidence: os-release with its variants, Windows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from asyncpipe.detect import names, windows
from asyncpipe.detect.distribution import Distribution
from asyncpipe.detect.names import Reading
from asyncpipe.detect.said import MAX_TEXT_CHARS, arch_of, of_reading, slug
from asyncpipe.model.identity import Evidence, GuestFacts, Weight
from asyncpipe.text.safe import printable


def from_guest(facts: GuestFacts) -> tuple[Evidence, ...]:
    """What the guest printed about itself; weaker without the marked block."""
    weight = Weight.GUEST if facts.marked else Weight.GUEST_UNMARKED
    release = facts.os_release
    if release.get("ID") == "windows":
        return _from_windows(release, weight)
    entry = names.entry_of(_guest_id(release)) if release.get("ID") else None
    if not release.get("ID") or (entry is None and release["ID"] == "xenenterprise"):
        return ()
    os_type = entry.os_type if entry else slug(release["ID"])
    exact = _series_of_debian_version(facts) if os_type == "debian" else None
    series = _series(entry, release) or exact
    said = Evidence(
        weight=weight,
        kind="os-release",
        text=printable(_pretty(release), MAX_TEXT_CHARS),
        origin="build.log",
        os_type=os_type,
        os_version=series,
        release=_guest_release(os_type, series, facts),
        codename=_codename(entry, release, series),
        arch=arch_of(facts.arch),
    )
    if exact is None or exact == series:
        return (said,)
    return (said, _of_debian_version(facts, exact))


def _of_debian_version(facts: GuestFacts, series: str) -> Evidence:
    """``/etc/debian_version`` where it contradicts os-release: programs read the latter."""
    return Evidence(
        weight=Weight.GUEST_UNMARKED if facts.marked else Weight.ISO_NAME,
        kind="debian_version",
        text=printable(facts.debian_version or "", MAX_TEXT_CHARS),
        origin="build.log (debian_version)",
        os_type="debian",
        os_version=series,
        release=facts.debian_version,
    )


def _pretty(release: Mapping[str, str]) -> str:
    stated = f"{release['ID']} {release.get('VERSION_ID', '')}".strip()
    return release.get("PRETTY_NAME") or stated


def _named_codename(release: Mapping[str, str]) -> str:
    return release.get("VERSION_CODENAME") or release.get("UBUNTU_CODENAME") or ""


def _codename(
    entry: Distribution | None, release: Mapping[str, str], series: str | None
) -> str | None:
    return _named_codename(release).lower() or names.codename_of(entry, series)


def _series(entry: Distribution | None, release: Mapping[str, str]) -> str | None:
    """The series that os-release states, by its number, channel or codename."""
    stated = release.get("VERSION_ID")
    if entry is None:
        return stated or None
    series = _channel(entry, release) or (entry.series_of(stated) if stated else None)
    if series is not None:
        return series
    return "rolling" if entry.rolling else entry.codenames.get(_named_codename(release))


def _series_of_debian_version(facts: GuestFacts) -> str | None:
    """``12`` of ``12.11``; None for ``trixie/sid`` and for nothing."""
    found = re.match(r"(\d+)(?:\.\d+)*$", facts.debian_version or "")
    return found[1] if found else None


_VARIANTS: Final = {  # ID -> what its NAME or VARIANT_ID then says, and which system that is
    "centos": {"stream": "centos-stream"},
    "fedora": {"coreos": "fedora-coreos"},
    "xenenterprise": {"xcp-ng": "xcp-ng", "xenserver": "xenserver", "citrix": "xenserver"},
    "sles_sap": {"": "sles"},
}


def _guest_id(release: Mapping[str, str]) -> str:
    more = f"{release.get('NAME', '')} {release.get('VARIANT_ID', '')}".lower()
    variants = _VARIANTS.get(release["ID"], {})
    return next((system for word, system in variants.items() if word in more), release["ID"])


def _channel(entry: Distribution | None, release: Mapping[str, str]) -> str | None:
    """``edge``, ``rawhide``: what lies between releases still has the number of one."""
    words = re.findall(r"[a-z]+", release.get("PRETTY_NAME", "").lower())
    found = next((one for one in entry.channels if one in words), None) if entry else None
    return None if release.get("VERSION_CODENAME") else found


def _from_windows(release: Mapping[str, str], weight: Weight) -> tuple[Evidence, ...]:
    build, name = release.get("VERSION_ID", ""), release.get("PRETTY_NAME", "")
    if not name and windows.is_ambiguous(build):
        return ()
    reading = windows.read(f"{name or 'microsoft'} {build}".lower(), Reading)
    return (of_reading(reading, weight, "os-release", name or f"Windows {build}", "build.log"),)


def _guest_release(os_type: str, series: str | None, facts: GuestFacts) -> str | None:
    release = facts.os_release
    exact = None
    if os_type == "debian" and _series_of_debian_version(facts) == series:
        exact = facts.debian_version
    if _channel(names.entry_of(os_type), release):
        return None
    if not exact and series:
        spelled = re.match(r"\d+(?:\.\d+)+", release.get("VERSION", ""))
        exact = spelled[0] if spelled and spelled[0].startswith(series) else None
    exact = exact or release.get("VERSION_ID")
    return exact if exact and exact[:1].isdigit() else None
