"""Whole objects: put, read, removed, listed."""

from __future__ import annotations

from tests.s3_standin.checks import checked_body, etag_of
from tests.s3_standin.messages import (
    Answer,
    Request,
    S3Error,
    apply_range,
    body_of,
    boolean,
    check_none_match,
    checksum_headers,
    http_date,
    kept,
    text,
    xml,
)
from tests.s3_standin.profiles import Profile
from tests.s3_standin.storage import Storage, Stored, now_utc


class Objects:
    """Does what requests ask of objects."""

    def __init__(self, storage: Storage, profile: Profile) -> None:
        self.storage = storage
        self.profile = profile

    def put_object(self, request: Request) -> Answer:
        present = self.storage.get(request.bucket, request.key)
        if "if-match" in request.headers:
            self._check_match(request.headers["if-match"], present)
        if self.profile.conditional_put:
            check_none_match(request, present)
        told = checked_body(self.profile, request)
        stored = Stored(
            size_bytes=request.size_bytes,
            etag=etag_of(self.profile, request.digests["md5"]),
            headers=kept(request.headers),
            checksums=told,
            modified_utc=now_utc(),
        )
        self.storage.put(request.bucket, request.key, body_of(request), stored)
        return Answer(headers={"ETag": f'"{stored.etag}"', **checksum_headers(told)})

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

    def get_object(self, request: Request) -> Answer:
        stored = self.storage.get(request.bucket, request.key)
        if stored is None:
            raise S3Error(404, "NoSuchKey")
        answer = Answer(
            headers={"ETag": f'"{stored.etag}"', "Accept-Ranges": "bytes", **stored.headers},
            file=self.storage.object_path(request.bucket, request.key),
        )
        answer.headers["Last-Modified"] = http_date(stored.modified_utc)
        if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            answer.headers |= checksum_headers(stored.checksums)
        apply_range(request, answer, stored.size_bytes)
        return answer

    def delete_object(self, request: Request) -> Answer:
        self.storage.delete(request.bucket, request.key)
        return Answer(status=204)

    def list_objects(self, request: Request) -> Answer:
        prefix = request.query.get("prefix", "")
        after = request.query.get("continuation-token", "") if self.profile.advances else ""
        keys = [key for key in self.storage.keys(request.bucket) if key.startswith(prefix)]
        keys = [key for key in keys if key > after]
        page = keys[: self.profile.page_limit]
        items = "".join(self._entry(request, key) for key in page)
        more = len(keys) > len(page)
        token = f"<NextContinuationToken>{text(page[-1])}</NextContinuationToken>" if more else ""
        return xml("ListBucketResult", f"<IsTruncated>{boolean(more)}</IsTruncated>{token}{items}")

    def _entry(self, request: Request, key: str) -> str:
        stored = self.storage.get(request.bucket, key)
        if stored is None:
            return ""
        shown = text(key)
        return (
            f"<Contents><Key>{shown}</Key><Size>{stored.size_bytes}</Size>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag>"
            f"<LastModified>{stored.modified_utc}</LastModified></Contents>"
        )
