"""Objects, parts and open uploads as a store reports them, and what a store honours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ChecksumMode(StrEnum):
    """The strongest checksum of a multipart object that a store really verifies."""

    CRC64NVME_FULL = "crc64nvme-full-object"
    SHA256_COMPOSITE = "sha256-composite"
    CONTENT_MD5 = "content-md5"  # each part by Content-MD5, the object by its md5-N ETag
    NONE = "none"


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
    idempotent_complete: bool
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
    crc64nvme_base64: str | None = None  # full-object value, when the store told one


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
    """One part that the store has; checksums are None where the store told none."""

    number: int
    size_bytes: int
    etag: str
    crc64nvme_base64: str | None = None
    sha256_base64: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDigests:
    """Digests of one part, computed before it is sent; None where the store has no use for one."""

    crc64nvme: int
    sha256_base64: str | None = None
    md5_base64: str | None = None
