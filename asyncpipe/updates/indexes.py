"""A distribution's current indexes -> the newest version of each package that is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import anyio
import anyio.to_thread

from asyncpipe.errors import flattened
from asyncpipe.model.identity import Package
from asyncpipe.updates import signed
from asyncpipe.updates.apt.packages import read_packages
from asyncpipe.updates.apt.release import read_release
from asyncpipe.updates.distributions import Distribution, Source
from asyncpipe.updates.lacking import MODULAR, Available, Lacking, Newest, compare, native_arch
from asyncpipe.updates.refused import IndexRefusedError
from asyncpipe.updates.rpm.lists import read_primary, read_security
from asyncpipe.updates.rpm.repomd import read_repomd
from asyncpipe.updates.stored import Downloads, IndexCache
from asyncpipe.updates.unpack import unpacked
from asyncpipe.updates.versions import Ecosystem

_MAX_LIST_BYTES: Final = 16 * 1024 * 1024  # of sums; Debian's has 150 KB
_AT_ONCE: Final = 3
_MAX_ARCHES: Final = 3

Row = tuple[str, str, str]  # name, version, architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """A list to be fetched and read."""

    url: str
    name: str  # its ending says how it is packed
    size_bytes: int
    sha256_hex: str
    source: Source
    parse: Callable[[BinaryIO], Iterator[Row]]
    is_advisories: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Reads indexes; ``keyrings`` stand in for those that this machine has."""

    cache: IndexCache
    downloads: Downloads
    now: datetime
    keyrings: tuple[Path, ...] = ()

    async def lacking(
        self, distribution: Distribution, systems: Sequence[Sequence[Package]]
    ) -> list[Lacking]:
        """Say what each of ``systems`` lacks; each is the list of its installed packages.

        Raises:
            IndexRefusedError: an index is missing, damaged, too old or wrongly signed.
            UsageError: one cannot be fetched.
        """
        every = [package for packages in systems for package in packages]
        newest = Newest(distribution.ecosystem, (one.name for one in every))
        arches = _arches(every, distribution.ecosystem)
        keys = await anyio.to_thread.run_sync(
            signed.read_keys, self.keyrings or distribution.keyrings
        )
        limiter, parsing = anyio.CapacityLimiter(_AT_ONCE), anyio.Lock()
        notes: list[str] = []

        async def read(source: Source) -> None:
            async with limiter:
                if distribution.ecosystem is Ecosystem.DEB:
                    found = await self._of_suite(source, distribution, keys, arches)
                else:
                    found = await self._of_repository(source, distribution, keys, notes)
                for index in found:
                    path = await self.cache.get(
                        index.url, size_bytes=index.size_bytes, sha256_hex=index.sha256_hex
                    )
                    async with parsing:
                        await anyio.to_thread.run_sync(_take, path, index, newest)

        with flattened():
            async with anyio.create_task_group() as tasks:
                for source in distribution.sources:
                    tasks.start_soon(read, source)
        said = tuple(sorted(notes))
        return [
            replace(one, notes=(*one.notes, *said))
            for one in [
                await anyio.to_thread.run_sync(compare, packages, newest) for packages in systems
            ]
        ]

    async def _of_suite(
        self,
        source: Source,
        distribution: Distribution,
        keys: Sequence[bytes],
        arches: Sequence[str],
    ) -> list[_Index]:
        if not keys:
            raise IndexRefusedError(
                f"The signature of {source.name} cannot be checked: {distribution.name}'s keys "
                "are not on this machine.",
                hint=f"Install {distribution.package}, or name a file of them by --keyring.",
            )
        url = f"{source.url}/InRelease"
        body = await self._fetch(url)
        text = await anyio.to_thread.run_sync(signed.signed_text, url, body, keys)
        release = read_release(url, text, source.name, self.now)
        listed = [
            one
            for component in sorted(release.components)
            for arch in arches
            if (one := release.packages(component, arch))
        ]
        if not listed:
            raise IndexRefusedError(f"{url} names no list of packages for {', '.join(arches)}.")
        return [
            _Index(
                url=f"{source.url}/{one.path}",
                name=one.name,
                size_bytes=one.size_bytes,
                sha256_hex=one.sha256_hex,
                source=source,
                parse=read_packages,
            )
            for one in listed
        ]

    async def _of_repository(
        self,
        source: Source,
        distribution: Distribution,
        keys: Sequence[bytes],
        notes: list[str],
    ) -> list[_Index]:
        url = f"{source.url}/repodata/repomd.xml"
        body = await self._fetch(url)
        signature = await self.downloads.fetch(f"{url}.asc", max_bytes=_MAX_LIST_BYTES)
        if signature is None:
            believed = (
                "it is believed for its certificate alone"
                if url.startswith("https://")
                else "nothing vouches for what plain HTTP brought"
            )
            notes.append(f"{source.name} is not signed: {believed}")
        elif not keys:
            notes.append(
                f"the signature of {source.name} was not checked: {distribution.name}'s keys are "
                f"not on this machine ({distribution.package}, or --keyring)"
            )
        else:
            await anyio.to_thread.run_sync(signed.require_signature, url, body, signature, keys)
        lists = read_repomd(url, body)
        if "updateinfo" not in lists:
            notes.append(
                f"{source.name} has no advisories: its security updates are not told apart"
            )
        return [
            _Index(
                url=f"{source.url}/{lists[kind].path}",
                name=lists[kind].path,
                size_bytes=lists[kind].size_bytes,
                sha256_hex=lists[kind].sha256_hex,
                source=source,
                parse=parse,
                is_advisories=kind == "updateinfo",
            )
            for kind, parse in (("primary", read_primary), ("updateinfo", read_security))
            if kind in lists
        ]

    async def _fetch(self, url: str) -> bytes:
        body = await self.downloads.fetch(url, max_bytes=_MAX_LIST_BYTES)
        if body is None:
            raise IndexRefusedError(
                f"{url} does not exist.",
                hint="Has the release reached its end of life? Else name another --mirror.",
            )
        return body


def _take(path: Path, index: _Index, newest: Newest) -> None:
    source, is_rpm = index.source, newest.ecosystem is Ecosystem.RPM
    with unpacked(path, index.name) as file:
        for name, version, arch in index.parse(file):
            if name not in newest.names or (is_rpm and MODULAR in version):
                continue
            if index.is_advisories:
                newest.fix(name, arch, version)
                continue
            newest.take(
                Available(
                    name=name,
                    version=version,
                    arch=arch,
                    origin=source.name,
                    is_security=source.is_security,
                )
            )


def _arches(packages: Sequence[Package], ecosystem: Ecosystem) -> list[str]:
    """The architectures whose lists are needed, the system's own first."""
    native = native_arch(packages, ecosystem)
    others = {one.arch for one in packages} - {native, "all", "noarch", ""}
    known = sorted(arch for arch in others if re.fullmatch(r"[a-z0-9-]{2,20}", arch))
    return [native or "amd64", *known][:_MAX_ARCHES]
