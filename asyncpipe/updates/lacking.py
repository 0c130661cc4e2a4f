"""Installed packages and available ones -> which updates are lacking (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from asyncpipe.model.identity import Package
from asyncpipe.updates.versions import Ecosystem, is_newer

_ANY_ARCH: Final = {Ecosystem.DEB: "all", Ecosystem.RPM: "noarch"}
MODULAR: Final = ".module"  # in the release of an RPM that belongs to a module's stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """One package in an index."""

    name: str
    version: str
    arch: str
    origin: str  # the suite or repository: bookworm-security, baseos
    is_security: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """An installed package that has an update."""

    name: str
    arch: str
    installed: str
    available: str
    origin: str  # of the newest version
    is_security: bool  # a security suite or advisory has a version that is newer than ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What a system lacks, by name, and how many of its packages no index has."""

    packages: tuple[Lack, ...]
    not_indexed: int = 0  # from elsewhere: nobody here knows whether they are current
    notes: tuple[str, ...] = ()

    @property
    def security(self) -> tuple[Lack, ...]:
        """The security updates among them."""
        return tuple(one for one in self.packages if one.is_security)


class Newest:
    """The newest version of each wanted package, and its newest security fix, while read."""

    def __init__(self, ecosystem: Ecosystem, names: Iterable[str]) -> None:
        self.ecosystem = ecosystem
        self.names = frozenset(names)
        self._newest: dict[tuple[str, str], Available] = {}
        self._fixes: dict[tuple[str, str], str] = {}

    def take(self, one: Available) -> None:
        """Count a package in, if its version can be compared."""
        known = self._newest.get((one.name, one.arch))
        with suppress(ValueError):
            if is_newer(self.ecosystem, one.version, known.version if known else "0"):
                self._newest[one.name, one.arch] = one
        if one.is_security:
            self.fix(one.name, one.arch, one.version)

    def fix(self, name: str, arch: str, version: str) -> None:
        """Count in that a version is a security fix."""
        known = self._fixes.get((name, arch))
        with suppress(ValueError):
            if known is None or is_newer(self.ecosystem, version, known):
                self._fixes[name, arch] = version

    def find(self, package: Package, arches: Sequence[str]) -> Available | None:
        """The newest of a name in one of ``arches``."""
        found = [one for arch in arches if (one := self._newest.get((package.name, arch)))]
        best = found[0] if found else None
        for one in found[1:]:
            if best is not None and is_newer(self.ecosystem, one.version, best.version):
                best = one
        return best

    def is_fixed_later(self, package: Package, arches: Sequence[str]) -> bool:
        """Whether a security fix is newer than what is installed."""
        fixes = [self._fixes.get((package.name, arch)) for arch in arches]
        return any(fix and is_newer(self.ecosystem, fix, package.version) for fix in fixes)


def compare(packages: Iterable[Package], newest: Newest) -> Lacking:
    """Say what of ``packages`` has an update.

    Of a package that is installed in several versions (kernels) the newest counts. Modular RPMs
    are left out: which stream a system follows is not recorded.
    """
    ecosystem = newest.ecosystem
    installed, odd = _installed(packages, ecosystem)
    native = native_arch(installed, ecosystem)
    lacks: list[Lack] = []
    not_indexed = modular = 0
    for package in installed:
        if ecosystem is Ecosystem.RPM and MODULAR in package.version:
            modular += 1
            continue
        arches = _arches(package, native, _ANY_ARCH[ecosystem])
        found = newest.find(package, arches)
        if found is None:
            not_indexed += 1
        elif is_newer(ecosystem, found.version, package.version):
            lacks.append(
                Lack(
                    name=package.name,
                    arch=package.arch,
                    installed=package.version,
                    available=found.version,
                    origin=found.origin,
                    is_security=newest.is_fixed_later(package, arches),
                )
            )
    notes = [f"{modular} packages belong to modules, which are not judged"] if modular else []
    notes += [f"{odd} packages have a malformed version"] if odd else []
    ordered = sorted(lacks, key=lambda one: (one.name, one.arch))
    return Lacking(packages=tuple(ordered), not_indexed=not_indexed, notes=tuple(notes))


def native_arch(packages: Iterable[Package], ecosystem: Ecosystem) -> str:
    """The architecture of most packages; "" without any."""
    counted = Counter(one.arch for one in packages if one.arch != _ANY_ARCH[ecosystem])
    return counted.most_common(1)[0][0] if counted else ""


def _installed(packages: Iterable[Package], ecosystem: Ecosystem) -> tuple[list[Package], int]:
    newest: dict[tuple[str, str], Package] = {}
    odd = 0
    for package in packages:
        known = newest.get((package.name, package.arch))
        try:
            is_newer(ecosystem, package.version, "0")
            if known is None or is_newer(ecosystem, package.version, known.version):
                newest[package.name, package.arch] = package
        except ValueError:
            odd += 1
    return list(newest.values()), odd


def _arches(package: Package, native: str, any_arch: str) -> tuple[str, ...]:
    """A package may become, or stop being, one for all architectures."""
    if package.arch in {native, any_arch, ""}:
        return native, any_arch
    return package.arch, any_arch


def installed_of(document: Mapping[str, object]) -> tuple[Package, ...]:
    """The packages that a ``metadata.json`` lists."""
    found = document.get("packages")
    rows = found if isinstance(found, list) else []
    return tuple(
        Package(name=one["name"], version=one["version"], arch=one["arch"]) for one in rows
    )
