"""Make a staged object visible, once, and look at it afterwards; never guess."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncpipe.errors import (
    ChecksumError,
    DestinationTakenError,
    SourceChangedError,
    TransientStoreError,
    UploadError,
    UploadMissingError,
)
from asyncpipe.model.store import (
    ChecksumMode,
    ObjectInfo,
    StoredPart,
    UploadHandle,
    crc64nvme_base64,
)
from asyncpipe.model.transfer import FileDigests, Target, TransferOptions, Verify
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, repeated
from asyncpipe.system.crc import crc64nvme
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.digests import multipart_etag, read_exactly
from asyncpipe.upload.parts import SMALLEST_PART_BYTES
from asyncpipe.upload.read_back import differences
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.resume import NONCE_KEY
from asyncpipe.upload.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """All that is needed to make one object visible and to recognise it."""

    store: ObjectStore
    options: TransferOptions
    target: Target
    nonce: str
    digests: FileDigests

    async def of_parts(self, handle: UploadHandle, parts: Sequence[StoredPart]) -> ObjectInfo:
        """Complete a multipart upload.

        Raises:
            ConflictError: 409; S3 wants the upload created again and every part sent again.
            DestinationTakenError: another object has this key.
            ChecksumError: the store refused the object's checksum or size.
        """

        async def complete() -> ObjectInfo:
            return await self.store.complete_upload(
                handle,
                parts,
                size_bytes=self.digests.size_bytes,
                crc64nvme_base64=self.digests.crc64nvme_base64,
                create_only=not self.target.overwrite,
                timeout_s=self.options.complete_timeout_s,
            )

        if not self.store.capabilities.conditional_complete:
            await refuse_taken(self.store, self.target, self.nonce, self.options)
        return await self._settled(complete)

    async def of_body(self, body: bytes) -> ObjectInfo:
        """Store a small object whole."""

        async def put() -> ObjectInfo:
            return await self.store.put(
                self.target.key,
                body,
                content_type=self.target.content_type,
                metadata={**self.target.metadata, NONCE_KEY: self.nonce},
                create_only=not self.target.overwrite,
            )

        if not self.store.capabilities.conditional_put:
            await refuse_taken(self.store, self.target, self.nonce, self.options)
        return await self._settled(put)

    def is_ours(self, info: ObjectInfo) -> bool:
        """Whether this very upload made the object."""
        return info.metadata.get(NONCE_KEY) == self.nonce

    async def _look(self) -> ObjectInfo | None:
        return await repeated(lambda: self.store.head(self.target.key), self.options.retry)

    async def _settled(self, act: Callable[[], Awaitable[ObjectInfo]]) -> ObjectInfo:
        """Act; when the outcome is unknown, look at the object.

        A refusal (412, NoSuchUpload) may be the echo of an earlier attempt of ours that had
        worked while its answer was lost, so it is looked into as well.
        """
        retries = Retries(self.options.retry)
        while True:
            try:
                await act()
                return await self._seen()
            except (TransientStoreError, UploadMissingError, DestinationTakenError) as error:
                found = await self._look()
                if found is not None and self.is_ours(found):
                    return found
                unknown = isinstance(error, TransientStoreError) or (
                    isinstance(error, UploadMissingError) and retries.attempt > 1
                )  # a store that still assembles knows neither the upload nor the object
                if not unknown:
                    raise
                await retries.pause(error)

    async def _seen(self) -> ObjectInfo:
        info = await self._look()
        if info is None:
            raise UploadError(
                f"{self.store.url_of(self.target.key)} was completed but is not there",
                hint="another process may have removed it, or the store lost it",
            )
        return info

    async def verified(
        self,
        info: ObjectInfo,
        *,
        part_md5s: Sequence[str | None],
        multipart: bool,
        earlier: bool,
    ) -> tuple[str, ...]:
        """Compare what the store shows with what was sent, and return the checks that held.

        A wrong object is removed, unless an ``earlier`` process had published it: then it was
        right, and the local file is another one now. ``part_md5s`` are base64, in order.

        Raises:
            ChecksumError: size, checksum or bytes differ.
            DestinationTakenError: the object of another upload, or of another file, has this key.
        """
        etag = self._expected_etag(info, part_md5s)
        wrong = self._differences(info, etag)
        read_back = self._must_be_read_back(info, multipart=multipart)
        if read_back and self.is_ours(info) and not wrong:
            policy = self.options.retry
            wrong = await differences(self.store, self.target.key, self.digests, policy)
        if not self.is_ours(info) or (wrong and earlier):
            raise DestinationTakenError(
                f"{self.store.url_of(self.target.key)} is the object of another upload or file"
            )
        if wrong:
            await self.store.delete(self.target.key)
            raise ChecksumError(
                f"{self.store.url_of(self.target.key)} was removed again: {'; '.join(wrong)}"
            )
        checks = self._checks(info, etag, multipart=multipart)
        return (*checks, "read-back") if read_back else checks

    def _must_be_read_back(self, info: ObjectInfo, *, multipart: bool) -> bool:
        """Whether nobody has proven the bytes yet; ``--verify`` takes precedence."""
        if self.options.verify is not Verify.AUTO:
            return self.options.verify is Verify.READ_BACK
        proven = self.store.capabilities.checksum.refuses if multipart else False
        return not proven and info.crc64nvme_base64 is None

    def _expected_etag(self, info: ObjectInfo, part_md5s: Sequence[str | None]) -> str | None:
        """The ETag the object must have, where it can be predicted."""
        known = [md5 for md5 in part_md5s if md5 is not None]
        comparable = self.store.capabilities.comparable_etag and "-" in info.etag
        if not comparable or not known or len(known) != len(part_md5s):
            return None
        return multipart_etag(known)

    async def removed(self, *, unsure: bool) -> str | None:
        """Remove the object if it is ours; returns the sentence for a person if it may stay.

        ``unsure``: the answer to its creation never came, so the store may still be at it.
        """
        url = self.store.url_of(self.target.key)
        try:
            info = await self._look()
            if info is not None and self.is_ours(info):
                await self.store.delete(self.target.key)
                return None
        except UploadError as error:
            return f"{url} may be visible, it could not be removed: {error.message.rstrip('.')}"
        if info is None and unsure:
            return f"{url} may still become visible: its completion was never answered"
        return None

    def _differences(self, info: ObjectInfo, etag: str | None) -> list[str]:
        pairs = [
            ("size", info.size_bytes, self.digests.size_bytes),
            ("CRC64NVME", info.crc64nvme_base64, self.digests.crc64nvme_base64),
            ("ETag", info.etag.strip('"').lower(), etag),
        ]
        return [
            f"its {what} is {found}, sent was {sent}"
            for what, found, sent in pairs
            if found is not None and sent is not None and found != sent
        ]

    def _checks(self, info: ObjectInfo, etag: str | None, *, multipart: bool) -> tuple[str, ...]:
        honoured = self.store.capabilities
        mode = honoured.checksum if multipart else ChecksumMode.NONE
        conditional = honoured.conditional_complete if multipart else honoured.conditional_put
        held = {
            "size": True,
            "nonce": True,
            "crc64nvme": info.crc64nvme_base64 is not None,
            "sha256-parts": mode is ChecksumMode.SHA256_COMPOSITE,
            "crc64nvme-parts": mode is ChecksumMode.CRC64NVME_PARTS,
            "md5-parts": mode in {ChecksumMode.CONTENT_MD5, ChecksumMode.ETAG_MD5},
            "etag-md5": etag is not None,
            "create-only": conditional and not self.target.overwrite,
        }
        return tuple(name for name, true in held.items() if true)


async def read_again(source: Source, budget: Budget, digests: FileDigests) -> bytes:
    """Read a small source again, instead of keeping its bytes from staging to completion."""
    body = bytearray(digests.size_bytes)
    await budget.in_thread(lambda: read_exactly(source.descriptor, memoryview(body), 0))
    if crc64nvme_base64(crc64nvme(memoryview(body))) != digests.crc64nvme_base64:
        raise rewritten(source.path)
    return bytes(body)


def rewritten(path: Path) -> SourceChangedError:
    """The error of a file that changed after it was staged."""
    return SourceChangedError(
        f"{path} was rewritten between its upload and its completion",
        hint="start again once nothing writes to it",
    )


async def refuse_taken(
    store: ObjectStore, target: Target, nonce: str, options: TransferOptions
) -> None:
    """Raise DestinationTakenError when another upload's object has the key."""
    if target.overwrite:
        return
    info = await repeated(lambda: store.head(target.key), options.retry)
    if info is not None and info.metadata.get(NONCE_KEY) != nonce:
        raise DestinationTakenError(
            f"{store.url_of(target.key)} exists already",
            hint="published objects are never replaced: choose another destination",
        )


async def refuse_early(request: UploadRequest, nonce: str) -> None:
    """Raise DestinationTakenError before bytes are sent in vain.

    A small finished file is stored by one call, which the store itself refuses if it can.
    """
    if request.store.capabilities.conditional_put and not request.source.grows:
        await request.source.open()
        if request.source.state.size_bytes <= SMALLEST_PART_BYTES:
            return
    await refuse_taken(request.store, request.target, nonce, request.options)
