"""Requests and answers of the S3 subset, and the small text around them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

from tests.s3_standin.storage import Stored

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
KEPT_HEADERS = ("content-type",)


class S3Error(Exception):
    """An answer that refuses."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message or f"The stand-in says {code}"


@dataclass(slots=True, kw_only=True)
class Request:
    """One request, its body already in a file (None when there was none)."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Path | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    flip: bool = False

    @property
    def part_number(self) -> int | None:
        """The number of the part that this is about."""
        text = self.query.get("partNumber", "")
        return int(text) if text.isdigit() else None

    @property
    def operation(self) -> str:
        """S3's name of what is asked."""
        return _operation_of(self)


@dataclass(slots=True, kw_only=True)
class Answer:
    """Status, headers, and a body in memory or in a file."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    start_bytes: int = 0  # of the file
    end_bytes: int | None = None  # None: the file's end


def _operation_of(request: Request) -> str:
    query, method = request.query, request.method
    if not request.key:
        listing = "ListMultipartUploads" if "uploads" in query else "ListObjectsV2"
        if "lifecycle" in query:
            return f"{method.title()}BucketLifecycleConfiguration"
        return {"PUT": "CreateBucket", "GET": listing, "HEAD": "HeadBucket"}.get(method, "?")
    if "uploads" in query:
        return "CreateMultipartUpload"
    if "uploadId" in query:
        return {
            "PUT": "UploadPartCopy" if "x-amz-copy-source" in request.headers else "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }.get(method, "?")
    names = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    return names.get(method, "?")


def encoded(crc: int) -> str:
    """A CRC64NVME as S3 writes it."""
    return b64encode(crc.to_bytes(8, "big")).decode()


def flip_first_byte(path: Path) -> None:
    """Change one byte of a file."""
    with path.open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 0xFF]))


def error_body(error: S3Error) -> bytes:
    """The XML of a refusal."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
    ).encode()


def body_of(request: Request) -> Path:
    """The file of a body that must be there."""
    if request.body is None:
        raise S3Error(411, "MissingContentLength")
    return request.body


def check_none_match(request: Request, present: Stored | None) -> None:
    """Refuse when only a new object was wanted and one is there."""
    if request.headers.get("if-none-match") == "*" and present is not None:
        raise S3Error(412, "PreconditionFailed")


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that are told again with the object."""
    return {
        name: value
        for name, value in headers.items()
        if name in KEPT_HEADERS or name.startswith("x-amz-meta-")
    }


def checksum_headers(checksums: Mapping[str, str]) -> dict[str, str]:
    """Checksums as headers."""
    return {f"x-amz-checksum-{name}": value for name, value in checksums.items()}


def apply_range(request: Request, answer: Answer, size_bytes: int) -> None:
    """Cut the answer to what was asked for."""
    text = request.headers.get("range", "")
    if not text:
        return
    first, _, last = text.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last) + 1 if last else size_bytes, size_bytes)
    if start >= end:
        raise S3Error(416, "InvalidRange")
    answer.status = 206
    answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    answer.start_bytes, answer.end_bytes = start, end


def part_entry(number: int, part: Stored) -> str:
    """One entry of ListParts."""
    crc = part.checksums.get("crc64nvme")
    sha256 = part.checksums.get("sha256")
    told = f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME>" if crc else ""
    told += f"<ChecksumSHA256>{sha256}</ChecksumSHA256>" if sha256 else ""
    return (
        f"<Part><PartNumber>{number}</PartNumber><Size>{part.size_bytes}</Size>"
        f"<ETag>&quot;{part.etag}&quot;</ETag>{told}"
        f"<LastModified>{part.modified_utc}</LastModified></Part>"
    )


def xml(root: str, inner: str) -> Answer:
    """An answer in XML."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{inner}</{root}>'
    return Answer(headers={"Content-Type": "application/xml"}, body=body.encode())


def text(text: str) -> str:
    """Text for XML."""
    return escape(text)


def boolean(value: bool) -> str:
    """A truth value for XML."""
    return "true" if value else "false"


def http_date(text: str) -> str:
    """A time as HTTP writes it."""

    return format_datetime(datetime.fromisoformat(text), usegmt=True)
