"""Multipart uploads, from their beginning to Complete or Abort."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from awscrt.checksums import crc64nvme

from tests.s3_standin.checks import checked_body, etag_of
from tests.s3_standin.messages import (
    NAMESPACE,
    Answer,
    Request,
    S3Error,
    body_of,
    boolean,
    check_none_match,
    checksum_headers,
    encoded,
    flip_first_byte,
    kept,
    part_entry,
    text,
    xml,
)
from tests.s3_standin.profiles import Profile
from tests.s3_standin.storage import Storage, Stored, Upload, now_utc


class Uploads:
    """Does what requests ask of uploads."""

    def __init__(self, storage: Storage, profile: Profile) -> None:
        self.storage = storage
        self.profile = profile
        self._done: dict[str, str] = {}  # completed upload -> ETag, for profiles that repeat

    def create_upload(self, request: Request) -> Answer:
        headers = kept(request.headers)
        for name in ("x-amz-checksum-algorithm", "x-amz-checksum-type"):
            if name in request.headers:
                headers[name] = request.headers[name]
        upload = self.storage.create_upload(request.bucket, request.key, headers)
        return xml(
            "InitiateMultipartUploadResult",
            f"<Bucket>{request.bucket}</Bucket><Key>{text(request.key)}</Key>"
            f"<UploadId>{upload.upload_id}</UploadId>",
        )

    def _upload_of(self, request: Request) -> Upload:
        found = self.storage.upload(request.bucket, request.key, request.query["uploadId"])
        if found is None:
            raise S3Error(404, self.profile.missing_upload_code)
        return found

    def upload_part(self, request: Request) -> Answer:
        upload = self._upload_of(request)
        number = request.part_number
        if number is None or not 1 <= number <= self.profile.max_parts:
            raise S3Error(400, "InvalidArgument", f"at most {self.profile.max_parts} parts")
        try:
            told = checked_body(self.profile, request)
        except S3Error:
            if self.profile.drops_refused:
                self.storage.drop_upload(request.bucket, upload.upload_id)
            raise
        stored = Stored(
            size_bytes=request.size_bytes,
            etag=etag_of(self.profile, request.digests["md5"]),
            checksums=told,
            modified_utc=now_utc(),
        )
        body = body_of(request)
        if request.flip:
            flip_first_byte(body)
        self.storage.put_part(request.bucket, upload.upload_id, number, body, stored)
        return Answer(headers={"ETag": f'"{stored.etag}"', **checksum_headers(told)})

    def copy_part(self, request: Request) -> Answer:
        """S3's UploadPartCopy, of a range."""
        upload = self._upload_of(request)
        bucket, _, key = unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        found = self.storage.get(bucket, key)
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["x-amz-copy-source-range"])
        if found is None or request.part_number is None:
            raise S3Error(404, "NoSuchKey")
        if span is None or not int(span[1]) <= int(span[2]) < found.size_bytes:
            raise S3Error(400, "InvalidArgument", "the range is not one of the object")
        with self.storage.object_path(bucket, key).open("rb") as file:
            file.seek(int(span[1]))
            body = file.read(int(span[2]) - int(span[1]) + 1)
        told = {"crc64nvme": encoded(crc64nvme(body))} if self.profile.crc64nvme else {}
        etag = etag_of(self.profile, hashlib.md5(body).hexdigest())
        stored = Stored(size_bytes=len(body), etag=etag, checksums=told, modified_utc=now_utc())
        data = self.storage.incoming(request.bucket)
        data.write_bytes(body)
        self.storage.put_part(request.bucket, upload.upload_id, request.part_number, data, stored)
        sums = "".join(f"<ChecksumCRC64NVME>{one}</ChecksumCRC64NVME>" for one in told.values())
        return xml(
            "CopyPartResult",
            f"<LastModified>{stored.modified_utc}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag>{sums}",
        )

    def complete(self, request: Request) -> Answer:
        upload_id = request.query["uploadId"]
        if upload_id in self._done and self.profile.idempotent_complete:
            return self._completed(request, self._done[upload_id], {})
        upload = self._upload_of(request)
        if self.profile.conditional_complete:
            check_none_match(request, self.storage.get(request.bucket, request.key))
        chosen = self._chosen_parts(request, upload)
        data, checksums, size_bytes = self._joined(request, upload, chosen)
        try:
            self._check_whole(request, upload, chosen, checksums, size_bytes)
        except S3Error:
            data.unlink()
            raise
        md5s = b"".join(bytes.fromhex(part.etag) for part in chosen.values())
        etag = etag_of(self.profile, hashlib.md5(md5s).hexdigest(), suffix=f"-{len(chosen)}")
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
        return xml(
            "CompleteMultipartUploadResult",
            f"<Bucket>{request.bucket}</Bucket><Key>{text(request.key)}</Key>"
            f"<ETag>&quot;{etag}&quot;</ETag>{told}",
        )

    def _chosen_parts(self, request: Request, upload: Upload) -> dict[int, Stored]:
        body = body_of(request).read_bytes()
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

    def abort(self, request: Request) -> Answer:
        self.storage.drop_upload(request.bucket, self._upload_of(request).upload_id)
        return Answer(status=204)

    def list_parts(self, request: Request) -> Answer:
        upload = self._upload_of(request)
        after = int(request.query.get("part-number-marker") or 0) if self.profile.advances else 0
        parts = self.storage.parts(request.bucket, upload.upload_id)
        numbers = [number for number in parts if number > after]
        page = numbers[: self.profile.page_limit]
        items = "".join(part_entry(number, parts[number]) for number in page)
        more = len(numbers) > len(page)
        marker = f"<NextPartNumberMarker>{page[-1]}</NextPartNumberMarker>" if more else ""
        return xml("ListPartsResult", f"<IsTruncated>{boolean(more)}</IsTruncated>{marker}{items}")

    def list_uploads(self, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        after = (request.query.get("key-marker", ""), request.query.get("upload-id-marker", ""))
        if not self.profile.advances:
            after = ("", "")
        found = [
            upload
            for upload in self.storage.uploads(request.bucket)
            if self._is_below(upload.key, prefix) and (upload.key, upload.upload_id) > after
        ]
        page = found[: self.profile.page_limit]
        items = "".join(
            f"<Upload><Key>{text(upload.key)}</Key><UploadId>{upload.upload_id}</UploadId>"
            f"<Initiated>{upload.initiated_utc}</Initiated></Upload>"
            for upload in page
        )
        more = len(found) > len(page)
        marker = (
            f"<NextKeyMarker>{text(page[-1].key)}</NextKeyMarker>"
            f"<NextUploadIdMarker>{page[-1].upload_id}</NextUploadIdMarker>"
            if more
            else ""
        )
        return xml(
            "ListMultipartUploadsResult",
            f"<IsTruncated>{boolean(more)}</IsTruncated>{marker}{items}",
        )

    def _is_below(self, key: str, prefix: str) -> bool:
        if self.profile.lists_uploads_by_whole_key and prefix:
            return key == prefix
        return key.startswith(prefix)
