"""Asks an S3 endpoint what it really honours, with objects of one byte that it removes again."""

from __future__ import annotations

import contextlib
import hashlib
import math
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import aiohttp
import anyio
from awscrt.checksums import crc64nvme
from botocore.exceptions import BotoCoreError, ClientError

from asyncpipe.errors import TransientStoreError, UploadError
from asyncpipe.model.store import (
    ChecksumMode,
    ServerSideEncryption,
    StoreOptions,
    StoreProfile,
    crc64nvme_base64,
)
from asyncpipe.model.store_keys import PROBE_ROOT
from asyncpipe.stores.s3.answers import unquoted
from asyncpipe.stores.s3.errors import code_of, translated
from asyncpipe.stores.s3.profiles import RECORDS, S3Record
from asyncpipe.stores.s3.requests import object_parameters, upload_parameters

_BODY = b"?"
_CRC = crc64nvme_base64(crc64nvme(_BODY))
_CRC_WRONG = crc64nvme_base64(crc64nvme(b"!"))
_SHA256_WRONG = b64encode(hashlib.sha256(b"!").digest()).decode()
_MD5 = b64encode(hashlib.md5(_BODY, usedforsecurity=False).digest()).decode()
_MD5_WRONG = b64encode(hashlib.md5(b"!", usedforsecurity=False).digest()).decode()
_LIMIT_S = 60
_CLEAN_UP_S = 20
_CANCELLED_CLEAN_UP_S = 2  # twice at most: a runner that cancels kills after ten
_REFUSALS = {400, 404, 409, 412, 501}  # an answer about the request, not about access or load
_FOREIGN = (BotoCoreError, ClientError, aiohttp.ClientError, OSError)


