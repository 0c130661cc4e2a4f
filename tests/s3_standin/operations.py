"""The S3 subset, request in, answer out; validates what its profile says it validates."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from awscrt.checksums import crc64nvme

from tests.s3_standin.profiles import Profile
from tests.s3_standin.storage import Storage, Stored, Upload, now_utc

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
    start_bytes: int = 0


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
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }.get(method, "?")
    names = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    return names.get(method, "?")


class Operations:
    """Does what requests ask."""

    def __init__(self, storage: Storage, profile: Profile) -> None:
        self.storage = storage
        self.profile = profile
        self.lifecycle: bytes | None = None
        self._done: dict[str, str] = {}  # completed upload -> ETag, for profiles that repeat
        self._by_name: dict[str, Callable[[Request], Answer]] = {
            "CreateBucket": self._create_bucket,
            "HeadBucket": lambda _: Answer(),
            "ListObjectsV2": self._list_objects,
            "ListMultipartUploads": self._list_uploads,
            "GetBucketLifecycleConfiguration": self._get_lifecycle,
            "PutObject": self._put_object,
            "GetObject": self._get_object,
            "HeadObject": self._get_object,
            "DeleteObject": self._delete_object,
            "CreateMultipartUpload": self._create_upload,
            "UploadPart": self._upload_part,
            "CompleteMultipartUpload": self._complete,
            "AbortMultipartUpload": self._abort,
            "ListParts": self._list_parts,
        }

    def perform(self, request: Request) -> Answer:
        """Do it; S3Error when refused."""
        handler = self._by_name.get(request.operation)
        if handler is None:
            raise S3Error(501, "NotImplemented", f"no {request.operation} here")
        with self.storage.lock:
            if request.operation != "CreateBucket" and request.bucket not in self.storage.buckets():
                raise S3Error(404, "NoSuchBucket")
            return handler(request)

    # -- objects -------------------------------------------------------------------------------

    def _create_bucket(self, request: Request) -> Answer:
        self.storage.create_bucket(request.bucket)
        return Answer(headers={"Location": f"/{request.bucket}"})

    def _get_lifecycle(self, request: Request) -> Answer:
        if self.lifecycle is None:
            raise S3Error(404, "NoSuchLifecycleConfiguration")
        return Answer(body=self.lifecycle)

    def _put_object(self, request: Request) -> Answer:
        present = self.storage.get(request.bucket, request.key)
        if "if-match" in request.headers:
            self._check_match(request.headers["if-match"], present)
        if self.profile.conditional_put:
            _check_none_match(request, present)
        told = self._check_body(request)
        stored = Stored(
            size_bytes=request.size_bytes,
            etag=self._etag(request.digests["md5"]),
            headers=_kept(request.headers),
            checksums=told,
            modified_utc=now_utc(),
        )
        self.storage.put(request.bucket, request.key, _body_of(request), stored)
        return Answer(headers={"ETag": f'"{stored.etag}"', **_checksum_headers(told)})

    def _check_match(self, wanted: str, present: Stored | None) -> None:
        if not self.profile.if_match:
            raise S3Error(501, "NotImplemented", "If-Match is not implemented")
        bare = wanted.strip('"')
        if self.profile.bare_if_match and bare != wanted:
            raise S3Error(412, "PreconditionFailed")
        if present is None:
            raise (
                S3Error(412, "PreconditionFailed")
                if self.profile.bare_if_match
                else S3Error(404, "NoSuchKey")
            )
        if present.etag != bare:
            raise S3Error(412, "PreconditionFailed")

    def _get_object(self, request: Request) -> Answer:
        stored = self.storage.get(request.bucket, request.key)
        if stored is None:
            raise S3Error(404, "NoSuchKey")
        answer = Answer(
            headers={"ETag": f'"{stored.etag}"', "Accept-Ranges": "bytes", **stored.headers},
            file=self.storage.object_path(request.bucket, request.key),
        )
        answer.headers["Last-Modified"] = _http_date(stored.modified_utc)
        if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            answer.headers |= _checksum_headers(stored.checksums)
        _apply_range(request, answer, stored.size_bytes)
        return answer

    def _delete_object(self, request: Request) -> Answer:
        self.storage.delete(request.bucket, request.key)
        return Answer(status=204)

    def _list_objects(self, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        after = request.query.get("continuation-token", "")
        keys = [key for key in self.storage.keys(request.bucket) if key.startswith(prefix)]
        keys = [key for key in keys if key > after]
        page = keys[: self.profile.page_limit]
        items = "".join(self._entry(request, key) for key in page)
        more = len(keys) > len(page)
        token = f"<NextContinuationToken>{_text(page[-1])}</NextContinuationToken>" if more else ""
        return _xml("ListBucketResult", f"<IsTruncated>{_bool(more)}</IsTruncated>{token}{items}")

    def _entry(self, request: Request, key: str) -> str:
        stored = self.storage.get(request.bucket, key)
        if stored is None:
            return ""
        shown = _text(key)
        return (
            f"<Contents><Key>{shown}</Key><Size>{stored.size_bytes}</Size>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag>"
            f"<LastModified>{stored.modified_utc}</LastModified></Contents>"
        )

    # -- uploads -------------------------------------------------------------------------------

    def _create_upload(self, request: Request) -> Answer:
        headers = _kept(request.headers)
        for name in ("x-amz-checksum-algorithm", "x-amz-checksum-type"):
            if name in request.headers:
                headers[name] = request.headers[name]
        upload = self.storage.create_upload(request.bucket, request.key, headers)
        return _xml(
            "InitiateMultipartUploadResult",
            f"<Bucket>{request.bucket}</Bucket><Key>{_text(request.key)}</Key>"
            f"<UploadId>{upload.upload_id}</UploadId>",
        )

    def _upload_of(self, request: Request) -> Upload:
        found = self.storage.upload(request.bucket, request.key, request.query["uploadId"])
        if found is None:
            raise S3Error(404, self.profile.missing_upload_code)
        return found

    def _upload_part(self, request: Request) -> Answer:
        upload = self._upload_of(request)
        number = request.part_number
        if number is None or not 1 <= number <= self.profile.max_parts:
            raise S3Error(400, "InvalidArgument", f"at most {self.profile.max_parts} parts")
        told = self._check_body(request)
        stored = Stored(
            size_bytes=request.size_bytes,
            etag=self._etag(request.digests["md5"]),
            checksums=told,
            modified_utc=now_utc(),
        )
        body = _body_of(request)
        if request.flip:
            flip_first_byte(body)
        self.storage.put_part(request.bucket, upload.upload_id, number, body, stored)
        return Answer(headers={"ETag": f'"{stored.etag}"', **_checksum_headers(told)})

    def _complete(self, request: Request) -> Answer:
        upload_id = request.query["uploadId"]
        if upload_id in self._done and self.profile.idempotent_complete:
            return self._completed(request, self._done[upload_id], {})
        upload = self._upload_of(request)
        if self.profile.conditional_complete:
            _check_none_match(request, self.storage.get(request.bucket, request.key))
        chosen = self._chosen_parts(request, upload)
        data, checksums, size_bytes = self._joined(request, upload, chosen)
        try:
            self._check_whole(request, upload, chosen, checksums, size_bytes)
        except S3Error:
            data.unlink()
            raise
        md5s = b"".join(bytes.fromhex(part.etag) for part in chosen.values())
        etag = self._etag(hashlib.md5(md5s).hexdigest(), suffix=f"-{len(chosen)}")
        stored = Stored(
            size_bytes=size_bytes,
            etag=etag,
            headers={k: v for k, v in upload.headers.items() if "checksum" not in k},
            checksums=checksums,
            modified_utc=now_utc(),
            upload_id=upload_id,
        )
        self.storage.put(request.bucket, request.key, data, stored)
        self.storage.drop_upload(request.bucket, upload_id)
        self._done[upload_id] = etag
        return self._completed(request, etag, checksums)

    def _completed(self, request: Request, etag: str, checksums: Mapping[str, str]) -> Answer:
        told = "".join(
            f"<Checksum{name.upper()}>{value}</Checksum{name.upper()}>"
            for name, value in checksums.items()
            if name != "type"
        )
        return _xml(
            "CompleteMultipartUploadResult",
            f"<Bucket>{request.bucket}</Bucket><Key>{_text(request.key)}</Key>"
            f"<ETag>&quot;{etag}&quot;</ETag>{told}",
        )

    def _chosen_parts(self, request: Request, upload: Upload) -> dict[int, Stored]:
        body = _body_of(request).read_bytes()
        try:
            root = ET.fromstring(body)
        except ET.ParseError as error:
            raise S3Error(400, "MalformedXML") from error
        have = self.storage.parts(request.bucket, upload.upload_id)
        chosen: dict[int, Stored] = {}
        for item in root.iter(f"{{{NAMESPACE}}}Part"):
            values = {child.tag.rpartition("}")[2]: child.text or "" for child in item}
            number = int(values["PartNumber"])
            part = have.get(number)
            if chosen and number <= max(chosen):
                raise S3Error(400, "InvalidPartOrder")
            if part is None or values["ETag"].strip('"') != part.etag:
                raise S3Error(400, "InvalidPart")
            crc = values.get("ChecksumCRC64NVME")
            if self.profile.crc64nvme and crc and crc != part.checksums.get("crc64nvme"):
                raise S3Error(400, "InvalidPart", "checksum of a part differs")
            chosen[number] = part
        if not chosen:
            raise S3Error(400, "MalformedXML")
        sizes = [part.size_bytes for part in chosen.values()]
        if any(size < self.profile.min_part_bytes for size in sizes[:-1]):
            raise S3Error(400, "EntityTooSmall")
        return chosen

    def _joined(
        self, request: Request, upload: Upload, chosen: Mapping[int, Stored]
    ) -> tuple[Path, dict[str, str], int]:
        """Join the parts as they lie on disk, so that a flipped byte comes to light."""
        target = self.storage.incoming(request.bucket)
        crc, size_bytes = 0, 0
        with target.open("wb") as file:
            for number in chosen:
                path = self.storage.part_path(request.bucket, upload.upload_id, number)
                for piece in self.storage.pieces(path):
                    crc = crc64nvme(piece, crc)
                    size_bytes += len(piece)
                    file.write(piece)
        full = {"crc64nvme": encoded(crc), "type": "FULL_OBJECT"}
        return target, full if self.profile.crc64nvme else {}, size_bytes

    def _check_whole(
        self,
        request: Request,
        upload: Upload,
        chosen: Mapping[int, Stored],
        checksums: Mapping[str, str],
        size_bytes: int,
    ) -> None:
        headers = request.headers
        told_size = headers.get("x-amz-mp-object-size")
        if self.profile.object_size_checked and told_size not in {None, str(size_bytes)}:
            raise S3Error(400, "InvalidRequest", "x-amz-mp-object-size differs from the parts")
        crc = headers.get("x-amz-checksum-crc64nvme")
        if self.profile.crc64nvme and crc not in {None, checksums["crc64nvme"]}:
            raise S3Error(400, "BadDigest", "CRC64NVME of the object differs")
        sha256 = headers.get("x-amz-checksum-sha256")
        if self.profile.sha256 and sha256:
            joined = b"".join(b64decode(part.checksums["sha256"]) for part in chosen.values())
            composite = b64encode(hashlib.sha256(joined).digest()).decode()
            if sha256 != f"{composite}-{len(chosen)}":
                raise S3Error(400, "InvalidRequest", "composite checksum differs")

    def _abort(self, request: Request) -> Answer:
        self.storage.drop_upload(request.bucket, self._upload_of(request).upload_id)
        return Answer(status=204)

    def _list_parts(self, request: Request) -> Answer:
        upload = self._upload_of(request)
        after = int(request.query.get("part-number-marker") or 0)
        parts = self.storage.parts(request.bucket, upload.upload_id)
        numbers = [number for number in parts if number > after]
        page = numbers[: self.profile.page_limit]
        items = "".join(_part_entry(number, parts[number]) for number in page)
        more = len(numbers) > len(page)
        marker = f"<NextPartNumberMarker>{page[-1]}</NextPartNumberMarker>" if more else ""
        return _xml("ListPartsResult", f"<IsTruncated>{_bool(more)}</IsTruncated>{marker}{items}")

    def _list_uploads(self, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        after = (request.query.get("key-marker", ""), request.query.get("upload-id-marker", ""))
        found = [
            upload
            for upload in self.storage.uploads(request.bucket)
            if upload.key.startswith(prefix) and (upload.key, upload.upload_id) > after
        ]
        page = found[: self.profile.page_limit]
        items = "".join(
            f"<Upload><Key>{_text(upload.key)}</Key><UploadId>{upload.upload_id}</UploadId>"
            f"<Initiated>{upload.initiated_utc}</Initiated></Upload>"
            for upload in page
        )
        more = len(found) > len(page)
        marker = (
            f"<NextKeyMarker>{_text(page[-1].key)}</NextKeyMarker>"
            f"<NextUploadIdMarker>{page[-1].upload_id}</NextUploadIdMarker>"
            if more
            else ""
        )
        return _xml(
            "ListMultipartUploadsResult", f"<IsTruncated>{_bool(more)}</IsTruncated>{marker}{items}"
        )

    # -- checks --------------------------------------------------------------------------------

    def _etag(self, md5_hex: str, *, suffix: str = "") -> str:
        return (secrets.token_hex(16) if self.profile.random_etags else md5_hex) + suffix

    def _check_body(self, request: Request) -> dict[str, str]:
        """Compare every digest the profile compares; returns the checksums it tells."""
        told: dict[str, str] = {}
        for name, honoured in (
            ("crc64nvme", self.profile.crc64nvme),
            ("sha256", self.profile.sha256),
        ):
            sent = request.headers.get(f"x-amz-checksum-{name}")
            if honoured and sent not in {None, request.digests[name]}:
                raise S3Error(400, "BadDigest", f"{name} differs")
            if honoured and (sent or name == "crc64nvme"):
                told[name] = request.digests[name]
        md5 = request.headers.get("content-md5")
        md5_base64 = b64encode(bytes.fromhex(request.digests["md5"])).decode()
        if self.profile.content_md5 and md5 not in {None, md5_base64}:
            raise S3Error(400, "BadDigest", "Content-MD5 differs")
        payload = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        payload_hex = b64decode(request.digests["sha256"]).hex()
        if payload not in {"UNSIGNED-PAYLOAD", payload_hex}:
            raise S3Error(400, "XAmzContentSHA256Mismatch")
        return told


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


def _body_of(request: Request) -> Path:
    if request.body is None:
        raise S3Error(411, "MissingContentLength")
    return request.body


def _check_none_match(request: Request, present: Stored | None) -> None:
    if request.headers.get("if-none-match") == "*" and present is not None:
        raise S3Error(412, "PreconditionFailed")


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name in KEPT_HEADERS or name.startswith("x-amz-meta-")
    }


def _checksum_headers(checksums: Mapping[str, str]) -> dict[str, str]:
    return {f"x-amz-checksum-{name}": value for name, value in checksums.items()}


def _apply_range(request: Request, answer: Answer, size_bytes: int) -> None:
    text = request.headers.get("range", "")
    start = int(text.removeprefix("bytes=").rstrip("-")) if text else 0
    if text and start >= size_bytes:
        raise S3Error(416, "InvalidRange")
    if text:
        answer.status = 206
        answer.headers["Content-Range"] = f"bytes {start}-{size_bytes - 1}/{size_bytes}"
    answer.start_bytes = start


def _part_entry(number: int, part: Stored) -> str:
    crc = part.checksums.get("crc64nvme")
    sha256 = part.checksums.get("sha256")
    told = f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME>" if crc else ""
    told += f"<ChecksumSHA256>{sha256}</ChecksumSHA256>" if sha256 else ""
    return (
        f"<Part><PartNumber>{number}</PartNumber><Size>{part.size_bytes}</Size>"
        f"<ETag>&quot;{part.etag}&quot;</ETag>{told}"
        f"<LastModified>{part.modified_utc}</LastModified></Part>"
    )


def _xml(root: str, inner: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{inner}</{root}>'
    return Answer(headers={"Content-Type": "application/xml"}, body=body.encode())


def _text(text: str) -> str:
    return escape(text)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _http_date(text: str) -> str:

    return format_datetime(datetime.fromisoformat(text), usegmt=True)
