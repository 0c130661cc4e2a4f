"""Where each distribution publishes its packages, and whose keys sign its indexes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.updates.versions import Ecosystem

_KEYRINGS: Final = "/usr/share/keyrings/{}"
_RPM_KEYS: Final = ("/etc/pki/rpm-gpg/{}", "/usr/share/distribution-gpg-keys/{}")

# Archives by the names that --mirror replaces.
ARCHIVES: Final[Mapping[str, str]] = {
    "debian": "https://deb.debian.org/debian",
    "debian-security": "https://deb.debian.org/debian-security",
    "ubuntu": "http://archive.ubuntu.com/ubuntu",  # has no https; its indexes are signed
    "almalinux": "https://repo.almalinux.org/almalinux",
    "rocky": "https://dl.rockylinux.org/pub/rocky",
    "centos-stream": "https://mirror.stream.centos.org",
}

# Where a template's metadata has no codename: https://wiki.debian.org/DebianReleases,
# https://wiki.ubuntu.com/Releases
_CODENAMES: Final = {
    "debian11": "bullseye",
    "debian12": "bookworm",
    "debian13": "trixie",
    "ubuntu20.04": "focal",
    "ubuntu22.04": "jammy",
    "ubuntu24.04": "noble",
}
_WORD: Final = re.compile(r"[a-z]{3,30}")
_NUMBER: Final = re.compile(r"\d{1,3}(?:\.\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A suite of an archive, or a repository of RPMs."""

    url: str  # of the suite's folder, or of what holds repodata/
    name: str  # bookworm-security, baseos
    is_security: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One release of a distribution."""

    name: str
    ecosystem: Ecosystem
    sources: tuple[Source, ...]
    keyrings: tuple[Path, ...]  # where its keys lie on a machine that has them
    package: str  # that brings them


def distribution_of(
    os_type: str | None,
    version: str | None,
    codename: str | None,
    *,
    arch: str = "x86_64",
    mirrors: Mapping[str, str] | None = None,
) -> Distribution | None:
    """Return where the packages of a system come from, None where we do not know it."""
    urls = {**ARCHIVES, **(mirrors or {})}
    if os_type in {"debian", "ubuntu"}:
        known = _CODENAMES.get(f"{os_type}{version}", "")
        suite = codename if codename and _WORD.fullmatch(codename) else known
        return _DEB[os_type](suite, urls) if suite else None
    if os_type in _RPM and version and _NUMBER.fullmatch(version):
        return _rpm(os_type, version.partition(".")[0], arch, urls[os_type].rstrip("/"))
    return None


def _debian(suite: str, urls: Mapping[str, str]) -> Distribution:
    main, security = (urls[name].rstrip("/") for name in ("debian", "debian-security"))
    return Distribution(
        name=f"Debian {suite}",
        ecosystem=Ecosystem.DEB,
        sources=(
            Source(url=f"{main}/dists/{suite}", name=suite),
            Source(url=f"{main}/dists/{suite}-updates", name=f"{suite}-updates"),
            Source(
                url=f"{security}/dists/{suite}-security", name=f"{suite}-security", is_security=True
            ),
        ),
        keyrings=(Path(_KEYRINGS.format("debian-archive-keyring.gpg")),),
        package="debian-archive-keyring",
    )


def _ubuntu(suite: str, urls: Mapping[str, str]) -> Distribution:
    url = urls["ubuntu"].rstrip("/")
    return Distribution(
        name=f"Ubuntu {suite}",
        ecosystem=Ecosystem.DEB,
        sources=tuple(
            Source(
                url=f"{url}/dists/{suite}{pocket}",
                name=f"{suite}{pocket}",
                is_security=pocket == "-security",
            )
            for pocket in ("", "-updates", "-security")
        ),
        keyrings=(Path(_KEYRINGS.format("ubuntu-archive-keyring.gpg")),),
        package="ubuntu-keyring",
    )


_DEB: Final = {"debian": _debian, "ubuntu": _ubuntu}

# Repositories that a new installation has enabled, and the files of their keys.
_RPM: Final = {
    "almalinux": (
        "{version}/{repository}/{arch}/os",
        ("BaseOS", "AppStream", "extras"),
        ("RPM-GPG-KEY-AlmaLinux-{version}", "alma/RPM-GPG-KEY-AlmaLinux-{version}"),
    ),
    "rocky": (
        "{version}/{repository}/{arch}/os",
        ("BaseOS", "AppStream", "extras"),
        ("RPM-GPG-KEY-Rocky-{version}", "rocky/RPM-GPG-KEY-Rocky-{version}"),
    ),
    "centos-stream": (
        "{version}-stream/{repository}/{arch}/os",
        ("BaseOS", "AppStream"),
        ("RPM-GPG-KEY-centosofficial", "centos/RPM-GPG-KEY-CentOS-Official"),
    ),
}


def _rpm(os_type: str, version: str, arch: str, url: str) -> Distribution:
    layout, repositories, keys = _RPM[os_type]
    files = [key.format(version=version) for key in keys]
    return Distribution(
        name=f"{os_type} {version}",
        ecosystem=Ecosystem.RPM,
        sources=tuple(
            Source(
                url=f"{url}/{layout.format(version=version, repository=name, arch=arch)}",
                name=name.lower(),
            )
            for name in repositories
        ),
        keyrings=tuple(
            Path(root.format(file)) for root, file in zip(_RPM_KEYS, files, strict=True)
        ),
        package="distribution-gpg-keys",
    )
