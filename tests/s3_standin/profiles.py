"""Which rules of S3 the stand-in keeps; the sets follow what real servers were seen to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is compared, refused or ignored."""

    name: str = "strict"
    crc64nvme: bool = True  # CRC64NVME headers are compared and told
    sha256: bool = True  # SHA-256 headers are compared and told
    content_md5: bool = True
    conditional_put: bool = True
    conditional_complete: bool = True
    if_match: bool = True
    bare_if_match: bool = False  # If-Match must be the ETag without quotes
    object_size_checked: bool = True
    random_etags: bool = False
    idempotent_complete: bool = True
    missing_upload_code: str = "NoSuchUpload"
    max_parts: int = 10_000
    min_part_bytes: int = 5 * 1024 * 1024
    page_limit: int = 1000
    advances: bool = True  # listings go on behind the marker
    says_continue: bool = True  # 100 Continue is sent where it is expected
    refuses_expect: int = 0  # the status that answers Expect
    refused_headers: Mapping[str, int] = field(default_factory=dict)  # name's beginning -> status
    refused_operations: Mapping[str, int] = field(default_factory=dict)  # operation -> status
    drops_refused: bool = False  # a part with a wrong digest ends its upload
    verifies_parts: bool = True  # UploadPart compares digests, as PutObject does
    lists_uploads_by_whole_key: bool = False
    region: str = ""  # the only one that signatures may name
    proxy_limit_bytes: int = 0  # bodies beyond it never reach the store


_STRICT = Profile()
PROFILES = {
    profile.name: profile
    for profile in (
        _STRICT,
        replace(
            _STRICT,
            name="minio",
            object_size_checked=False,
            idempotent_complete=False,
            lists_uploads_by_whole_key=True,
        ),
        replace(
            _STRICT,
            name="ceph",
            crc64nvme=False,
            sha256=False,
            conditional_complete=False,
            bare_if_match=True,
            object_size_checked=False,
            missing_upload_code="NoSuchKey",
        ),
        replace(
            _STRICT,
            name="composite",
            crc64nvme=False,
            if_match=False,
            object_size_checked=False,
            idempotent_complete=False,
        ),
        replace(_STRICT, name="random-etags", random_etags=True),
        replace(_STRICT, name="1000-parts", max_parts=1000),
        replace(
            _STRICT,
            name="little",
            crc64nvme=False,
            sha256=False,
            content_md5=False,
            conditional_put=False,
            conditional_complete=False,
            if_match=False,
            object_size_checked=False,
            random_etags=True,
            idempotent_complete=False,
        ),
        replace(_STRICT, name="short-pages", page_limit=2),
        replace(
            _STRICT,
            name="b2",
            crc64nvme=False,
            sha256=False,
            object_size_checked=False,
            idempotent_complete=False,
            refused_headers={
                "x-amz-checksum": 400,
                "x-amz-sdk-checksum": 400,
                "x-amz-mp-object-size": 501,
                "if-": 501,
            },
        ),
        replace(
            _STRICT,
            name="unverified-parts",  # PutObject compares digests, UploadPart does not
            crc64nvme=False,
            conditional_complete=False,
            object_size_checked=False,
            verifies_parts=False,
            bare_if_match=True,
        ),
        replace(
            _STRICT,
            name="rclone",
            crc64nvme=False,
            sha256=False,
            object_size_checked=False,
            drops_refused=True,
        ),
        replace(
            _STRICT,
            name="fragile",  # an unknown header is an internal error
            crc64nvme=False,
            sha256=False,
            refused_headers={"x-amz-checksum": 500, "x-amz-sdk": 500, "if-": 500},
        ),
        replace(
            _STRICT,
            name="s3rver",
            crc64nvme=False,
            sha256=False,
            content_md5=False,
            conditional_put=False,
            conditional_complete=False,
            if_match=False,
            object_size_checked=False,
            idempotent_complete=False,
            refused_operations={"ListParts": 405, "ListMultipartUploads": 501},
        ),
    )
}
