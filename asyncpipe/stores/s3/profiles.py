"""What kinds of S3 servers honour: claims of the named profiles; sources in docs/stores.md."""

from __future__ import annotations

from dataclasses import dataclass, replace

from asyncpipe.model.store import ChecksumMode, StoreCapabilities, StoreProfile

_LITTLE = StoreCapabilities(
    profile="generic",
    checksum=ChecksumMode.NONE,
    conditional_put=False,
    conditional_complete=False,
    compare_and_swap=False,
    object_size_checked=False,
    comparable_etag=False,
    idempotent_complete=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Record:
    """Capabilities, and the wire forms that go with them."""

    capabilities: StoreCapabilities
    quoted_if_match: bool = True  # Ceph 16 compares If-Match with the bare ETag
    head_checksum: bool = True  # x-amz-checksum-mode may be sent; B2 answers it with 400


_AWS = replace(
    _LITTLE,
    profile="aws",
    checksum=ChecksumMode.CRC64NVME_FULL,
    conditional_put=True,
    conditional_complete=True,
    compare_and_swap=True,
    object_size_checked=True,
    comparable_etag=True,
    idempotent_complete=True,
)

RECORDS: dict[StoreProfile, S3Record] = {
    StoreProfile.AUTO: S3Record(capabilities=replace(_LITTLE, profile="auto")),
    StoreProfile.GENERIC: S3Record(capabilities=_LITTLE),
    StoreProfile.AWS: S3Record(capabilities=_AWS),
    StoreProfile.MINIO: S3Record(
        capabilities=replace(
            _AWS, profile="minio", object_size_checked=False, idempotent_complete=False
        )
    ),
    StoreProfile.CEPH: S3Record(
        capabilities=replace(
            _LITTLE,
            profile="ceph",
            checksum=ChecksumMode.CONTENT_MD5,
            conditional_put=True,
            compare_and_swap=True,
            comparable_etag=True,
            idempotent_complete=True,
        ),
        quoted_if_match=False,
    ),
    StoreProfile.GARAGE: S3Record(
        capabilities=replace(
            _LITTLE, profile="garage", checksum=ChecksumMode.SHA256_COMPOSITE, comparable_etag=True
        )
    ),
}
