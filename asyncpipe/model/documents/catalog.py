"""Published versions: what ``latest.json``, channels and the index say of them.

Nothing of a document is believed unchecked: a key that would lead outside its own version's
folder, or a time that cannot be, makes it unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

import msgspec
from msgspec import Struct

from asyncpipe.model import store_keys
from asyncpipe.model.documents import fields
from asyncpipe.model.documents.fields import (
    Count,
    Key,
    MomentUtc,
    Name,
    Seconds,
    Sha256Hex,
    Short,
    Shown,
    Text,
    Timestamp,
    UnreadableError,
)
from asyncpipe.model.documents.metadata import PublishedMetadata
from asyncpipe.model.transfer import PublishedObject


class XvaEntry(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The image of a version as it is stored; ``plain_`` is of what it decompresses to."""

    key: Key
    size_bytes: Count
    sha256_hex: Sha256Hex
    compression: Short | None = None  # gzip, zstd; null: it is stored as it was exported
    plain_size_bytes: Count | None = None
    plain_sha256_hex: Sha256Hex | None = None

    @property
    def content_size_bytes(self) -> int:
        """Of the archive, decompressed."""
        return self.size_bytes if self.plain_size_bytes is None else self.plain_size_bytes

    @property
    def content_sha256_hex(self) -> str:
        """The same for every form of the same archive; empty where it is not known."""
        return self.sha256_hex if self.plain_sha256_hex is None else self.plain_sha256_hex


class OsEntry(Shown, frozen=True, kw_only=True, gc=False):
    """The system in it."""

    type: Short | None
    version: Short | None
    release: Name | None
    arch: Short | None
    pretty_name: Text | None
    end_of_life: Short | None


class BuildEntry(Shown, frozen=True, kw_only=True, gc=False):
    """How it was built."""

    unit: Name
    template: Text  # path in its repository
    commit: Short | None
    duration_s: Seconds | None  # of Packer's run: balances later matrices
    run_url: Text | None = None  # of the CI run: a re-run does not build it again


class ProvenanceEntry(Struct, frozen=True, kw_only=True, gc=False):
    """The signed statement about a version."""

    key: Key
    sha256_hex: Sha256Hex


class CatalogEntry(Struct, frozen=True, kw_only=True, gc=False):
    """One visible version; keys are relative to the destination's prefix."""

    short_id: Name  # of its place: debian12, or debian12-web for a variant
    variant: Name | None = None
    timestamp: Timestamp
    expires_utc: MomentUtc | None = None  # as published; releases/expiry.py may have moved it
    xva: XvaEntry
    os: OsEntry
    build: BuildEntry
    parent: Name | None = None  # the version it was built from: debian12@20261123T170000Z
    provenance: ProvenanceEntry | None = None  # None: it is not signed
    folder: Key  # these two follow from the above, whatever a document says
    metadata_key: Key

    def __post_init__(self) -> None:
        folder = store_keys.folder_key(self.short_id, self.timestamp)
        key = self.xva.key
        if key.rpartition("/")[0] != folder or not store_keys.is_version_key(key):
            raise ValueError("the key of its XVA is not in the version's own folder")
        if self.provenance and not self.provenance.key.startswith(f"{folder}/"):
            raise ValueError("the key of its signature is not in the version's own folder")
        if self.variant and not self.short_id.endswith(f"-{self.variant}"):
            raise ValueError("its variant is not part of its name")
        fields.require_past(self.timestamp)
        msgspec.structs.force_setattr(self, "folder", folder)
        metadata_key = f"{folder}/{store_keys.METADATA_NAME}"
        msgspec.structs.force_setattr(self, "metadata_key", metadata_key)

    @property
    def folder_key(self) -> str:
        """``templates/debian12/20261123T170000Z``."""
        return self.folder


class Pointer(Struct, frozen=True, kw_only=True):
    """``latest.json`` and ``channels/NAME.json``.

    The pointer to one published version; it is written last, so that whoever follows it finds
    every object. Keys are relative to the destination's prefix.
    """

    schema_version: fields.Version
    version: CatalogEntry


class Filler(Shown, frozen=True, kw_only=True):
    """The template whose versions a place holds."""

    repository: Text | None  # github.com/example/images; None where it was built without one
    path: Text  # in its repository
    build: Name | None = None  # Packer's name, where the template has several sources

    def is_same(self, other: Filler) -> bool:
        """Whether they are one template; what one of them does not know decides nothing."""
        return (
            self.path == other.path
            and (self.repository == other.repository or None in {self.repository, other.repository})
            and (self.build == other.build or None in {self.build, other.build})
        )

    def __str__(self) -> str:
        build = f" ({self.build})" if self.build else ""
        return f"{self.path}{build} of {self.repository or 'no known repository'}"


