"""What kinds of S3 servers honour: claims of the named profiles; sources in docs/stores.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from asyncpipe.model.store import ChecksumMode, StoreCapabilities, StoreProfile

_LITTLE = StoreCapabilities(
    profile="generic",
    checksum=ChecksumMode.NONE,
    conditional_put=False,
    conditional_complete=False,
    compare_and_swap=False,
    object_size_checked=False,
    comparable_etag=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Record:
    """Capabilities, and the wire forms that go with them."""

    capabilities: StoreCapabilities
    small: ChecksumMode = ChecksumMode.CONTENT_MD5  # the digest that goes with a PutObject
    quoted_if_match: bool = True  # Ceph 16 compares If-Match with the bare ETag
    head_checksum: bool = False  # x-amz-checksum-mode may be sent; B2 answers it with 400


_AWS = S3Record(
    capabilities=replace(
        _LITTLE,
        profile="aws",
        checksum=ChecksumMode.CRC64NVME_FULL,
        conditional_put=True,
        conditional_complete=True,
        compare_and_swap=True,
        object_size_checked=True,
        comparable_etag=True,
    ),
    small=ChecksumMode.CRC64NVME_FULL,
    head_checksum=True,
)


def _like(record: S3Record, profile: StoreProfile, /, **honoured: Any) -> S3Record:
    found = replace(record.capabilities, profile=str(profile), **honoured)
    return replace(record, capabilities=found)


_GENERIC = S3Record(capabilities=_LITTLE)
_MD5 = _like(
    _GENERIC, StoreProfile.GENERIC, checksum=ChecksumMode.CONTENT_MD5, comparable_etag=True
)

RECORDS: dict[StoreProfile, S3Record] = {
    StoreProfile.AUTO: _like(_GENERIC, StoreProfile.AUTO),
    StoreProfile.GENERIC: _GENERIC,
    StoreProfile.AWS: _AWS,
    StoreProfile.B2: _like(_MD5, StoreProfile.B2),
    StoreProfile.CEPH: replace(
        _like(_MD5, StoreProfile.CEPH, conditional_put=True, compare_and_swap=True),
        quoted_if_match=False,
    ),
    StoreProfile.GARAGE: _like(
        _GENERIC,
        StoreProfile.GARAGE,
        checksum=ChecksumMode.SHA256_COMPOSITE,
        comparable_etag=True,
    ),
    StoreProfile.GCS: _like(_MD5, StoreProfile.GCS),
    StoreProfile.MINIO: _like(_AWS, StoreProfile.MINIO, object_size_checked=False),
    # parts of equal size, and the ETag of a multipart object is not md5-N
    StoreProfile.R2: _like(_MD5, StoreProfile.R2, conditional_put=True, compare_and_swap=True),
    StoreProfile.RCLONE: _like(_MD5, StoreProfile.RCLONE, conditional_put=True),
    StoreProfile.SEAWEEDFS: _like(
        _AWS, StoreProfile.SEAWEEDFS, object_size_checked=False, comparable_etag=False
    ),
    StoreProfile.VERSITYGW: _like(_AWS, StoreProfile.VERSITYGW),
    StoreProfile.WASABI: _like(_MD5, StoreProfile.WASABI),
}
