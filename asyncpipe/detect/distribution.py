"""What one entry of the table of distributions says, and how its versions are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

_NO_CODENAMES: Mapping[str, str] = MappingProxyType({})
ROLLING = "rolling"


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """One operating system: how its media, folders and ``os-release`` spell it.

    All patterns see lower-case text in which architectures and disc numbers are masked by ``~``.
    ``version`` is searched behind the word; without groups its whole match is the version, with
    groups the groups that matched are joined by dots. ``series`` is how many components name the
    template (``12`` of 12.11.0 for 1; 0 = all). ``examples`` are (name or URL, version) and run
    as tests.
    """

    os_type: str
    word: str  # regular expression of the product's name, tried in the order of the table
    hints: tuple[str, ...]  # plain text: one of these must occur before ``word`` is tried
    version: str = r"\d{1,2}(?:\.\d{1,3}){0,3}"
    series: int = 1
    prefix: str = ""  # what the version is written with: "r" of r151052
    rolling: bool = False  # no series at all: every version is "rolling"
    codenames: Mapping[str, str] = field(default_factory=lambda: _NO_CODENAMES)  # -> series
    alone: str = ""  # names in which a codename or number suffices without the product's name
    compact: str = ""  # how a version without its dots looks: two groups, major and minor
    releases: Mapping[str, str] = field(default_factory=lambda: _NO_CODENAMES)  # text -> release
    channels: tuple[str, ...] = ()  # words that stand for a version: "testing", "rawhide"
    needs_version: bool = False  # the name counts only with a version
    path: str = ""  # URL paths with another spelling; groups as in ``version``
    ids: tuple[str, ...] = ()  # ID of os-release, and what people write in os_name
    platform: bool = False  # a host of virtual machines: mostly named as the place of a build
    base: str = ""  # the system that its os-release claims to be: Proxmox VE says "debian"
    examples: tuple[tuple[str, str | None], ...] = ()

    @cached_property
    def word_pattern(self) -> re.Pattern[str]:
        """The product's name, not inside another word."""
        return re.compile(rf"(?<![a-z])(?:{self.word})(?![a-z])")

    @cached_property
    def version_pattern(self) -> re.Pattern[str]:
        """A version, not inside a longer number, a size or a hash."""
        return re.compile(
            rf"(?<![0-9a-z.])[vr]?(?P<all>{self.version})"
            r"(?![0-9]|\.[0-9]|[gmt]b?(?![a-z])|bit|[0-9a-f]{4})"
        )

    @cached_property
    def compact_pattern(self) -> re.Pattern[str] | None:
        """A version without dots, as ``2404`` or ``79``."""
        return re.compile(rf"(?<![0-9a-z.])v?{self.compact}(?![0-9.])") if self.compact else None

    @cached_property
    def alone_pattern(self) -> re.Pattern[str] | None:
        """Names that need no product's name."""
        return re.compile(self.alone) if self.alone else None

    @cached_property
    def path_pattern(self) -> re.Pattern[str] | None:
        """Paths that need no product's name."""
        return re.compile(self.path) if self.path else None

    @cached_property
    def codename_pattern(self) -> re.Pattern[str] | None:
        """Any codename or channel as a separate word."""
        names = (*self.codenames, *self.channels)
        return re.compile(rf"(?<![a-z])({'|'.join(names)})(?![a-z])") if names else None

    def series_of(self, version: str) -> str:
        """``12.11.0`` -> ``12``: the part of a version that names the template."""
        if self.rolling:
            return ROLLING
        if not self.series or not version[:1].isdigit():
            return version
        return ".".join(re.split(r"[.-]", version)[: self.series])
