"""What the stand-in compares in a body, and the ETag it answers with, as its profile says."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode

from tests.s3_standin.messages import Request, S3Error
from tests.s3_standin.profiles import Profile


def etag_of(profile: Profile, md5_hex: str, *, suffix: str = "") -> str:
    """The ETag of bytes with this MD5."""
    return (secrets.token_hex(16) if profile.random_etags else md5_hex) + suffix


def checked_body(profile: Profile, request: Request) -> dict[str, str]:
    """Compare every digest the profile compares; returns the checksums it tells."""
    told: dict[str, str] = {}
    if request.part_number is not None and not profile.verifies_parts:
        return told
    for name, honoured in (
        ("crc64nvme", profile.crc64nvme),
        ("sha256", profile.sha256),
    ):
        sent = request.headers.get(f"x-amz-checksum-{name}")
        if honoured and sent not in {None, request.digests[name]}:
            raise S3Error(400, "BadDigest", f"{name} differs")
        if honoured and (sent or name == "crc64nvme"):
            told[name] = request.digests[name]
    md5 = request.headers.get("content-md5")
    md5_base64 = b64encode(bytes.fromhex(request.digests["md5"])).decode()
    if profile.content_md5 and md5 not in {None, md5_base64}:
        raise S3Error(400, "BadDigest", "Content-MD5 differs")
    payload = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    payload_hex = b64decode(request.digests["sha256"]).hex()
    if payload not in {"UNSIGNED-PAYLOAD", payload_hex}:
        raise S3Error(400, "XAmzContentSHA256Mismatch")
    return told
