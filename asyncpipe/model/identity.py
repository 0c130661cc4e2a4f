"""Who the template is: the evidence, and the answer with its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final


class Weight(IntEnum):
    """How much a kind of evidence counts; the higher wins."""

    HARDWARE_PROFILE = 10  # clone_template, guest_os_type: known to lie
    VM_NAME = 20
    LABEL = 30  # source label, build name, file and folder names
    ISO_URL = 40  # a path segment of the medium's URL
    ISO_NAME = 50  # the medium's file name
    RETRIEVED = 55  # the medium that Packer says it retrieves
    GUEST_UNMARKED = 60  # os-release lines that merely occurred in the log
    GUEST = 70  # the marked evidence block printed by provisioning
    DECLARED = 80  # os_name/os_version and the like in the template
    EXPLICIT = 90  # --os, --os-version


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observation and what it says about the system; ``None`` = says nothing."""

    weight: Weight
    kind: str  # "iso_url", "vm_name", "os-release", "option" ...
    text: str  # what was seen, bounded to 300 characters
    origin: str  # "templates/x/debian.pkr.hcl:12", "build.log", "--os"
    os_type: str | None = None
    os_version: str | None = None  # the series that names the template: "12", "24.04", "9"
    release: str | None = None  # the most exact version stated: "12.11.0"
    codename: str | None = None
    arch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two pieces of evidence that disagree; ``series``: it affects where the image is published."""

    field: str  # "os_type", "os_version", "release", "arch"
    chosen: str
    other: str
    chosen_origin: str
    other_origin: str
    series: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OsIdentity:
    """The most reliable answer, or unknown (``os_type is None``), and why."""

    os_type: str | None = None
    os_version: str | None = None
    release: str | None = None
    codename: str | None = None
    arch: str | None = None
    pretty_name: str | None = None
    confidence: float = 0.0  # 0.0 unknown .. 1.0 explicit or confirmed by the guest
    end_of_life: str | None = None  # ISO date, from osinfo-db
    evidence: tuple[Evidence, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def short_id(self) -> str | None:
        """``debian12``: the folder and file name of what is published; libosinfo's spelling."""
        return short_id_of(self.os_type, self.os_version) if self.os_type else None


# libosinfo's spelling of the systems whose short id is not os_type and version put together.
_SHORT_NAMES: Final = {
    "alpine": "alpinelinux",
    "arch": "archlinux",
    "opensuse-leap": "opensuse",
    "opensuse-tumbleweed": "opensusetumbleweed",
    "oraclelinux": "ol",
    "windows": "win",
}


def short_id_of(os_type: str, os_version: str | None) -> str:
    """``("windows-server", "2022")`` -> ``win2k22``, ``("debian", "12")`` -> ``debian12``."""
    version = os_version or ""
    if os_type == "windows-server":
        return (
            f"win2k{version.removeprefix('20').removeprefix('0')}" if version else "windows-server"
        )
    if version == "rolling":
        version = ""
    if os_type == "sles" and "." in version and not version.startswith("16"):
        major, pack = version.split(".", 1)
        return f"{'sle' if major == '15' else 'sles'}{major}sp{pack}"
    if os_type == "nixos" and version:
        return f"nixos-{version}"
    return f"{_SHORT_NAMES.get(os_type, os_type)}{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that the guest reported as installed."""

    name: str
    version: str
    arch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFacts:
    """What the guest printed about itself during the build."""

    marked: bool = False  # a complete asyncpipe-evidence block, not merely os-release lines
    complete: bool = False  # begin and end were seen and the number of lines is right
    os_release: Mapping[str, str] = field(default_factory=dict)
    debian_version: str | None = None
    kernel: str | None = None
    arch: str | None = None
    hardening_profile: str | None = None
    agent: str | None = None
    packages: tuple[Package, ...] = ()
