"""Answers of S3 -> our values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from asyncpipe.model.store import ObjectInfo, OpenUpload, StoredPart, UploadHandle
from asyncpipe.text.format import utc_text


def unquoted(answer: Mapping[str, Any]) -> str:
    """The ETag without its quotes."""
    return str(answer.get("ETag", "")).strip('"')


def object_info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    """Read the answer of Head, Get or Complete, or an entry of a listing."""
    full = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    return ObjectInfo(
        key=key,
        size_bytes=int(answer.get("ContentLength", answer.get("Size", 0))),
        etag=unquoted(answer),
        modified_utc=_iso(answer.get("LastModified")),
        content_type=str(answer.get("ContentType", "")),
        metadata=dict(answer.get("Metadata", {})),
        crc64nvme_base64=answer.get("ChecksumCRC64NVME") if full else None,
    )


def stored_part(answer: Mapping[str, Any]) -> StoredPart:
    """Read an entry of ListParts."""
    return StoredPart(
        number=int(answer["PartNumber"]),
        size_bytes=int(answer["Size"]),
        etag=unquoted(answer),
        crc64nvme_base64=answer.get("ChecksumCRC64NVME"),
        sha256_base64=answer.get("ChecksumSHA256"),
    )


def open_upload(answer: Mapping[str, Any], prefix: str) -> OpenUpload:
    """Read an entry of ListMultipartUploads."""
    return OpenUpload(
        handle=UploadHandle(
            key=str(answer["Key"]).removeprefix(prefix), upload_id=str(answer["UploadId"])
        ),
        initiated_utc=_iso(answer.get("Initiated")),
    )


def _iso(moment: datetime | None) -> str:
    return utc_text(moment) if moment else ""
