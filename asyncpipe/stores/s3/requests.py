"""Our values -> parameters of S3 calls."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urlencode

from asyncpipe.model.store import (
    ChecksumMode,
    PartDigests,
    StoreCapabilities,
    StoredPart,
    StoreOptions,
    crc64nvme_base64,
)
from asyncpipe.system.crc import crc64nvme

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_PART_CHECKSUM = {
    ChecksumMode.CRC64NVME_FULL: "ChecksumCRC64NVME",
    ChecksumMode.CRC64NVME_PARTS: "ChecksumCRC64NVME",
    ChecksumMode.SHA256_COMPOSITE: "ChecksumSHA256",
}


def object_parameters(options: StoreOptions, *, small: bool) -> dict[str, Any]:
    """Encryption, tags, lock and storage class of a new object.

    Small objects (metadata, log, pointers) keep the standard class, and pointers must stay
    replaceable: class and lock are for the image.
    """
    wanted: dict[str, Any] = {
        "ServerSideEncryption": options.sse.value if options.sse else None,
        "SSEKMSKeyId": options.kms_key_id,
        "Tagging": urlencode(options.tags) or None,
    }
    if not small:
        until = options.lock_until_utc
        wanted |= {
            "StorageClass": options.storage_class,
            "ObjectLockMode": options.lock_mode.value if options.lock_mode else None,
            "ObjectLockRetainUntilDate": datetime.fromisoformat(until) if until else None,
        }
    return {name: value for name, value in wanted.items() if value is not None}


def upload_parameters(options: StoreOptions, mode: ChecksumMode) -> dict[str, Any]:
    """Parameters of CreateMultipartUpload beside key, type and metadata."""
    checksum = {
        ChecksumMode.CRC64NVME_FULL: {
            "ChecksumAlgorithm": "CRC64NVME",
            "ChecksumType": "FULL_OBJECT",
        },
        ChecksumMode.CRC64NVME_PARTS: {
            "ChecksumAlgorithm": "CRC64NVME",
            "ChecksumType": "FULL_OBJECT",
        },
        ChecksumMode.SHA256_COMPOSITE: {
            "ChecksumAlgorithm": "SHA256",
            "ChecksumType": "COMPOSITE",
        },
    }
    return {**object_parameters(options, small=False), **checksum.get(mode, {})}


def small_checksum(mode: ChecksumMode, body: bytes) -> dict[str, str]:
    """The digest of a PutObject; none where ``mode`` is NONE."""
    match mode:
        case ChecksumMode.CRC64NVME_FULL:
            return {"ChecksumCRC64NVME": crc64nvme_base64(crc64nvme(body))}
        case ChecksumMode.SHA256_COMPOSITE:
            return {"ChecksumSHA256": b64encode(hashlib.sha256(body).digest()).decode()}
        case ChecksumMode.CONTENT_MD5:
            md5 = hashlib.md5(body, usedforsecurity=False).digest()
            return {"ContentMD5": b64encode(md5).decode()}
        case _:
            return {}


def part_checksum(mode: ChecksumMode, digests: PartDigests) -> dict[str, str]:
    """The precomputed digest of an UploadPart, as the store verifies it."""
    if mode in {ChecksumMode.CRC64NVME_FULL, ChecksumMode.CRC64NVME_PARTS}:
        return {"ChecksumCRC64NVME": crc64nvme_base64(digests.crc64nvme)}
    if mode is ChecksumMode.SHA256_COMPOSITE and digests.sha256_base64:
        return {"ChecksumSHA256": digests.sha256_base64}
    if mode is ChecksumMode.CONTENT_MD5 and digests.md5_base64:
        return {"ContentMD5": digests.md5_base64}
    return {}


def complete_parameters(
    capabilities: StoreCapabilities,
    parts: Sequence[StoredPart],
    *,
    size_bytes: int,
    crc64nvme_base64: str,
    create_only: bool,
) -> dict[str, Any]:
    """Parameters of CompleteMultipartUpload: digest, and the conditions the store honours."""
    wanted: dict[str, Any] = {**whole_checksum(capabilities.checksum, parts, crc64nvme_base64)}
    if capabilities.object_size_checked:
        wanted["MpuObjectSize"] = size_bytes
    if create_only and capabilities.conditional_complete:
        wanted["IfNoneMatch"] = "*"
    return wanted


def complete_body(parts: Sequence[StoredPart], mode: ChecksumMode) -> bytes:
    """The list of parts in CompleteMultipartUpload, as botocore writes it.

    botocore takes 20 ms for 1,000 parts, while nothing else is left to do; this takes 4 ms.
    """
    written = [
        "".join(
            f"<{name}>{escape(str(value), quote=False)}</{name}>" for name, value in entry.items()
        )
        for entry in (completed_part(part, mode) for part in parts)
    ]
    listed = "".join(f"<Part>{entry}</Part>" for entry in written)
    return (
        f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{listed}</CompleteMultipartUpload>'.encode()
    )


def completed_part(part: StoredPart, mode: ChecksumMode) -> Mapping[str, Any]:
    """A part as Complete names it."""
    values = {
        "ChecksumCRC64NVME": part.crc64nvme_base64,
        "ChecksumSHA256": part.sha256_base64,
    }
    name = _PART_CHECKSUM.get(mode, "")
    checksum = {name: values[name]} if values.get(name) else {}
    return {"PartNumber": part.number, "ETag": f'"{part.etag}"', **checksum}


def whole_checksum(
    mode: ChecksumMode, parts: Sequence[StoredPart], crc64nvme_base64: str
) -> dict[str, str]:
    """The digest of the whole object that Complete carries; empty where the store compares none."""
    if mode is ChecksumMode.CRC64NVME_FULL:
        return {"ChecksumCRC64NVME": crc64nvme_base64, "ChecksumType": "FULL_OBJECT"}
    digests = [part.sha256_base64 for part in parts]
    if mode is not ChecksumMode.SHA256_COMPOSITE or not all(digests):
        return {}
    joined = b"".join(b64decode(digest) for digest in digests if digest)
    composite = b64encode(hashlib.sha256(joined).digest()).decode()
    return {"ChecksumSHA256": f"{composite}-{len(parts)}", "ChecksumType": "COMPOSITE"}
