"""``metadata.json``, version 1: the structs are its schema (``schemas/metadata-1.schema.json``).

Readers ignore what they do not know; a change that would break a reader makes version 2.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from asyncpipe.model.documents.boot_test import BootTest
from asyncpipe.model.documents.compression import Compression
from asyncpipe.model.documents.fields import (
    Count,
    Key,
    MomentUtc,
    Name,
    Seconds,
    Sha256Hex,
    Short,
    Text,
    Timestamp,
    Version,
)

MAX_MATERIALS: Final = 2000


class EvidenceEntry(Struct, frozen=True, kw_only=True):
    """One thing that says which system it is."""

    kind: Name
    weight: Annotated[int, Meta(ge=-(2**31), le=2**31)]
    text: Annotated[str, Meta(max_length=300)]
    origin: Text
    type: Text | None
    version: Text | None
    release: Text | None


class ConflictEntry(Struct, frozen=True, kw_only=True):
    """Two pieces of evidence that disagree."""

    field: Short
    chosen: Text
    other: Text
    chosen_origin: Text
    other_origin: Text
    series: bool


class Os(Struct, frozen=True, kw_only=True):
    """The operating system, and why it is thought to be that."""

    type: Short | None
    version: (
        Annotated[
            str,
            Meta(max_length=100, description="The series that names the template: 12, 24.04, 9."),
        ]
        | None
    )
    short_id: Name | None
    release: (
        Annotated[str, Meta(max_length=200, description="The most exact version stated: 12.11.0.")]
        | None
    )
    codename: Name | None
    arch: Short | None
    pretty_name: Text | None
    confidence: Annotated[float, Meta(ge=0, le=1)]
    end_of_life: Short | None
    evidence: Annotated[list[EvidenceEntry], Meta(max_length=100)]
    conflicts: Annotated[list[ConflictEntry], Meta(max_length=100)]


class StoredFile(Struct, frozen=True, kw_only=True):
    """One object beside this metadata.

    Its key is relative to the destination's prefix; the digests are of the bytes that were sent
    (CRC64NVME: base64 of 8 big-endian bytes, as S3 has it).
    """

    key: Key
    size_bytes: Count
    sha256_hex: Sha256Hex
    crc64nvme_base64: Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{11}=$", max_length=12)]


class Files(Struct, frozen=True, kw_only=True):
    """The objects of a published version."""

    xva: StoredFile
    log: StoredFile


class TemplateFacts(Struct, frozen=True, kw_only=True):
    """The template that was built."""

    path: Text
    kind: Literal["hcl2", "json", "file"]
    sha256_hex: Annotated[
        str,
        Meta(
            max_length=100,
            description=(
                "Over the names and bytes of every file that was read, var files included."
            ),
        ),
    ]


class SourceFacts(Struct, frozen=True, kw_only=True):
    """The repository it came from."""

    commit: Short | None
    dirty: bool | None
    remote: Text | None


class PackerFacts(Struct, frozen=True, kw_only=True):
    """Packer and its plugins."""

    version: Short
    plugins: dict[str, Name]


class ToolFacts(Struct, frozen=True, kw_only=True):
    """What wrote this."""

    name: Literal["asyncpipe"]
    version: Short


class CiEntry(Struct, frozen=True, kw_only=True):
    """The CI run that built it."""

    provider: Text
    run_url: Text
    workflow: Text
    workflow_ref: Text
    job: Text
    event: Text
    ref: Text
    actor: Text
    runner: Text


class PhaseEntry(Struct, frozen=True, kw_only=True):
    """One phase of the build."""

    phase: Short
    started_utc: MomentUtc | None
    duration_s: Seconds


class Material(Struct, frozen=True, kw_only=True):
    """A file that the template names, as it was when Packer started."""

    path: Text
    sha256_hex: Sha256Hex | None  # None: too large to be read


class Parent(Struct, frozen=True, kw_only=True):
    """The published version that this one was built from."""

    version: Name  # debian12@20261123T170000Z
    sha256_hex: Sha256Hex | None = None  # of its XVA, where the destination has it


class Provenance(Struct, frozen=True, kw_only=True):
    """Where the signed statement about the version is."""

    key: Key
    signer: Name  # ed25519:<SHA-256 of the public key>, or sigstore


class Build(Struct, frozen=True, kw_only=True):
    """How it was built."""

    template: TemplateFacts
    source: SourceFacts
    packer: PackerFacts
    tool: ToolFacts
    ci: CiEntry | None
    variables: Annotated[
        dict[str, Any],
        Meta(
            description=(
                "Values of the template's variables; sensitive and secret-looking ones are left"
                " out. null: not known before the build."
            )
        ),
    ]
    return_code: Annotated[int, Meta(ge=-(2**31), le=2**31)] | None
    started_utc: MomentUtc | None
    ended_utc: MomentUtc | None
    duration_s: Seconds | None
    phases: Annotated[list[PhaseEntry], Meta(max_length=20_000)]
    errors: Annotated[list[Text], Meta(max_length=50)]
    materials: Annotated[list[Material], Meta(max_length=MAX_MATERIALS)] = []
    materials_cut: Count = 0  # files beyond those


class Guest(Struct, frozen=True, kw_only=True):
    """What the guest said of itself during the build.

    reported: by the marked block of the provisioning; complete: with every line of it.
    """

    reported: bool
    complete: bool
    kernel: Text | None
    arch: Text | None
    hardening_profile: Text | None
    agent: Text | None
    packages_cut: Count


class PackageEntry(Struct, frozen=True, kw_only=True):
    """One installed package."""

    name: Text
    version: Text
    arch: Text


class Iso(Struct, frozen=True, kw_only=True):
    """The installation medium."""

    url: Text | None
    name: Text | None
    checksum: Text | None
    sha256_hex: Text | None = None  # of the file that Packer retrieved
    size_bytes: Count | None = None
    confirmed: bool | None = None  # the host installed from that file; null: not known


class Remaining(Struct, frozen=True, kw_only=True):
    """Something of the build that stays at the host."""

    kind: Text
    uuid: Text
    name: Text
    reason: Text


class Host(Struct, frozen=True, kw_only=True):
    """What the build made at its host, and what became of it; neither address nor user."""

    vm_uuid: Text | None
    clean_up: Text
    asked: bool  # the host itself, not Packer's output alone
    why: Text
    remaining: list[Remaining]


class LogEntry(Struct, frozen=True, kw_only=True):
    """The build log, as far as it was written."""

    lines: Count
    redactions: Count
    complete: bool
    problem: Text
    size_bytes: Count
    sha256_hex: Sha256Hex


class Failure(Struct, frozen=True, kw_only=True):
    """Why nothing was published."""

    error: Text
    exit_code: Annotated[int, Meta(ge=-(2**31), le=2**31)]


class _Metadata(Struct, frozen=True, kw_only=True, tag_field="status"):
    schema_version: Version
    unit: Annotated[
        str, Meta(max_length=200, description="Stable name of the template within a run.")
    ]
    run_id: Name
    timestamp: Timestamp  # UTC time of the run: the name of the folder
    variant: (
        Annotated[
            str,
            Meta(max_length=100, description="Part of the place's name: web in debian12-web."),
        ]
        | None
    ) = None
    expires_utc: Annotated[
        MomentUtc | None,
        Meta(description="Not to be used after this; a mark beside it may move it."),
    ] = None
    os: Os
    build: Build
    guest: Guest
    packages: Annotated[list[PackageEntry], Meta(max_length=20_000)]
    iso: Iso | None
    host: Host | None = None
    parent: Parent | None = None
    xva: Annotated[
        dict[str, Any] | None, Meta(description="The verdict of the XVA's structural check.")
    ]
    boot_test: BootTest | None = None
    verified: Annotated[
        list[Name],
        Meta(
            max_length=100,
            description=(
                "Checks that were really made of what the store holds; nothing is listed by hope."
            ),
        ),
    ]


class PublishedMetadata(_Metadata, frozen=True, kw_only=True, tag="published"):
    """A version; its XVA and build.log are beside this."""

    files: Files
    log: LogEntry
    failure: None
    provenance: Provenance | None = None
    compression: Annotated[
        Compression | None, Meta(description="null: the XVA is stored as it was exported.")
    ] = None


class FailedMetadata(_Metadata, frozen=True, kw_only=True, tag="failed"):
    """A build that published nothing; its log is beside this."""

    files: dict[str, StoredFile]
    log: LogEntry | None
    failure: Failure


Metadata = PublishedMetadata | FailedMetadata
