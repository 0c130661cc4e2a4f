"""Objects, parts and open uploads as a store reports them, and what a store honours."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from asyncpipe.errors import UploadError

T = TypeVar("T")


class ChecksumMode(StrEnum):
    """The strongest checksum of a multipart object that a store really verifies."""

    CRC64NVME_FULL = "crc64nvme-full-object"
    SHA256_COMPOSITE = "sha256-composite"
    CRC64NVME_PARTS = "crc64nvme-parts"  # of each part, not of the whole
    CONTENT_MD5 = "content-md5"  # each part by Content-MD5, the object by its md5-N ETag
    ETAG_MD5 = "etag-md5"  # nothing is refused, but a part's ETag is the MD5 of what arrived
    NONE = "none"

    @property
    def refuses(self) -> bool:
        """True when the store itself refuses a part whose digest is wrong."""
        return self not in {ChecksumMode.ETAG_MD5, ChecksumMode.NONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCapabilities:
    """What one endpoint honours; the safe default claims little (docs/stores.md has the runs)."""

    profile: str
    checksum: ChecksumMode
    conditional_put: bool  # If-None-Match: * on PutObject is honoured
    conditional_complete: bool  # and on CompleteMultipartUpload
    compare_and_swap: bool  # If-Match on PutObject is honoured
    object_size_checked: bool  # x-amz-mp-object-size is compared
    comparable_etag: bool  # a part's ETag is the MD5 of its bytes
    gains_by_parallel_parts: bool = True  # a disk does not, a network does
    max_parts: int = 10_000
    min_part_bytes: int = 5 * 1024 * 1024
    max_part_bytes: int = 5 * 1024**3
    max_object_bytes: int = 10_000 * 5 * 1024**3  # S3 user guide, qfacts: 48.8 TiB


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One stored object; ``key`` is relative to the store's prefix."""

    key: str
    size_bytes: int
    etag: str = ""
    modified_utc: str = ""
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc64nvme_base64: str | None = None  # full-object value, if the store returned one


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBytes:
    """A small object read whole."""

    info: ObjectInfo
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadHandle:
    """One multipart upload: what abort, resume and reap need."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUpload:
    """An upload that was begun and neither completed nor aborted."""

    handle: UploadHandle
    initiated_utc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """One part that the store has; checksums are None where the store returned none."""

    number: int
    size_bytes: int
    etag: str
    crc64nvme_base64: str | None = None
    sha256_base64: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDigests:
    """Digests of one part, computed before it is sent; None where the store does not use it."""

    crc64nvme: int
    sha256_base64: str | None = None
    md5_base64: str | None = None


class StoreProfile(StrEnum):
    """Which kind of S3 server an endpoint is; ``auto`` asks the endpoint (docs/stores.md)."""

    AUTO = "auto"
    AWS = "aws"
    B2 = "b2"
    CEPH = "ceph"
    GARAGE = "garage"
    GCS = "gcs"
    GENERIC = "generic"
    MINIO = "minio"
    R2 = "r2"
    RCLONE = "rclone"
    SEAWEEDFS = "seaweedfs"
    VERSITYGW = "versitygw"
    WASABI = "wasabi"


class Addressing(StrEnum):
    """Where an S3 URL has the bucket: in the path, or in the host name."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class ServerSideEncryption(StrEnum):
    """What the store is asked to encrypt with; values are those of the S3 header."""

    S3 = "AES256"
    KMS = "aws:kms"


class LockMode(StrEnum):
    """Object Lock retention modes; values are those of the S3 header."""

    GOVERNANCE = "GOVERNANCE"
    COMPLIANCE = "COMPLIANCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """How to open a store; the defaults suit AWS, a server named by environment, and folders."""

    profile: StoreProfile = StoreProfile.AUTO
    max_connections: int = 16
    endpoint_url: str | None = None
    region: str | None = None
    addressing: Addressing = Addressing.AUTO
    sse: ServerSideEncryption | None = None
    kms_key_id: str | None = None
    storage_class: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    lock_mode: LockMode | None = None
    lock_until_utc: str | None = None  # ISO 8601, with a zone
    ca_bundle: Path | None = None
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    max_parts: int | None = None  # for stores that accept fewer than they claim

    def limited(self, capabilities: StoreCapabilities) -> StoreCapabilities:
        """Apply the limits that were set by hand to what an endpoint honours."""
        if self.max_parts is None or self.max_parts >= capabilities.max_parts:
            return capabilities
        return replace(capabilities, max_parts=self.max_parts)


def held_parts(
    parts: Sequence[StoredPart], held: Callable[[int], T | None], etag_of: Callable[[T], str]
) -> list[T]:
    """Return what a store holds for each of ``parts``, as S3 judges it before it completes.

    Args:
        parts: in the order in which they are to be joined.
        held: what the store has under a part's number, None if nothing.
        etag_of: the ETag of what it has.

    Raises:
        UploadError: no parts, out of order, or one that the store does not have with this ETag.
    """
    numbers = [part.number for part in parts]
    if not numbers or numbers != sorted(set(numbers)):
        raise UploadError("The parts of an upload are completed in order, each once.")
    found = []
    for part in parts:
        one = held(part.number)
        if one is None or etag_of(one) != part.etag:
            raise UploadError(f"The store has no part {part.number} with this ETag.")
        found.append(one)
    return found


def require_part_number(number: int, capabilities: StoreCapabilities) -> None:
    """Raise UploadError for a number that the store does not take."""
    if not 1 <= number <= capabilities.max_parts:
        raise UploadError(f"Part {number} is not one of 1 to {capabilities.max_parts:,}.")


def crc64nvme_base64(value: int) -> str:
    """Write a CRC64NVME as S3 does: base64 of 8 big-endian bytes."""
    return base64.b64encode(value.to_bytes(8, "big")).decode("ascii")


def crc64nvme_value(text: str) -> int:
    """Read a CRC64NVME as S3 writes it; ValueError if it is not one."""
    raw = base64.b64decode(text, validate=True)
    if len(raw) != 8:
        raise ValueError("a CRC64NVME has 8 bytes")
    return int.from_bytes(raw, "big")
