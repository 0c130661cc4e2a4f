"""A planned build, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.template import Template

GRACE_S = 120.0  # what Packer gets to clean up after SIGTERM


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
    VERIFY = "verify"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpan:
    """One phase of the timeline; UTC in ISO 8601 with milliseconds, seconds on the same clock."""

    phase: Phase
    started_utc: str
    duration_s: float


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
    explicit_os: str | None = None
    explicit_os_version: str | None = None
    strict_identity: bool = False
    grace_s: float = GRACE_S  # from SIGTERM to SIGKILL
    build_timeout_s: float | None = None


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
    instance_uuids: tuple[str, ...] = ()  # VMs the plugin created: for a person to look at
    plugin_versions: Mapping[str, str] = field(default_factory=dict)
    leftover_output: bool = False  # a descendant still held the pipe when the drain's bound ran out
