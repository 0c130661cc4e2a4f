"""Name, label, path or URL -> what it says about the operating system. A table and its reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from asyncpipe.detect import windows
from asyncpipe.detect.distribution import ROLLING, Distribution
from asyncpipe.detect.table import DISTRIBUTIONS
from asyncpipe.detect.text import prepare, split_url

_HOLE = "\ufffc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a text says; None = says nothing of it."""

    os_type: str
    os_version: str | None = None
    release: str | None = None
    codename: str | None = None
    arch: str | None = None
    from_path: bool = False  # the system or its version is only in the folders of the URL


@lru_cache(maxsize=4096)
def read_medium(text: str) -> Reading | None:
    """Read a medium's name or URL: the file name first, then the path, then the host.

    Guest tools, drivers, and whatever no entry of the table knows are None.
    """
    name, folder, hidden = split_url(text)
    prepared = prepare(name)
    if not prepared.is_os:
        return None
    reading = _read(prepared.text) or windows.read(prepared.text, Reading)
    reading = reading or _read(prepared.text, platforms=True)
    if reading is None or reading.os_version is None:
        reading = _with_folder(reading, folder, prepared.text)
    if reading is None or reading.os_version is None:
        reading = next(filter(None, map(read_medium, hidden)), reading)
    if reading is None:
        return None
    if reading.arch is not None:  # of a name inside the query
        return reading
    arch = prepared.arch or (prepare(folder).arch if folder else None)
    return replace(reading, arch=arch)


@lru_cache(maxsize=4096)
def read_label(text: str) -> Reading | None:
    """Read a label, a VM's name or a folder: ``ubuntu-2404``, ``debian/13/uefi-lvm``.

    A hypervisor's name counts only where no other system is named.
    """
    prepared = prepare(text)
    if not prepared.is_os:
        return None
    reading = _read(prepared.text, label=True) or windows.read(prepared.text, Reading)
    reading = reading or _read(prepared.text, platforms=True)
    return replace(reading, arch=prepared.arch) if reading else None


def _with_folder(known: Reading | None, folder: str, name: str) -> Reading | None:
    """Complete or find the answer by the URL's folders; a host alone names nothing."""
    _, _, path = folder.partition("/") if "." in folder.partition("/")[0] else ("", "", folder)
    wanted = known.os_type if known else None
    found = _read_words(prepare(f"{path}/").text, wanted) if path else None
    if found is None or (found.os_version is None and "." in folder):
        whole = prepare(f"{folder}/").text
        with_host = _read_words(whole, wanted)
        if with_host and (with_host.os_version is None or is_platform(with_host.os_type)):
            with_host = None
        found = _read_path(whole + name, wanted) or with_host or found
    if found is None or (known is not None and found.os_version is None):
        return known
    codename = found.codename or (known.codename if known else None)
    return replace(found, codename=codename, from_path=True)


def _read_path(text: str, wanted: str | None) -> Reading | None:
    """Read paths, with their host, that the table knows as those of one system."""
    for entry in DISTRIBUTIONS:
        if wanted in {None, entry.os_type} and entry.path_pattern:
            match = entry.path_pattern.search(text)
            if match is not None:
                return _reading(entry, ".".join(filter(None, match.groups())) or None, None)
    return None


def _read_words(text: str, wanted: str | None) -> Reading | None:
    for entry in DISTRIBUTIONS:
        if wanted not in {None, entry.os_type}:
            continue
        if wanted is None and not any(hint in text for hint in entry.hints):
            continue
        match = entry.word_pattern.search(text)
        if match is None and wanted is None:
            continue
        found = _versioned(entry, text[match.end() :] if match else text)
        if found.os_version is not None or not entry.needs_version:
            return found
    return None


def _read(text: str, *, label: bool = False, platforms: bool = False) -> Reading | None:
    for entry in _hinted(text):
        if entry.platform != platforms:
            continue
        match = entry.word_pattern.search(text)
        if match is None:
            continue
        found = _versioned(entry, text[match.end() :], text)
        if found.os_version is not None or not entry.needs_version:
            return found
    for entry in () if platforms else _STANDING_ALONE:
        if (alone := _alone(entry, text)) is not None:
            return alone
    return _by_codename(text) if label else None


def _hinted(text: str) -> list[Distribution]:
    """The few entries worth trying, in the order of the table."""
    return [DISTRIBUTIONS[i] for i in sorted({i for hint, i in _HINTS if hint in text})]


_HINTS = tuple((hint, i) for i, entry in enumerate(DISTRIBUTIONS) for hint in entry.hints)
_STANDING_ALONE = tuple(entry for entry in DISTRIBUTIONS if entry.alone)


def _alone(entry: Distribution, text: str) -> Reading | None:
    assert entry.alone_pattern is not None
    match = entry.alone_pattern.search(text)
    if match is None:
        return None
    word = next((group for group in match.groups() if group), None)
    if word is not None and word in entry.codenames:
        return _reading(entry, entry.codenames[word], word, stated=False)
    return _reading(entry, ".".join(filter(None, match.groups())) or None, None)


