"""Asks an S3 endpoint what it really honours, with objects of one byte that it removes again.

A capability is claimed when the right value was accepted and the wrong one refused, on the very
call that will carry it. Whatever else a server answers to a header means that it is not there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import anyio

from asyncpipe.errors import UploadError, flattened
from asyncpipe.model.store import (
    ChecksumMode,
    ServerSideEncryption,
    StoreOptions,
    StoreProfile,
)
from asyncpipe.stores.s3.answers import unquoted
from asyncpipe.stores.s3.probe.question import BODY, Probe, Request, probing
from asyncpipe.stores.s3.probe.trial_upload import TrialUpload, whole_of
from asyncpipe.stores.s3.profiles import RECORDS, S3Record

_MD5_HEX: Final = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
_OTHER_ETAG: Final = hashlib.md5(b"!", usedforsecurity=False).hexdigest()
_REFUSED: Final = frozenset({400})
_EXISTS: Final = frozenset({412})
# whose wrong value is looked for in UploadPart, strongest first
_DIGESTS: Final = (
    ChecksumMode.CRC64NVME_FULL,
    ChecksumMode.SHA256_COMPOSITE,
    ChecksumMode.CONTENT_MD5,
)


async def prove(request: Request, url: str, options: StoreOptions, record: S3Record) -> None:
    """Prove that objects can be made below the prefix, and what a named profile claims.

    Raises:
        UploadError: the endpoint does not do what the profile says.
    """
    claimed = record.capabilities
    async with probing(request, url, options) as probe:
        create_only: dict[str, Any] = {"IfNoneMatch": "*"} if claimed.conditional_put else {}
        await probe.put("a", record.small, **create_only)
        if create_only and not await probe.put_refused("a", _EXISTS, record.small, **create_only):
            raise _never(claimed.profile, "replaces an object that was to be created")
        if claimed.checksum in _DIGESTS:
            upload = TrialUpload(probe, "m", claimed.checksum)
            async with upload:
                if not await upload.refuses_wrong_part():
                    raise _never(claimed.profile, "stores a part whose digest is wrong")


def _never(profile: str, what: str) -> UploadError:
    return UploadError(
        f"The endpoint {what}, which profile {profile} would never do.",
        hint="--s3-profile auto asks the endpoint what it honours.",
    )


async def ask(request: Request, url: str, options: StoreOptions) -> S3Record:
    """Find out what the endpoint honours; what was not seen to be honoured is not claimed."""
    async with probing(request, url, options) as probe:
        plain = await _plain_put(probe)
        found: list[dict[str, Any]] = []

        async def learn(about: Callable[[Probe, ChecksumMode], Awaitable[dict[str, Any]]]) -> None:
            found.append(await about(probe, plain))

        with flattened():
            async with anyio.create_task_group() as tasks:
                for about in (_small_objects, _conditions, _multipart, _head):
                    tasks.start_soon(learn, about)
    seen = {name: value for one in found for name, value in one.items()}
    if options.sse is ServerSideEncryption.KMS:
        seen["comparable_etag"] = False
    wire = {name: seen.pop(name) for name in ("quoted_if_match", "head_checksum", "small")}
    return S3Record(
        capabilities=replace(RECORDS[StoreProfile.AUTO].capabilities, **seen),
        **wire,
    )


async def _plain_put(probe: Probe) -> ChecksumMode:
    """Prove the right to write; return whether Content-MD5 may be sent (Object Lock wants one)."""
    if not await probe.put_refused("a", None, ChecksumMode.CONTENT_MD5):
        return ChecksumMode.CONTENT_MD5
    await probe.put("a", ChecksumMode.NONE)
    return ChecksumMode.NONE


async def _small_objects(probe: Probe, plain: ChecksumMode) -> dict[str, Any]:
    """The digest that PutObject compares, Content-MD5 where it takes no better one."""
    for mode in (ChecksumMode.CRC64NVME_FULL, ChecksumMode.SHA256_COMPOSITE):
        wrong = await probe.put_refused("a", _REFUSED, mode, wrong=True)
        if wrong and not await probe.put_refused("a", None, mode):
            return {"small": mode}
    return {"small": plain}


async def _head(probe: Probe, plain: ChecksumMode) -> dict[str, Any]:
    del plain
    refused = await probe.refused("head_object", "a", None, ChecksumMode="ENABLED")
    return {"head_checksum": not refused}


async def _conditions(probe: Probe, plain: ChecksumMode) -> dict[str, Any]:
    """If-None-Match and If-Match of PutObject; the second with the ETag in quotes or without."""
    create: dict[str, Any] = {"IfNoneMatch": "*"}
    refuses = await probe.put_refused("a", _EXISTS, plain, **create)
    creates = refuses and not await probe.put_refused("b", None, plain, **create)
    swap, quoted = False, True
    for quote in ('"', ""):
        etag = unquoted(await probe.put("b", plain))
        wrong = f"{quote}{_OTHER_ETAG}{quote}"
        if not await probe.put_refused("b", _EXISTS, plain, IfMatch=wrong):
            break
        if not await probe.put_refused("b", None, plain, IfMatch=f"{quote}{etag}{quote}"):
            swap, quoted = True, quote == '"'
            break
    return {"conditional_put": creates, "compare_and_swap": swap, "quoted_if_match": quoted}


async def _multipart(probe: Probe, plain: ChecksumMode) -> dict[str, Any]:
    """The strongest digest of a part that is compared, and what Complete compares."""
    del plain
    parts_only: dict[str, Any] | None = None
    for mode in _DIGESTS:
        async with TrialUpload(probe, f"m-{mode}", mode) as upload:
            if not await upload.can_be_made() or not await upload.refuses_wrong_part():
                continue
            found = await _complete(upload)
        if mode is ChecksumMode.CRC64NVME_FULL and not found.pop("whole"):
            # Swift compares it for parts, but not for the whole
            parts_only = {**found, "checksum": ChecksumMode.CRC64NVME_PARTS}
            continue
        found.pop("whole", None)
        return {**found, "checksum": mode}
    if parts_only is not None:
        return parts_only
    async with TrialUpload(probe, "m-none", ChecksumMode.NONE) as upload:
        found = await _complete(upload)
    found.pop("whole")
    # an ETag that echoes a wrong Content-MD5 is not the MD5 of what arrived
    honest = found["comparable_etag"] and not upload.echoes
    found["comparable_etag"] = honest
    return {**found, "checksum": ChecksumMode.ETAG_MD5 if honest else ChecksumMode.NONE}


async def _complete(upload: TrialUpload) -> dict[str, Any]:
    """Complete with each wrong value, then with all right ones that the store takes at once."""
    whole = whole_of(upload.mode)
    refused = {
        "whole": bool(whole)
        and await upload.complete_refused(_REFUSED, **whole_of(upload.mode, wrong=True)),
        "size": await upload.complete_refused(_REFUSED, MpuObjectSize=2),
    }
    wanted: dict[str, Mapping[str, Any]] = {
        "create": {"IfNoneMatch": "*"},
        "size": {"MpuObjectSize": 1} if refused["size"] else {},
        "whole": whole if refused["whole"] else {},
    }
    accepted = await upload.completed_with(wanted)
    create = "create" in accepted and await upload.complete_refused(_EXISTS, IfNoneMatch="*")
    return {
        "whole": "whole" in accepted,
        "object_size_checked": "size" in accepted,
        "conditional_complete": create,
        "comparable_etag": upload.etag == _MD5_HEX,
    }
