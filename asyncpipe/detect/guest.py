"""Lines of Packer's output -> what the guest printed about itself.

Two forms are read: the marked block that our provisioning prints (one self-marked line each, so
that interleaved output does no harm), and, weaker, consecutive lines of an ``os-release`` file
that merely occurred in the log. Lines are untrusted: everything kept is bounded and plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from asyncpipe.model.identity import GuestFacts, Package
from asyncpipe.text.lines import LineFinder, Lines, walk
from asyncpipe.text.safe import printable, without_escapes

MARK: Final = "asyncpipe-evidence/1"
MAX_PACKAGES: Final = 20_000
MAX_OS_RELEASE_LINES: Final = 64
MAX_LINE_CHARS: Final = 2000
_MAX_VALUE_CHARS: Final = 300
_PREFIX = re.compile(r"\A(?:(?:==>|-->)\s+|\s{2,})[^\s:][^:]{0,200}:\s?")
_STAMP = re.compile(r"\A\d{4}-\d\d-\d\dT[\d:.]{8,15}Z? ")
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]{0,60})=(.*)")
_TELLING: Final = LineFinder(
    re.escape(MARK),
    r"(?:^|[\s:])[A-Z][A-Z0-9_]{0,60}=",
    r"Microsoft Windows",
    r"OS Version:",
    dense_hits=128,
    bytes_per_hit=40,  # a line of evidence is longer: the mark, the build's name, a word
)


class GuestCollector:
    """Collects facts line by line; the last complete block wins over an incomplete one."""

    def __init__(self) -> None:
        self._facts = GuestFacts()
        self._block: _Block | None = None
        self._loose: dict[str, str] = {}
        self._best_loose: dict[str, str] = {}
        self._names: set[str] = set()  # of the os-release files that merely occurred

    def feed_lines(self, lines: Lines) -> None:
        """Take a batch of lines; most lines of a build state no fact about the guest."""
        found = _TELLING.look(lines)
        walk(lines, found, take=self.feed_line, is_attentive=lambda: bool(self._loose))

    def feed_line(self, text: str) -> None:
        """Take one line as Packer prints it, with or without the build's name in front."""
        if MARK in text or "=" in text:
            plain = _PREFIX.sub("", without_escapes(text[:MAX_LINE_CHARS])).strip()
            if plain.startswith(f"{MARK} "):
                self._marked(plain[len(MARK) :])
            else:
                self._unmarked(plain)
        elif (said := _windows_says(text)) is not None:
            self._best_loose = {**self._best_loose, **said}
            self._names.add("windows")
        elif self._loose and text.strip():
            self._end_loose()

    def facts(self) -> GuestFacts:
        """Return what is known by now; unmarked lines only where no block was printed."""
        if self._facts.os_release:
            return self._facts
        if self._block is not None and self._block.os_release:
            return self._block.facts(complete=False)
        self._end_loose()
        if len(self._names) != 1:  # of several, nobody knows which one is the guest's
            return GuestFacts()
        return GuestFacts(os_release=dict(self._best_loose))

    def _marked(self, rest: str) -> None:
        keyword, _, value = rest.strip().partition(" ")
        if keyword == "begin":
            self._block = _Block()
        elif self._block is None:
            return
        elif keyword == "end":
            complete = self._block.lines == _count(value)
            if complete or not self._facts.complete:
                self._facts = self._block.facts(complete=complete)
            self._block = None
        else:
            self._block.take(keyword, value.strip())

    def _unmarked(self, text: str) -> None:
        match = _ASSIGNMENT.fullmatch(text)
        if match is None:
            self._end_loose()
        elif len(self._loose) < MAX_OS_RELEASE_LINES:
            self._loose[match[1]] = _unquoted(match[2])

    def _end_loose(self) -> None:
        """Keep the lines seen so far if they are an os-release file: ID and a version or a name."""
        if self._loose.get("ID") and self._loose.keys() & {
            "VERSION_ID",
            "PRETTY_NAME",
            "VERSION_CODENAME",
        }:
            self._best_loose = self._loose
            self._names.add(self._loose["ID"])
        self._loose = {}


def _windows_says(text: str) -> dict[str, str] | None:
    """What ``systeminfo`` and ``ver`` print, in the terms of an os-release file."""
    if "Windows" not in text and "OS Version:" not in text:
        return None
    plain = _PREFIX.sub("", without_escapes(text[:MAX_LINE_CHARS])).strip()
    if (name := _SYSTEMINFO_NAME.fullmatch(plain)) is not None:
        return {"ID": "windows", "PRETTY_NAME": printable(name[1], _MAX_VALUE_CHARS)}
    version = _WINDOWS_VERSION.fullmatch(plain)
    return {"ID": "windows", "VERSION_ID": version[1] or version[2]} if version else None


_SYSTEMINFO_NAME = re.compile(r"OS Name:\s+(Microsoft Windows .{1,100}?)\s*")
_WINDOWS_VERSION = re.compile(
    r"Microsoft Windows \[Version (?:6|10)\.\d\.([\d.]{4,12})\]"
    r"|OS Version:\s+(?:6|10)\.\d\.(\d{4,5})\b.{0,100}"
)


def facts_of(lines: Iterable[str]) -> GuestFacts:
    """Return what a whole build log says, whether or not its lines begin with our stamp."""
    collector = GuestCollector()
    for line in lines:
        collector.feed_line(_STAMP.sub("", line))
    return collector.facts()


class _Block:
    """One marked block while it is read."""

    def __init__(self) -> None:
        self.lines = 0
        self.os_release: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._packages: list[Package] = []

    def take(self, keyword: str, value: str) -> None:
        """Take one line between begin and end."""
        self.lines += 1
        if keyword == "os-release":
            match = _ASSIGNMENT.fullmatch(value)
            if match is not None and len(self.os_release) < MAX_OS_RELEASE_LINES:
                self.os_release[match[1]] = _unquoted(match[2])
        elif keyword == "package":
            self._package(value.split())
        elif keyword in {"debian-version", "kernel", "arch", "hardening-profile", "agent"}:
            self._values[keyword] = printable(value, _MAX_VALUE_CHARS)

    def _package(self, words: list[str]) -> None:
        if len(words) >= 2 and len(self._packages) < MAX_PACKAGES:
            name, version, *rest = (printable(word, _MAX_VALUE_CHARS) for word in words[:3])
            self._packages.append(Package(name=name, version=version, arch=rest[0] if rest else ""))

    def facts(self, *, complete: bool) -> GuestFacts:
        """Return what the block said."""
        values = self._values
        return GuestFacts(
            marked=complete,
            complete=complete,
            os_release=dict(self.os_release),
            debian_version=values.get("debian-version"),
            kernel=values.get("kernel"),
            arch=values.get("arch"),
            hardening_profile=values.get("hardening-profile"),
            agent=values.get("agent"),
            packages=tuple(self._packages),
        )


def _count(text: str) -> int:
    return int(text) if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else -1


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        text = re.sub(r"\\([\"'\\$`])", r"\1", text[1:-1])
    return printable(text, _MAX_VALUE_CHARS)
