"""A planned build, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from asyncpipe.model.run import GRACE_S

if TYPE_CHECKING:
    from asyncpipe.model.identity import OsIdentity
    from asyncpipe.model.template import Template


class Phase(StrEnum):
    """The phases a person sees, in their usual order."""

    START = "start"
    ISO_DOWNLOAD = "iso-download"
    ISO_UPLOAD = "iso-upload"
    CREATE = "create"
    BOOT = "boot"
    WAIT_IP = "wait-ip"
    CONNECT = "connect"
    PROVISION = "provision"
    SHUTDOWN = "shutdown"
    EXPORT = "export"
    POST_PROCESS = "post-process"
    CLEANUP = "cleanup"
    STOPPING = "stopping"
    VERIFY = "verify"
    BOOT_TEST = "boot-test"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpan:
    """One phase of the timeline; UTC in ISO 8601 with milliseconds, seconds on the same clock."""

    phase: Phase
    started_utc: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoSource:
    """The installation medium that Packer retrieved: its URL and, once whole, the file."""

    url: str
    path: str = ""  # in Packer's cache; of this machine, so never published
    sha256_hex: str = ""  # of that file, once it was read
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedImage:
    """An image whose upload to the host began; the references are XAPI's, "" until known."""

    name: str  # name-label of the VDI; "Packer-CD" is the same for every build
    vdi_ref: str = ""  # "OpaqueRef:..."
    task_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostObjects:
    """What the plugin said it found, made or failed to remove at the host."""

    session: bool = False  # it has logged in
    iso: IsoSource | None = None
    iso_vdi_name: str = ""  # the VDI it looked for; uploaded unless it was there already
    uploads: tuple[UploadedImage, ...] = ()
    creating: bool = False  # the VM may exist although its UUID is not known yet
    disk_names: tuple[str, ...] = ()  # of the disks that it began to make
    vm_uuid: str = ""
    cleaned_up: bool = False  # the plugin said that it removed what it had made
    cleanup_problems: tuple[str, ...] = ()

    @property
    def made_something(self) -> bool:
        """The host may hold something that was not there before."""
        return bool(self.uploads or self.creating or self.vm_uuid)

    @property
    def reused_iso(self) -> str:
        """Name of an ISO VDI that was at the host before and was used unseen, or ""."""
        uploaded = any(image.name == self.iso_vdi_name for image in self.uploads)
        return self.iso_vdi_name if self.creating and not uploaded else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A file that a template names; ``sha256_hex`` is None where it was not read."""

    path: str
    sha256_hex: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentVersion:
    """The published version that a template is built from."""

    version: str  # debian12@20261123T170000Z
    sha256_hex: str | None = None  # of its XVA; None where the destination does not have it


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFrom:
    """What goes into a build, as it was when Packer started."""

    materials: tuple[Material, ...] = ()  # the files that the template names
    materials_cut: int = 0  # how many more there were
    parent: ParentVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything decided about one template's run before it starts."""

    unit: str  # stable name: "debian-12", unique in a matrix
    template: Template
    packer_path: Path
    packer_version: str
    packer_arguments: tuple[str, ...]  # after "build": -only=..., -var-file=...; never a secret
    packer_environment: Mapping[str, str] = field(repr=False)  # whole environment of the child
    working_directory: Path  # Packer's cwd
    run_directory: Path  # this run's own: build.log, journal, packer.log
    output_directory: Path  # fresh; where the XVA is expected
    timestamp: str  # 20261123T170000Z, one for the whole matrix
    static_identity: OsIdentity  # before the guest has spoken
    variant: str = ""  # "web": part of the place it is published to
    expires_s: float | None = None  # how long the version is good; None: without an end
    source_name: str = ""  # Packer's name of the one source that is built, "" without sources
    explicit_os: str | None = None
    explicit_os_version: str | None = None
    strict_identity: bool = False
    grace_s: float = GRACE_S  # from SIGTERM to SIGKILL
    build_timeout_s: float | None = None
    host_answer_s: float | None = None  # for the host's first answer; None: there is no host
    keep_failed_s: float | None = None  # --on-error keep: how long a failed VM stays
    built_from: BuiltFrom = field(default_factory=BuiltFrom)  # known once its turn has come
    keep_vm: str = ""  # "always", "on_success": the template wants its VM to stay

    @property
    def builds_on_host(self) -> bool:
        """It builds on an XCP-ng/XenServer host."""
        return any(source.type.startswith("xenserver") for source in self.template.sources)

    @property
    def iso_vdi_name(self) -> str:
        """Name of the image that the plugin uploads, or finds, and removes in the end; or "".

        The plugin names it after the first URL (builder/xenserver/iso/builder.go).
        """
        for source in self.template.sources if self.builds_on_host else ():
            urls = source.attributes.get("iso_urls")
            url = source.attributes.get("iso_url") or (urls[0] if isinstance(urls, list) else None)
            if not source.attributes.get("iso_name") and isinstance(url, str):
                return url.rpartition("/")[2]
        return ""

    def names_iso(self, name: str) -> bool:
        """The template itself wants an image of this name that is on the pool."""
        return any(source.attributes.get("iso_name") == name for source in self.template.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackerArtifact:
    """A file that Packer reported as an artifact of a build."""

    build_name: str
    builder_id: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildExit:
    """How Packer ended, and what its output said."""

    return_code: int  # negative = killed by that signal
    started_utc: str
    ended_utc: str
    duration_s: float
    phases: tuple[PhaseSpan, ...] = ()
    artifacts: tuple[PackerArtifact, ...] = ()
    errors: tuple[str, ...] = ()  # the lines that say why, most telling first, bounded
    cancelled: bool = False  # Packer said that it was interrupted
    plugin_versions: Mapping[str, str] = field(default_factory=dict)
    host: HostObjects = field(default_factory=HostObjects)
    leftover_output: bool = False  # a descendant still held the pipe when the drain's bound ran out