class Place(Struct, frozen=True, kw_only=True):
    """``place.json``: which template fills a place; another one is refused."""

    schema_version: fields.Version
    template: Filler
    since: Timestamp  # of the first run that found the place free or took it over


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerResult:
    """What became of ``latest.json`` and the index."""

    moved: bool  # the pointer names this version now
    latest_timestamp: str  # what it names
    previous_metadata: Mapping[str, object] | None = None  # of the version it named before
    warnings: tuple[str, ...] = ()


def entry_of(metadata: PublishedMetadata, statement: PublishedObject | None = None) -> CatalogEntry:
    """Return what the catalogue says of a published version, from its metadata.

    ``statement`` is the signed one; metadata.json has its key, but cannot have its digest.

    Raises:
        UnreadableError: its keys or its time are not those of a version.
    """
    xva, os, build = metadata.files.xva, metadata.os, metadata.build
    signed, signed_hex = metadata.provenance, statement.digests.sha256_hex if statement else ""
    key = store_keys.parse_version_key(xva.key)
    if key is None or key.root != "templates":
        raise UnreadableError("It is not the metadata of a published version.")
    try:
        return CatalogEntry(
            short_id=key.owner,
            variant=metadata.variant,
            timestamp=key.timestamp,
            expires_utc=metadata.expires_utc,
            folder="",
            metadata_key="",
            xva=_xva_entry(metadata),
            os=OsEntry(
                type=os.type,
                version=os.version,
                release=os.release,
                arch=os.arch,
                pretty_name=os.pretty_name,
                end_of_life=os.end_of_life,
            ),
            build=BuildEntry(
                unit=metadata.unit,
                template=build.template.path,
                commit=build.source.commit,
                duration_s=build.duration_s,
                run_url=build.ci.run_url if build.ci else None,
            ),
            parent=metadata.parent.version if metadata.parent else None,
            provenance=ProvenanceEntry(key=signed.key, sha256_hex=signed_hex) if signed else None,
        )
    except ValueError as error:
        raise UnreadableError(f"It is not the metadata of a version: {error}.") from error


def _xva_entry(metadata: PublishedMetadata) -> XvaEntry:
    xva, compression = metadata.files.xva, metadata.compression
    return XvaEntry(
        key=xva.key,
        size_bytes=xva.size_bytes,
        sha256_hex=xva.sha256_hex,
        compression=compression.format if compression else None,
        plain_size_bytes=compression.plain_size_bytes if compression else None,
        plain_sha256_hex=compression.plain_sha256_hex if compression else None,
    )


def decode_pointer(body: bytes, short_id: str) -> CatalogEntry:
    """Read ``latest.json`` or a channel of ``short_id``; UnreadableError, NewerSchemaError."""
    entry = fields.decode(body, Pointer).version
    if entry.short_id != short_id:
        raise UnreadableError("It names a version of another template.")
    return entry


def decode_place(body: bytes) -> Place:
    """Read ``place.json``; UnreadableError, NewerSchemaError."""
    return fields.decode(body, Place)


def encode_place(template: Filler, since: str) -> bytes:
    """Write ``place.json``."""
    return fields.encode(
        Place(schema_version=fields.SCHEMA_VERSION, template=template, since=since)
    )


def repository_of(remote: str | None) -> str | None:
    """One name for the spellings of a remote: ``github.com/example/images``.

    https://github.com/example/images.git, git@github.com:example/images and
    ssh://git@github.com:22/example/images/ are one repository. Only the host's letter case is
    changed: whether the rest has one is the server's business.
    """
    if not remote:
        return None
    plain = re.sub(r"^(?:[a-z+]+://)?(?:[^@/]*@)?", "", remote.strip(), flags=re.IGNORECASE)
    plain = re.sub(r"^([^/:]+):(?:\d+(?=/))?/*", r"\1/", plain)
    host, slash, path = plain.removesuffix("/").removesuffix(".git").partition("/")
    return f"{host.lower()}{slash}{path}" or None


def filler_of(metadata: PublishedMetadata) -> Filler | None:
    """The template of a version from before places remembered theirs; None where it had none."""
    build = metadata.build
    if build.template.kind == "file":
        return None
    return Filler(repository=repository_of(build.source.remote), path=build.template.path)


def encode_pointer(entry: CatalogEntry) -> bytes:
    """Write ``latest.json`` or a channel."""
    return fields.encode(Pointer(schema_version=fields.SCHEMA_VERSION, version=entry))


def in_order(entries: Iterable[CatalogEntry]) -> tuple[CatalogEntry, ...]:
    """Sort by template, newest first; of equals the last one given stays."""
    unique = {entry.folder: entry for entry in entries}
    newest = sorted(unique.values(), key=attrgetter("timestamp"), reverse=True)
    return tuple(sorted(newest, key=attrgetter("short_id")))