class Request(Protocol):
    """One attempt of a raw call on a key of the store; botocore's errors come through."""

    async def __call__(self, operation: str, key: str | None, /, **parameters: Any) -> Any:
        """Return botocore's answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    request: Request
    key: str
    extra: Mapping[str, Any]

    async def refused(
        self, operation: str, *, status: int | None = None, **parameters: Any
    ) -> bool:
        """Tell whether the call was refused (with ``status``, when given) or accepted.

        Raises:
            UploadError: the endpoint answered about access or load, so nothing was learnt.
        """
        try:
            await self.request(operation, self.key, **parameters)
        except _FOREIGN as error:
            got, _ = code_of(error)
            if got not in _REFUSALS:
                raise
            return status in {None, got}
        return False

    async def put(self, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request(
            "put_object", self.key, Body=_BODY, **self.extra, **_with_digest(parameters)
        )
        return answer

    async def put_refused(self, *, status: int | None = None, **parameters: Any) -> bool:
        return await self.refused(
            "put_object", status=status, Body=_BODY, **self.extra, **_with_digest(parameters)
        )


def _with_digest(parameters: dict[str, Any]) -> dict[str, Any]:
    """Add Content-MD5 where no digest is there yet: buckets with Object Lock want one."""
    if any(name.startswith(("Checksum", "ContentMD5")) for name in parameters):
        return parameters
    return {**parameters, "ContentMD5": _MD5}


async def prove(request: Request, url: str, options: StoreOptions, record: S3Record) -> None:
    """Prove that objects can be made below the prefix, and the claim that none is replaced."""
    async with _probing(request, url, options) as probe:
        create_only = {"IfNoneMatch": "*"} if record.capabilities.conditional_put else {}
        await probe.put(**create_only)
        if create_only and not await probe.put_refused(status=412, **create_only):
            name = record.capabilities.profile
            raise UploadError(
                f"The endpoint replaces an object that was to be created, which profile {name}"
                " would never do.",
                hint="--s3-profile auto asks the endpoint what it honours.",
            )


async def ask(request: Request, url: str, options: StoreOptions) -> S3Record:
    """Find out what the endpoint honours; what was not seen to be honoured is not claimed."""
    async with _probing(request, url, options) as probe:
        answer = await probe.put()
        checksums = await _checksums(probe)
        swap, quoted = await _compare_and_swap(probe, unquoted(answer))
        multipart = await _multipart(probe, checksums)
        conditional_put = await probe.put_refused(status=412, IfNoneMatch="*")
    encrypted = options.sse is ServerSideEncryption.KMS
    safe = RECORDS[StoreProfile.AUTO].capabilities
    found = replace(
        safe,
        conditional_put=conditional_put,
        compare_and_swap=swap,
        **{**multipart, "comparable_etag": multipart["comparable_etag"] and not encrypted},
    )
    return S3Record(capabilities=found, quoted_if_match=quoted)


@asynccontextmanager
async def _probing(request: Request, url: str, options: StoreOptions) -> AsyncIterator[_Probe]:
    key = f"{PROBE_ROOT}{secrets.token_hex(8)}"
    extra = object_parameters(options, small=True)
    probe = _Probe(request=request, key=key, extra=extra)
    try:
        with anyio.fail_after(_LIMIT_S):
            yield probe
    except _FOREIGN as error:
        raise translated(error, operation="probe", where=url) from error
    except TimeoutError as error:
        raise TransientStoreError(f"{url} was not probed within {_LIMIT_S} s.") from error
    finally:
        with anyio.move_on_after(_clean_up_s(), shield=True), contextlib.suppress(*_FOREIGN):
            # without the right to delete, one object of one byte stays behind
            await request("delete_object", key)


def _clean_up_s() -> float:
    is_cancelled = anyio.current_effective_deadline() == -math.inf
    return _CANCELLED_CLEAN_UP_S if is_cancelled else _CLEAN_UP_S


async def _checksums(probe: _Probe) -> list[ChecksumMode]:
    """The digests of a PutObject whose wrong value is refused, strongest first, NONE last."""
    found = []
    wrong_refused = await probe.put_refused(status=400, ChecksumCRC64NVME=_CRC_WRONG)
    if wrong_refused and not await probe.put_refused(ChecksumCRC64NVME=_CRC):
        found.append(ChecksumMode.CRC64NVME_FULL)
    if await probe.put_refused(status=400, ChecksumSHA256=_SHA256_WRONG):
        found.append(ChecksumMode.SHA256_COMPOSITE)
    if await probe.put_refused(status=400, ContentMD5=_MD5_WRONG):
        found.append(ChecksumMode.CONTENT_MD5)
    return [*found, ChecksumMode.NONE]


async def _compare_and_swap(probe: _Probe, etag: str) -> tuple[bool, bool]:
    """Tell whether If-Match is honoured, and whether with the ETag in quotes."""
    wrong = hashlib.md5(b"!", usedforsecurity=False).hexdigest()
    if not await probe.put_refused(status=412, IfMatch=f'"{wrong}"'):
        return False, True
    if not await probe.put_refused(IfMatch=f'"{etag}"'):
        return True, True
    if not await probe.put_refused(status=412, IfMatch=wrong):
        return False, True
    return not await probe.put_refused(IfMatch=etag), False


async def _multipart(probe: _Probe, checksums: Sequence[ChecksumMode]) -> dict[str, Any]:
    """What Complete compares; the object of the probe is there all the time."""
    checksum = checksums[0]
    creation = upload_parameters(StoreOptions(), checksum)
    conditional = await _complete_refused(probe, creation, status=412, IfNoneMatch="*")
    size = await _complete_refused(probe, creation, MpuObjectSize=2)
    if checksum is ChecksumMode.CRC64NVME_FULL and not await _complete_refused(
        probe, creation, ChecksumCRC64NVME=_CRC_WRONG, ChecksumType="FULL_OBJECT"
    ):
        checksum = checksums[1]  # Swift compares it for parts, but not for the whole
    etag, idempotent = await _completed_twice(probe, creation)
    return {
        "checksum": checksum,
        "conditional_complete": conditional,
        "object_size_checked": size,
        "comparable_etag": etag == hashlib.md5(_BODY, usedforsecurity=False).hexdigest(),
        "idempotent_complete": idempotent,
    }


async def _complete_refused(
    probe: _Probe, creation: Mapping[str, Any], *, status: int | None = None, **conditions: Any
) -> bool:
    upload_id, parts, _ = await _one_part(probe, creation)
    try:
        return await probe.refused(
            "complete_multipart_upload",
            status=status,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **conditions,
        )
    finally:
        await _aborted(probe, upload_id)


async def _completed_twice(probe: _Probe, creation: Mapping[str, Any]) -> tuple[str, bool]:
    upload_id, parts, etag = await _one_part(probe, creation)
    arguments: dict[str, Any] = {"UploadId": upload_id, "MultipartUpload": {"Parts": parts}}
    await probe.request("complete_multipart_upload", probe.key, **arguments)
    again = not await probe.refused("complete_multipart_upload", **arguments)
    return etag, again


async def _one_part(
    probe: _Probe, creation: Mapping[str, Any]
) -> tuple[str, list[dict[str, Any]], str]:
    checksum: dict[str, str] = {}
    if creation.get("ChecksumAlgorithm") == "CRC64NVME":
        checksum = {"ChecksumCRC64NVME": _CRC}
    elif creation:
        checksum = {"ChecksumSHA256": b64encode(hashlib.sha256(_BODY).digest()).decode()}
    created = await probe.request("create_multipart_upload", probe.key, **creation, **probe.extra)
    upload_id = created["UploadId"]
    try:
        sent = await probe.request(
            "upload_part", probe.key, UploadId=upload_id, PartNumber=1, Body=_BODY, **checksum
        )
    except BaseException:
        await _aborted(probe, upload_id)
        raise
    return upload_id, [{"PartNumber": 1, "ETag": sent["ETag"], **checksum}], unquoted(sent)


async def _aborted(probe: _Probe, upload_id: str) -> None:
    with anyio.move_on_after(_clean_up_s(), shield=True), contextlib.suppress(*_FOREIGN):
        await probe.request("abort_multipart_upload", probe.key, UploadId=upload_id)
