"""A suite's Release file: which indexes it has, and their sums."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from asyncpipe.updates.refused import IndexRefusedError

_LINE: Final = re.compile(r" ([0-9a-f]{64})\s+(\d{1,15})\s+(\S{1,300})", re.ASCII)
_FIELD: Final = re.compile(r"([A-Za-z0-9-]{1,60}):\s*(.*)")
_PACKED: Final = (".xz", ".gz", "")  # what is asked for first


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedIndex:
    """One file of a suite."""

    path: str  # relative to the suite's folder; by its sum where the archive offers that
    name: str
    size_bytes: int
    sha256_hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A Release file that is signed, current and of the suite that was asked for."""

    files: dict[str, tuple[int, str]]  # name -> size, SHA-256
    components: frozenset[str]
    by_hash: bool

    def packages(self, component: str, arch: str) -> ListedIndex | None:
        """The list of a component's packages, None where the suite has none."""
        for ending in _PACKED:
            name = f"{component}/binary-{arch}/Packages{ending}"
            if name in self.files:
                size_bytes, digest = self.files[name]
                hashed = f"{component}/binary-{arch}/by-hash/SHA256/{digest}"
                path = hashed if self.by_hash else name
                return ListedIndex(path=path, name=name, size_bytes=size_bytes, sha256_hex=digest)
        return None


def read_release(url: str, text: bytes, suite: str, now: datetime) -> Release:
    """Read the signed text of an InRelease.

    Raises:
        IndexRefusedError: it is of another suite, or no longer valid: an old one, replayed, hides
            newer updates.
    """
    fields: dict[str, str] = {}
    files: dict[str, tuple[int, str]] = {}
    section = ""
    for line in text.decode("utf-8", "replace").splitlines():
        if found := _FIELD.fullmatch(line):
            section = found[1].lower()
            fields[section] = found[2].strip()
        elif section == "sha256" and (entry := _LINE.fullmatch(line)):
            files[entry[3]] = (int(entry[2]), entry[1])
    if suite not in {fields.get("codename"), fields.get("suite")}:
        raise IndexRefusedError(
            f"{url} is of another suite: {fields.get('codename', 'none named')}.",
            hint="Is the mirror laid out as the archive is?",
        )
    until = _moment(fields.get("valid-until", ""))
    if until is not None and until < now:
        raise IndexRefusedError(
            f"{url} was valid until {until:%Y-%m-%d %H:%M} UTC: the mirror is out of date.",
            hint="Name another mirror, and look at this machine's clock.",
        )
    return Release(
        files=files,
        # Debian's security archive writes updates/main for what lies in main/
        components=frozenset(
            one.rpartition("/")[2] for one in fields.get("components", "").split()
        ),
        by_hash=fields.get("acquire-by-hash", "").lower() == "yes",
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text.replace("UTC", "GMT"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
