"""XVA + log + metadata -> Publication: everything under one timestamp, or nothing.

Nothing is visible before the XVA is wholly at the store and was judged good. Then the log becomes
visible, then the image, then metadata.json, which names their digests and is the commit mark that
readers wait for. What became visible before a failure is taken back, unless the commit mark may be
there: where its answer was lost, the version is either whole or a folder that reap and --resume
know.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from asyncpipe.errors import (
    DestinationTakenError,
    UploadError,
)
from asyncpipe.model import store_keys
from asyncpipe.model.boot.result import SCREENSHOT_NAME
from asyncpipe.model.log import SealedLog
from asyncpipe.model.publication import Publication
from asyncpipe.model.store import crc64nvme_base64
from asyncpipe.model.transfer import FileDigests, PublishedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.run.publishing.attest import Attestation, SignedObject
from asyncpipe.run.publishing.commit import Commit, put_once
from asyncpipe.system.crc import crc64nvme
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import UploadSession, open_upload
from asyncpipe.upload.source import FinishedFile

XVA_TYPE = "application/octet-stream"
LOG_TYPE = "text/plain; charset=utf-8"
PICTURE_TYPE = "image/png"
_TAKE_BACK_S = 4.0  # a cancelled step has seconds
_MAX_ATTEMPTS = 100  # of one run that fails again and again


class StagedObjectSession(Protocol):
    """An object of which every byte is at the store; ``complete`` makes it visible."""

    @property
    def target(self) -> Target:
        """Where it will be."""
        ...

    async def complete(self) -> PublishedObject:
        """Make it visible."""
        ...

    async def take_back(self, error: BaseException) -> str | None:
        """Remove it again if it became visible; returns a sentence if it may have stayed."""
        ...


Compose = Callable[[PublishedObject, PublishedObject], bytes]
Warn = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The store, what bounds the traffic to it, and who is warned of what was left behind."""

    store: ObjectStore
    budget: Budget
    options: TransferOptions
    warn: Warn = field(default=lambda _code, _message: None)


async def publish(
    destination: Destination,
    folder_key: str,
    xva: StagedObjectSession,
    log: SealedLog,
    compose: Compose,
    *,
    attestation: Attestation | None = None,
) -> Publication:
    """Make the version visible under ``folder_key``; ``compose(xva, log)`` gives metadata.json.

    ``attestation`` signs metadata.json; the signed statement is stored before it.

    Raises:
        SignatureError: it could not be signed. Nothing of this version is left visible.
        DestinationTakenError: something already exists under this timestamp.
        UploadError: the store failed. Nothing of this version is left visible, or a warning names
            it.
    """
    store = destination.store
    commit = Commit(store, f"{folder_key}/{store_keys.METADATA_NAME}", destination.options.retry)
    made: list[StagedObjectSession] = []  # what may be visible
    async with contextlib.AsyncExitStack() as stack:
        try:
            log_target = Target(key=f"{folder_key}/{store_keys.LOG_NAME}", content_type=LOG_TYPE)
            log_session = await stack.enter_async_context(
                open_upload(_request(destination, log_target, log))
            )
            try:
                await _stage_log(log_session, log)
                made.append(log_session)
                sent_log = await log_session.complete()
            except DestinationTakenError:
                sent_log = await _same_log(store, log_target.key, log)
            made.append(xva)
            sent_xva = await xva.complete()
            body = compose(sent_xva, sent_log)
            provenance: PublishedObject | None = None
            if attestation is not None:
                body = await commit.standing(body)
                signed = SignedObject(
                    store,
                    f"{folder_key}/{attestation.name}",
                    await attestation.sign(body),
                    destination.options.retry,
                )
                made.append(signed)
                provenance = await signed.complete()
            metadata = await commit.write(body)
        except BaseException as error:
            await _undo(destination, commit, made, error)
            raise
    return Publication(
        folder_key=folder_key,
        folder_url=store.url_of(folder_key),
        xva=sent_xva,
        metadata=metadata,
        log=sent_log,
        provenance=provenance,
    )


