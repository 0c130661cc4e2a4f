"""ObjectStore on S3: raw calls of aioboto3, precomputed checksums, zero-copy parts."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio

from asyncpipe.errors import (
    ChecksumError,
    DestinationTakenError,
    ObjectMissingError,
    ObjectTooLargeError,
    TransientStoreError,
)
from asyncpipe.model.store import (
    ChecksumMode,
    ObjectInfo,
    OpenUpload,
    PartDigests,
    StoreCapabilities,
    StoredBytes,
    StoredPart,
    StoreOptions,
    StoreProfile,
    UploadHandle,
)
from asyncpipe.retry import Retries, RetryPolicy
from asyncpipe.stores.s3.answers import (
    abort_days,
    covers,
    object_info,
    open_upload,
    stored_part,
    unquoted,
)
from asyncpipe.stores.s3.body import PartBody
from asyncpipe.stores.s3.calls import FOREIGN, S3Calls
from asyncpipe.stores.s3.errors import code_of
from asyncpipe.stores.s3.probe import ask, prove
from asyncpipe.stores.s3.profiles import RECORDS, S3Record
from asyncpipe.stores.s3.requests import (
    complete_parameters,
    object_parameters,
    part_checksum,
    small_checksum,
    upload_parameters,
)
from asyncpipe.stores.s3.session import S3Clients

_READ_BYTES = 256 * 1024
_CREATE = RetryPolicy(attempts=3, base_s=0.4)

# what ``probe`` found out, by endpoint, bucket and encryption; for this process only
_FOUND: dict[tuple[str, str, str], S3Record] = {}


class S3Store:
    """An ObjectStore in one bucket below one prefix; keys are relative to the prefix."""

    def __init__(
        self, clients: S3Clients, *, bucket: str, prefix: str, options: StoreOptions
    ) -> None:
        self._calls = S3Calls(clients, bucket, prefix)
        self._options = options
        self._identity = (clients.endpoint, bucket, str(options.sse))
        self._record = RECORDS[options.profile]
        if options.profile is StoreProfile.AUTO:
            self._record = _FOUND.get(self._identity, self._record)

    @property
    def url(self) -> str:
        """``s3://bucket/prefix/``."""
        return self._calls.url

    @property
    def capabilities(self) -> StoreCapabilities:
        """What this endpoint honours; profile ``auto`` knows after ``probe``."""
        return self._options.limited(self._record.capabilities)

    def url_of(self, key: str) -> str:
        """The ``s3://`` URL of an object."""
        return self._calls.url_of(key)

    # -- small objects -------------------------------------------------------------------------

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        create_only: bool = False,
        if_match: str | None = None,
    ) -> ObjectInfo:
        """Store a small object whole; DestinationTakenError, ConflictError."""
        parameters = {
            **object_parameters(self._options, small=True),
            **small_checksum(self.capabilities.checksum, body),
            "Body": body,
            "ContentType": content_type,
            "Metadata": dict(metadata or {}),
        }
        if create_only and self.capabilities.conditional_put:
            answer = await self._create(key, body, parameters)
        elif if_match is not None and self.capabilities.compare_and_swap:
            quoted = f'"{if_match}"' if self._record.quoted_if_match else if_match
            answer = await self._calls.call("once", "put_object", key, IfMatch=quoted, **parameters)
        else:
            answer = await self._calls.call("small", "put_object", key, **parameters)
        return ObjectInfo(
            key=key,
            size_bytes=len(body),
            etag=unquoted(answer),
            content_type=content_type,
            metadata=dict(metadata or {}),
            crc64nvme_base64=answer.get("ChecksumCRC64NVME"),
        )

    async def _create(self, key: str, body: bytes, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; an attempt whose answer was lost is recognised by its bytes."""
        retries = Retries(_CREATE)
        while True:
            try:
                return await self._calls.call(
                    "once", "put_object", key, IfNoneMatch="*", **parameters
                )
            except DestinationTakenError:
                if retries.attempt == 1 or (answer := await self._ours(key, body)) is None:
                    raise
                return answer
            except TransientStoreError as error:
                await retries.pause(error)

    async def _ours(self, key: str, body: bytes) -> dict[str, Any] | None:
        stored = await self.get(key, max_bytes=len(body) + 1)
        return {"ETag": stored.info.etag} if stored.body == body else None

    async def get(self, key: str, *, max_bytes: int) -> StoredBytes:
        """Read a small object whole; ObjectMissingError; UploadError when above ``max_bytes``."""
        answer = await self._calls.call("small", "get_object", key)
        async with answer["Body"] as stream:
            if answer["ContentLength"] > max_bytes:
                raise ObjectTooLargeError(f"{self.url_of(key)} has more than {max_bytes} bytes.")
            try:
                body = await stream.read()
            except FOREIGN as error:
                raise self._calls.translated(error, "get_object", key) from error
        return StoredBytes(info=object_info(key, answer), body=body)

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read an object in pieces of at most 256 KiB; a reset is a TransientStoreError."""
        byte_range = {"Range": f"bytes={offset_bytes}-"} if offset_bytes else {}
        answer = await self._calls.call("small", "get_object", key, **byte_range)
        async with answer["Body"] as body, aclosing(self._pieces(body, key)) as pieces:
            yield pieces

    async def _pieces(self, body: Any, key: str) -> AsyncGenerator[bytes, None]:
        while True:
            try:
                piece = await body.content.read(_READ_BYTES)
            except FOREIGN as error:
                raise self._calls.translated(error, "get_object", key) from error
            if not piece:
                return
            yield piece

    async def head(self, key: str) -> ObjectInfo | None:
        """Look at an object, with its checksum where the store tells it; None when absent."""
        try:
            answer = await self._calls.call("small", "head_object", key, ChecksumMode="ENABLED")
        except ObjectMissingError:
            return None
        return object_info(key, answer)

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in key order, page by page."""
        more: dict[str, str] = {}
        while True:
            page = await self._calls.call("small", "list_objects_v2", None, prefix=prefix, **more)
            for item in page.get("Contents", []):
                key = item["Key"].removeprefix(self._calls.prefix)
                if key:
                    yield object_info(key, item)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def delete(self, key: str) -> None:
        """Remove one object; no error when absent."""
        await self._calls.call("small", "delete_object", key)

    # -- multipart -----------------------------------------------------------------------------

    async def create_upload(
        self, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> UploadHandle:
        """Begin a multipart upload with the checksum type that the store verifies."""
        answer = await self._calls.call(
            "once",  # repeated, it would leave uploads that nobody knows of; `upload` does it
            "create_multipart_upload",
            key,
            ContentType=content_type,
            Metadata=dict(metadata),
            **upload_parameters(self._options, self.capabilities.checksum),
        )
        return UploadHandle(key=key, upload_id=answer["UploadId"])

    async def upload_part(
        self,
        handle: UploadHandle,
        number: int,
        body: memoryview,
        digests: PartDigests,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> StoredPart:
        """Send one part in one attempt; the buffer must stay as it is until this returns."""
        mode = self.capabilities.checksum
        answer = await self._calls.call(
            "once",
            "upload_part",
            handle.key,
            UploadId=handle.upload_id,
            PartNumber=number,
            Body=PartBody(body, progress),
            **part_checksum(mode, digests),
        )
        part = stored_part({**answer, "PartNumber": number, "Size": body.nbytes})
        self._check_answer(part, digests)
        return part

    def _check_answer(self, part: StoredPart, digests: PartDigests) -> None:
        sent = part_checksum(ChecksumMode.CRC64NVME_FULL, digests)["ChecksumCRC64NVME"]
        if part.crc64nvme_base64 not in {None, sent}:
            raise ChecksumError(f"The store has another checksum of part {part.number}.")
        comparable = digests.md5_base64 and self.capabilities.comparable_etag
        if comparable and b64decode(digests.md5_base64 or "").hex() != part.etag:
            raise ChecksumError(f"The store has another MD5 of part {part.number}.")

    async def complete_upload(
        self,
        handle: UploadHandle,
        parts: Sequence[StoredPart],
        *,
        size_bytes: int,
        crc64nvme_base64: str,
        create_only: bool,
        timeout_s: float,
    ) -> ObjectInfo:
        """Make the object visible; TransientStoreError when the outcome is not known."""
        parameters = complete_parameters(
            self.capabilities,
            parts,
            size_bytes=size_bytes,
            crc64nvme_base64=crc64nvme_base64,
            create_only=create_only,
        )
        try:
            with anyio.fail_after(timeout_s):
                answer = await self._calls.call(
                    "complete",
                    "complete_multipart_upload",
                    handle.key,
                    UploadId=handle.upload_id,
                    **parameters,
                )
        except TimeoutError as error:
            raise TransientStoreError(
                f"{self.url_of(handle.key)} was not completed within {timeout_s:g} s."
            ) from error
        return object_info(handle.key, {**answer, "ContentLength": size_bytes})

    async def abort_upload(self, handle: UploadHandle) -> None:
        """Drop an upload; UploadMissingError when the store does not know it."""
        await self._calls.call(
            "small", "abort_multipart_upload", handle.key, UploadId=handle.upload_id
        )

    async def list_parts(self, handle: UploadHandle) -> Sequence[StoredPart]:
        """Every part the store has, in order; UploadMissingError."""
        parts: list[StoredPart] = []
        more: dict[str, int] = {}
        while True:
            page = await self._calls.call(
                "small", "list_parts", handle.key, UploadId=handle.upload_id, **more
            )
            parts += [stored_part(item) for item in page.get("Parts", [])]
            if not page.get("IsTruncated"):
                return parts
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}

    async def list_uploads(self, prefix: str) -> Sequence[OpenUpload]:
        """Every open upload whose key begins with ``prefix``."""
        uploads: list[OpenUpload] = []
        more: dict[str, str] = {}
        while True:
            page = await self._calls.call(
                "small", "list_multipart_uploads", None, prefix=prefix, **more
            )
            uploads += [open_upload(item, self._calls.prefix) for item in page.get("Uploads", [])]
            if not page.get("IsTruncated"):
                return uploads
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    async def abort_rule_days(self) -> int | None:
        """After how many days a lifecycle rule aborts uploads below the prefix; None: no rule.

        Raises:
            UploadError: the rules cannot be read.
        """
        try:
            answer = await self._calls.of_bucket("get_bucket_lifecycle_configuration")
        except FOREIGN as error:
            if code_of(error)[1] == "NoSuchLifecycleConfiguration":
                return None
            raise self._calls.translated(
                error, "get_bucket_lifecycle_configuration", None
            ) from error
        rules = answer.get("Rules", [])
        days = [abort_days(rule) for rule in rules if covers(rule, self._calls.prefix)]
        return min((number for number in days if number), default=None)

    # -- what the endpoint honours -------------------------------------------------------------

    async def probe(self) -> None:
        """Prove that the destination is writable; with profile ``auto``, ask what it honours.

        Raises:
            AccessDeniedError, BucketMissingError
            UploadError: the endpoint does not honour what its named profile claims.
        """
        if self._options.profile is StoreProfile.AUTO:
            if self._identity not in _FOUND:
                _FOUND[self._identity] = await ask(self._calls.attempt, self.url, self._options)
            self._record = _FOUND[self._identity]
        else:
            await prove(self._calls.attempt, self.url, self._options, self._record)
