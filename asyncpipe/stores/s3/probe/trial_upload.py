"""A multipart upload of one byte that the probe completes wrongly and rightly."""

from __future__ import annotations

import contextlib
import hashlib
from base64 import b64encode
from collections.abc import Container, Iterable, Mapping
from itertools import combinations
from types import TracebackType
from typing import Any, Final, Self

import anyio
from botocore.exceptions import ClientError

from asyncpipe.model.store import (
    ChecksumMode,
    PartDigests,
    StoredPart,
    StoreOptions,
)
from asyncpipe.stores.s3.answers import unquoted
from asyncpipe.stores.s3.probe.question import BODY, FOREIGN, WRONG_BODY, Probe, clean_up_s
from asyncpipe.stores.s3.requests import (
    completed_part,
    part_checksum,
    upload_parameters,
    whole_checksum,
)
from asyncpipe.stores.s3.wire.body import PartBody
from asyncpipe.system.crc import crc64nvme

_WRONG_MD5_HEX: Final = hashlib.md5(WRONG_BODY, usedforsecurity=False).hexdigest()
_GONE: Final = 404


class TrialUpload:
    """Created when first needed, again when a Complete consumed it, aborted at the end."""

    def __init__(self, probe: Probe, name: str, mode: ChecksumMode) -> None:
        self._probe = probe
        self._name = name
        self.mode = mode
        self._upload_id: str | None = None
        self._has_part = False
        self.etag = ""  # of the part
        self.echoes = False  # the ETag of a part is what Content-MD5 said, not what arrived

    async def __aenter__(self) -> Self:
        """Nothing is asked yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Abort what is open; what cannot be aborted is left to `reap`."""
        if self._upload_id is not None:
            with anyio.move_on_after(clean_up_s(), shield=True), contextlib.suppress(*FOREIGN):
                await self._call("abort_multipart_upload")

    async def can_be_made(self) -> bool:
        """Whether an upload with such checksums may be begun."""
        try:
            await self._begin()
        except ClientError:
            return False
        return True

    async def refuses_wrong_part(self) -> bool:
        """Whether a part with a wrong digest is refused, and one with the right one taken."""
        await self._begin()
        if await self._part_status(WRONG_BODY) != 400:
            return False
        status = await self._right_part_status()
        if status == _GONE:  # rclone drops the upload of a wrong part
            self._forget()
            await self._begin()
            status = await self._right_part_status()
        return status == 200

    async def complete_refused(self, statuses: Container[int], **conditions: Any) -> bool:
        """Whether Complete with ``conditions`` is refused with one of ``statuses``."""
        for _ in range(2):
            await self._have_part()
            status = await self._complete(conditions)
            if status == 200:
                self._name += "+"  # that key exists now
            if status != _GONE:  # a refusal may have dropped the upload
                return status in statuses
        return False

    async def completed_with(self, wanted: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Complete with all that is ``wanted``, or less of it until that is accepted.

        Returns the names of what was accepted at once.

        Raises:
            ClientError: not even a plain Complete is accepted.
        """
        names = [name for name, value in wanted.items() if value]
        for count in range(len(names), 0, -1):
            for chosen in combinations(names, count):
                await self._have_part()
                if await self._complete(_joined(wanted[name] for name in chosen)) == 200:
                    return set(chosen)
        await self._have_part()
        await self._call("complete_multipart_upload", MultipartUpload=self._parts())
        self._forget()
        return set()

    async def _begin(self) -> None:
        if self._upload_id is None:
            answer = await self._probe.call(
                "create_multipart_upload",
                self._name,
                **upload_parameters(StoreOptions(), self.mode),
                **self._probe.extra,
            )
            self._upload_id = str(answer["UploadId"])

    async def _have_part(self) -> None:
        await self._begin()
        if not self._has_part:
            if self.mode is ChecksumMode.NONE and not self.echoes:
                await self._look_for_an_echo()
            answer = await self._call("upload_part", **_part(self.mode, BODY))
            self.etag, self._has_part = unquoted(answer), True

    async def _look_for_an_echo(self) -> None:
        """Send the part with another's Content-MD5, which this store does not compare."""
        with contextlib.suppress(ClientError):
            answer = await self._call("upload_part", **_part(ChecksumMode.CONTENT_MD5, WRONG_BODY))
            self.echoes = unquoted(answer) == _WRONG_MD5_HEX

    async def _complete(self, conditions: Mapping[str, Any]) -> int:
        status = await self._probe.status_of(
            "complete_multipart_upload",
            self._name,
            UploadId=self._upload_id,
            MultipartUpload=self._parts(),
            **conditions,
        )
        if status in {200, _GONE}:
            self._forget()
        return status

    def _forget(self) -> None:
        self._upload_id, self._has_part = None, False

    def _parts(self) -> dict[str, Any]:
        return {"Parts": [completed_part(_stored(BODY, self.etag), self.mode)]}

    async def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return await self._probe.call(operation, self._name, UploadId=self._upload_id, **parameters)

    async def _part_status(self, digested: bytes) -> int:
        return (await self._part_answer(digested))[0]

    async def _right_part_status(self) -> int:
        status, answer = await self._part_answer(BODY)
        if status == 200:
            self.etag, self._has_part = unquoted(answer), True
        return status

    async def _part_answer(self, digested: bytes) -> tuple[int, dict[str, Any]]:
        part = _part(self.mode, digested)
        return await self._probe.answer_of(
            "upload_part", self._name, UploadId=self._upload_id, **part
        )


def _joined(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for mapping in mappings for key, value in mapping.items()}


def whole_of(mode: ChecksumMode, *, wrong: bool = False) -> dict[str, str]:
    """The digest of the whole object in Complete; empty where ``mode`` has none."""
    body = WRONG_BODY if wrong else BODY
    return whole_checksum(mode, [_stored(body, "")], _stored(body, "").crc64nvme_base64 or "")


def _part(mode: ChecksumMode, digested: bytes) -> dict[str, Any]:
    """Part 1, which is always ``BODY``, with the digest of ``digested``."""
    md5 = hashlib.md5(digested, usedforsecurity=False).digest()
    digests = PartDigests(
        crc64nvme=crc64nvme(digested),
        sha256_base64=b64encode(hashlib.sha256(digested).digest()).decode(),
        md5_base64=b64encode(md5).decode(),
    )
    body = PartBody(memoryview(BODY))
    return {"PartNumber": 1, "Body": body, **part_checksum(mode, digests)}


def _stored(body: bytes, etag: str) -> StoredPart:
    return StoredPart(
        number=1,
        size_bytes=len(body),
        etag=etag,
        crc64nvme_base64=b64encode(crc64nvme(body).to_bytes(8, "big")).decode(),
        sha256_base64=b64encode(hashlib.sha256(body).digest()).decode(),
    )
