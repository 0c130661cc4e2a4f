"""XVA + log + metadata -> Publication: everything under one timestamp, or nothing.

Nothing is visible before the XVA is wholly at the store and was judged good. Then image and log
become visible together, then metadata.json, which names their digests and is the commit mark
that readers wait for. What became visible before a failure is taken back.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from asyncpipe.errors import DestinationTakenError, TransientStoreError, UploadError
from asyncpipe.model import store_keys
from asyncpipe.model.log import SealedLog
from asyncpipe.model.publication import Publication
from asyncpipe.model.store import ObjectInfo, crc64nvme_base64
from asyncpipe.model.transfer import (
    FileDigests,
    PublishedObject,
    StagedObject,
    Target,
    TransferOptions,
)
from asyncpipe.ports import ObjectStore
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.digests import crc64nvme
from asyncpipe.upload.source import FinishedFile
from asyncpipe.upload.upload import open_upload

XVA_TYPE = "application/octet-stream"
LOG_TYPE = "text/plain; charset=utf-8"
METADATA_TYPE = "application/json"
_TAKE_BACK_S = 4.0  # a cancelled step has seconds


class StagedXva(Protocol):
    """An XVA of which every byte is at the store; ``complete`` makes it visible."""

    @property
    def target(self) -> Target:
        """Where it will stand."""
        ...

    async def complete(self) -> PublishedObject:
        """Make it visible."""
        ...

    async def take_back(self) -> None:
        """Remove it again if it became visible; UploadError."""
        ...


Compose = Callable[[PublishedObject, PublishedObject], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The store and what bounds the traffic to it."""

    store: ObjectStore
    budget: Budget
    options: TransferOptions


async def publish(
    destination: Destination, folder_key: str, xva: StagedXva, log: SealedLog, compose: Compose
) -> Publication:
    """Make the version visible under ``folder_key``; ``compose(xva, log)`` gives metadata.json.

    Raises:
        DestinationTakenError: something already stands under this timestamp.
        UploadError: the store failed; nothing of this version is left visible, or the message
            names what could not be taken back.
    """
    visible: list[str] = []
    try:
        sent: dict[str, PublishedObject] = {}

        async def complete_xva() -> None:
            sent["xva"] = await xva.complete()

        async def send_log() -> None:
            sent["log"] = await send_file(
                destination,
                Target(key=f"{folder_key}/{store_keys.LOG_NAME}", content_type=LOG_TYPE),
                log,
            )
            visible.append(sent["log"].key)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(complete_xva)
            tasks.start_soon(send_log)
        body = compose(sent["xva"], sent["log"])
        metadata = await put_once(
            destination.store, f"{folder_key}/{store_keys.METADATA_NAME}", body
        )
    except BaseException:
        await _take_back(destination.store, xva, visible)
        raise
    return Publication(
        folder_key=folder_key,
        folder_url=destination.store.url_of(folder_key),
        xva=sent["xva"],
        metadata=metadata,
        log=sent["log"],
    )


async def publish_failure(
    destination: Destination, folder_key: str, log: SealedLog | None, metadata: bytes
) -> str:
    """Leave the log and the metadata of a build that was not published; returns the log's URL."""
    if log is not None:
        target = Target(key=f"{folder_key}/{store_keys.LOG_NAME}", content_type=LOG_TYPE)
        await send_file(destination, target, log)
    await put_once(destination.store, f"{folder_key}/{store_keys.METADATA_NAME}", metadata)
    return destination.store.url_of(
        f"{folder_key}/{store_keys.LOG_NAME}" if log else f"{folder_key}/{store_keys.METADATA_NAME}"
    )


async def send_file(destination: Destination, target: Target, log: SealedLog) -> PublishedObject:
    """Send a sealed log; its digest is compared with what sealing saw.

    Raises:
        UploadError: the file is not what was sealed.
    """
    source = FinishedFile(log.path)
    async with open_upload(
        destination.store, target, source, budget=destination.budget, options=destination.options
    ) as upload:
        staged: StagedObject = await upload.stage()
        if staged.digests.sha256_hex != log.sha256_hex:
            raise UploadError(f"{log.path} changed after it was sealed; it was not published.")
        return await upload.complete(staged)


async def put_once(store: ObjectStore, key: str, body: bytes) -> PublishedObject:
    """Create a small JSON object, settling a lost answer by looking at what is there.

    Raises:
        DestinationTakenError: another object stands there.
    """
    try:
        info = await store.put(key, body, content_type=METADATA_TYPE, create_only=True)
    except (DestinationTakenError, TransientStoreError):
        info = await _ours(store, key, body)
    return _small(store, key, body, info)


async def _ours(store: ObjectStore, key: str, body: bytes) -> ObjectInfo:
    stored = await store.get(key, max_bytes=len(body) + 1)
    if stored.body != body:
        raise DestinationTakenError(
            f"{store.url_of(key)} already exists and is another object.",
            hint="Each run has a timestamp of its own; start a new run.",
        )
    return stored.info


def _small(store: ObjectStore, key: str, body: bytes, info: ObjectInfo) -> PublishedObject:
    digests = FileDigests(
        size_bytes=len(body),
        sha256_hex=hashlib.sha256(body).hexdigest(),
        crc64nvme_base64=crc64nvme_base64(crc64nvme(body)),
    )
    return PublishedObject(
        key=key,
        url=store.url_of(key),
        digests=digests,
        info=info,
        checks=("create-only",),
        part_count=1,
    )


async def _take_back(store: ObjectStore, xva: StagedXva, keys: list[str]) -> None:
    """Remove what this run made visible, bounded; what stays is a folder that reap knows.

    The image is looked at: cut off within its completion nobody knows whether it is there.
    """
    with anyio.move_on_after(_TAKE_BACK_S, shield=True):
        with contextlib.suppress(UploadError):
            await xva.take_back()
        for key in keys:
            with contextlib.suppress(UploadError):
                await store.delete(key)
