"""ObjectStore on S3: raw calls of aioboto3, precomputed checksums, zero-copy parts."""

from __future__ import annotations

import contextlib
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from asyncpipe.errors import (
    AccessDeniedError,
    ChecksumError,
    ObjectMissingError,
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
from asyncpipe.ports import ObjectStore, Piece
from asyncpipe.stores.s3.answers import (
    object_info,
    open_upload,
    stored_part,
    unquoted,
)
from asyncpipe.stores.s3.calls import S3Calls
from asyncpipe.stores.s3.creating import create, create_and_look
from asyncpipe.stores.s3.errors import UnexplainedError
from asyncpipe.stores.s3.lifecycle import abort_rule_days
from asyncpipe.stores.s3.pages import pages
from asyncpipe.stores.s3.probe.ask import ask, prove
from asyncpipe.stores.s3.profiles import RECORDS, S3Record
from asyncpipe.stores.s3.reading import open_body, read_pieces, read_small
from asyncpipe.stores.s3.requests import (
    complete_body,
    complete_parameters,
    object_parameters,
    part_checksum,
    small_checksum,
    upload_parameters,
)
from asyncpipe.stores.s3.session import S3Client
from asyncpipe.stores.s3.wire.body import PartBody
from asyncpipe.stores.s3.wire.exchange import exchanging

# what ``probe`` found out, by endpoint, bucket and encryption; for this process only
_FOUND: dict[tuple[str, str, str], S3Record] = {}


class S3Store:
    """An ObjectStore in one bucket below one prefix; keys are relative to the prefix."""

    def __init__(
        self, client: S3Client, *, bucket: str, prefix: str, options: StoreOptions
    ) -> None:
        self._calls = S3Calls(client, bucket, prefix)
        self._options = options
        self._identity = (client.endpoint, bucket, str(options.sse))
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
            **small_checksum(self._record.small, body),
            "Body": body,
            "ContentType": content_type,
            "Metadata": dict(metadata or {}),
        }
        if create_only:
            way = create if self.capabilities.conditional_put else create_and_look
            answer = await way(self._calls, key, parameters)
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

    async def get(self, key: str, *, max_bytes: int) -> StoredBytes:
        """Read a small object whole; ObjectMissingError; UploadError when above ``max_bytes``."""
        return await read_small(self._calls, key, max_bytes)

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        """Read an object, or a range of it, as it arrives; a reset is a TransientStoreError.

        Raises:
            UploadError: the store answers a range with other bytes than were asked for.
        """
        opened = await open_body(self._calls, key, offset_bytes, size_bytes)
        async with opened as body, aclosing(read_pieces(self._calls, body, key)) as pieces:
            yield pieces

    async def download_url(self, key: str, *, expires_s: int) -> str:
        """Return an address that fetches an object without credentials for ``expires_s``.

        The endpoint is that of this store. With temporary credentials it ends when they do.
        """
        return await self._calls.presigned("get_object", key, expires_s)

    async def head(self, key: str) -> ObjectInfo | None:
        """Look at an object, with its checksum where the store has one; None when absent."""
        try:
            return object_info(key, await self._head(key))
        except ObjectMissingError:
            return None

    async def _head(self, key: str) -> dict[str, Any]:
        """Ask by HEAD; where that is refused without a reason, by GET, which says why."""
        if self._record.head_checksum:
            with contextlib.suppress(UnexplainedError):
                return await self._calls.call("small", "head_object", key, ChecksumMode="ENABLED")
        try:
            answer = await self._calls.call("small", "head_object", key)
        except UnexplainedError:
            answer = await self._calls.call("small", "get_object", key)
            answer["Body"].close()
        else:
            self._record = replace(self._record, head_checksum=False)  # not asked for again
        return answer

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, in key order, page by page."""
        listing = pages(self._calls, "list_objects_v2", None, prefix=prefix)
        async with aclosing(listing) as found:
            async for page in found:
                for item in page:
                    key = item["Key"].removeprefix(self._calls.prefix)
                    if key:
                        yield object_info(key, item)

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

    async def copy_part(
        self,
        handle: UploadHandle,
        number: int,
        source: ObjectStore,
        *,
        offset_bytes: int,
        size_bytes: int,
    ) -> StoredPart | None:
        """Let the endpoint copy a range of the upload's key at ``source``; None: it cannot."""
        if not isinstance(source, S3Store):
            return None
        there = source._calls  # noqa: SLF001 - another of our own class
        span = {"offset_bytes": offset_bytes, "size_bytes": size_bytes}
        return await self._calls.copy_part(there, handle, number, **span)

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
            body = complete_body(parts, self.capabilities.checksum)
            with anyio.fail_after(timeout_s), exchanging(body=body):
                answer = await self._calls.call(
                    "once",
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
        listing = pages(self._calls, "list_parts", handle.key, UploadId=handle.upload_id)
        async with aclosing(listing) as found:
            return [stored_part(item) async for page in found for item in page]

    async def list_uploads(self, prefix: str) -> Sequence[OpenUpload]:
        """Every open upload whose key begins with ``prefix``.

        MinIO lists the uploads of one whole key, or all of the bucket: where a prefix has none,
        the bucket is asked.
        """
        found = await self._uploads(prefix=prefix)
        if not found:
            with contextlib.suppress(AccessDeniedError):  # a policy may allow the prefix alone
                found = await self._uploads(prefix=None)
        return [one for one in found if one.handle.key.startswith(prefix)]

    async def _uploads(self, *, prefix: str | None) -> Sequence[OpenUpload]:
        listing = pages(self._calls, "list_multipart_uploads", None, prefix=prefix)
        root = self._calls.prefix
        async with aclosing(listing) as found:
            return [
                open_upload(item, root)
                async for page in found
                for item in page
                if str(item["Key"]).startswith(root)
            ]

    async def abort_rule_days(self) -> int | None:
        """After how many days a lifecycle rule aborts uploads below the prefix; None: no rule.

        Raises:
            UploadError: the rules cannot be read.
        """
        return await abort_rule_days(self._calls)

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