def _by_codename(text: str) -> Reading | None:
    """A codename as a word of a label, where no product's name stands."""
    for entry in DISTRIBUTIONS:
        if entry.os_type in {"debian", "ubuntu"} and entry.codename_pattern is not None:
            match = entry.codename_pattern.search(text)
            if match is not None and match[1] in entry.codenames:
                return _reading(entry, entry.codenames[match[1]], match[1], stated=False)
    return None


def _versioned(entry: Distribution, tail: str, whole: str = "") -> Reading:
    """Find the version behind the product's name; then by codename; then without its dots."""
    match = entry.version_pattern.search(tail)
    if match is not None:
        groups = [group for group in match.groups()[1:] if group]
        version = entry.prefix + (".".join(groups) if groups else match["all"])
        return _reading(entry, version, _codename_in(entry, tail), tail=tail)
    for text in (tail, whole):
        codename = _codename_in(entry, text) if text else None
        if codename is not None:
            return _reading(entry, entry.codenames[codename], codename, stated=False)
    channel = (
        entry.codename_pattern.search(tail) if entry.channels and entry.codename_pattern else None
    )
    if channel is not None:
        return _reading(entry, channel[1], None, stated=False)
    if entry.compact_pattern is not None and (match := entry.compact_pattern.search(tail)):
        return _reading(entry, ".".join(match.groups()), None)
    return _reading(entry, None, None)


def _codename_in(entry: Distribution, text: str) -> str | None:
    if not entry.codenames or entry.codename_pattern is None:
        return None
    return next(
        (m[1] for m in entry.codename_pattern.finditer(text) if m[1] in entry.codenames), None
    )


def _reading(
    entry: Distribution,
    version: str | None,
    codename: str | None,
    *,
    stated: bool = True,
    tail: str = "",
) -> Reading:
    if entry.rolling:
        dated = version if version and stated else None
        return Reading(os_type=entry.os_type, os_version=ROLLING, release=dated)
    if version is None:
        return Reading(os_type=entry.os_type, codename=codename)
    series = entry.series_of(version) if stated else version
    release = version if stated and version[:1].isdigit() and version != series else None
    for stamp, exact in entry.releases.items() if tail else ():
        if exact.startswith(f"{series}.") and re.search(rf"(?<!\d){stamp}(?!\d)", tail):
            release = exact
    return Reading(
        os_type=entry.os_type,
        os_version=series,
        release=release,
        codename=codename or codename_of(entry, series),
    )


_NO_VERSION = frozenset({"latest", "stable", "current", "newest", "default", "lts", "any", "none"})
_SPELLED = re.compile(r"^(?:el|rhel|v|release|version)[-_ ]?(?=\d)")


def version_of(os_type: str, stated: str) -> Reading:
    """What somebody who writes a version means: ``15-SP6``, ``9-stream``, ``22.04 LTS``, ``el9``.

    May name a more exact system than ``os_type``: Windows 2022 is Windows Server.
    """
    text = _SPELLED.sub("", stated.strip().lower())
    if text in _NO_VERSION:
        return Reading(os_type=os_type)
    if os_type == "centos" and "stream" in text:
        os_type, text = "centos-stream", text.replace("stream", "").strip(" -_")
    entry = entry_of(os_type)
    if entry is not None and text in entry.codenames:
        return _reading(entry, entry.codenames[text], text, stated=False)
    found = read_label(f"{os_type}-{text}")
    if found is not None and f"{found.os_type}-".startswith(f"{os_type}-") and found.os_version:
        return found
    if entry is not None and text[:1].isdigit():
        return _reading(entry, text, None)
    slug = re.sub(r"[^a-z0-9._-]+", "-", text)[:60].strip("-.")
    return Reading(os_type=os_type, os_version=slug or None)


def codename_of(entry: Distribution | None, series: str | None) -> str | None:
    """The codename of a series, where the table knows one."""
    codenames = entry.codenames if entry else {}
    return next((name for name, of in codenames.items() if of == series), None)


def entry_of(os_type: str) -> Distribution | None:
    """Return the table's entry of an operating system, by its name or an alias."""
    return _BY_ALIAS.get(re.sub(r"[\s_-]+", "", os_type.lower()))


def is_platform(os_type: str | None) -> bool:
    """Whether a system is one that hosts others, and mostly named as the place of a build."""
    entry = entry_of(os_type) if os_type else None
    return entry is not None and entry.platform


def _aliases(entries: Sequence[Distribution]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    for entry in entries:
        for alias in (entry.os_type, *entry.ids):
            found.setdefault(re.sub(r"[\s_-]+", "", alias.lower()), entry)
    return found


_BY_ALIAS = _aliases(DISTRIBUTIONS)