async def publish_failure(
    destination: Destination,
    folder_key: str,
    log: SealedLog | None,
    metadata: bytes,
    picture: bytes = b"",
) -> str:
    """Leave the log and the metadata of a build that was not published; returns the log's URL.

    ``picture`` is a PNG of the screen of an image that failed its boot test.

    A run that fails again after ``--resume`` leaves them beside the earlier ones, under names of
    their own.

    Raises:
        UploadError: the store failed.
    """
    for attempt in range(1, _MAX_ATTEMPTS):
        with contextlib.suppress(DestinationTakenError):
            return await _leave_failure(destination, folder_key, log, (picture, metadata), attempt)
    return await _leave_failure(destination, folder_key, log, (picture, metadata), _MAX_ATTEMPTS)


async def _leave_failure(
    destination: Destination,
    folder_key: str,
    log: SealedLog | None,
    small: tuple[bytes, bytes],
    attempt: int,
) -> str:
    picture, metadata = small
    log_key, picture_key, key = (
        f"{folder_key}/{store_keys.attempt_name(name, attempt)}"
        for name in (store_keys.LOG_NAME, SCREENSHOT_NAME, store_keys.METADATA_NAME)
    )
    if log is not None:
        async with open_upload(
            _request(destination, Target(key=log_key, content_type=LOG_TYPE), log)
        ) as session:
            try:
                await _stage_log(session, log)
                await session.complete()
            except DestinationTakenError:
                await _same_log(destination.store, log_key, log)
    store, retry = destination.store, destination.options.retry
    if picture:
        await put_once(store, picture_key, picture, retry, content_type=PICTURE_TYPE)
    await put_once(store, key, metadata, retry)
    return destination.store.url_of(log_key if log else key)


def _request(destination: Destination, target: Target, log: SealedLog) -> UploadRequest:
    return UploadRequest(
        store=destination.store,
        target=target,
        source=FinishedFile(log.path),
        budget=destination.budget,
        options=destination.options,
        warn=destination.warn,
    )


async def _stage_log(session: UploadSession, log: SealedLog) -> None:
    """Send a sealed log's bytes; UploadError if the file is not what was sealed."""
    staged = await session.stage()
    if staged.digests.sha256_hex != log.sha256_hex:
        raise UploadError(f"{log.path} changed after it was sealed; it was not published.")


async def _same_log(store: ObjectStore, key: str, log: SealedLog) -> PublishedObject:
    """Return the log that an interrupted run of this very version had stored already.

    Raises:
        DestinationTakenError: it is another one.
    """
    info = await store.head(key)
    taken = DestinationTakenError(
        f"{store.url_of(key)} already exists and is another log.",
        hint="Each run has a timestamp of its own; start a new run.",
    )
    if info is None or info.size_bytes != log.size_bytes:
        raise taken
    sha256, crc = hashlib.sha256(), 0
    async with store.stream(key) as pieces:
        async for piece in pieces:
            sha256.update(piece)
            crc = crc64nvme(piece, crc)
    if sha256.hexdigest() != log.sha256_hex:
        raise taken
    digests = FileDigests(
        size_bytes=log.size_bytes,
        sha256_hex=log.sha256_hex,
        crc64nvme_base64=crc64nvme_base64(crc),
    )
    return PublishedObject(
        key=key, url=store.url_of(key), digests=digests, info=info, checks=("size",), part_count=1
    )


async def _undo(
    destination: Destination,
    commit: Commit,
    made: list[StagedObjectSession],
    error: BaseException,
) -> None:
    """Take back what became visible, image first, unless metadata.json may name it; bounded."""
    if commit.may_be_visible:
        if commit.is_unknown:
            destination.warn(
                "half-published",
                f"Whether {commit.url} was stored is not known, so nothing was removed: --resume"
                " publishes the version, asyncpipe reap removes what is not whole",
            )
        return
    for session in reversed(made):
        url = destination.store.url_of(session.target.key)
        left: str | None = f"{url} may be visible: the store did not answer in time"
        with anyio.move_on_after(_TAKE_BACK_S, shield=True):
            left = await _taken_back(session, error)
        if left:
            destination.warn("half-published", f"{left.rstrip('.')}; asyncpipe reap removes it")


async def _taken_back(session: StagedObjectSession, error: BaseException) -> str | None:
    try:
        return await session.take_back(error)
    except Exception as problem:  # noqa: BLE001 - what ended the publication says more
        return f"{session.target.key} may be visible, it could not be removed: {problem}"
