"""One source -> one stored object: staged first, visible only when completed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from asyncpipe.errors import (
    AsyncpipeError,
    ChecksumError,
    ConflictError,
    DestinationTakenError,
    SourceChangedError,
    UploadError,
    flattened,
    leaf_of,
)
from asyncpipe.model.store import ObjectInfo, StoredPart, UploadHandle, crc64nvme_base64
from asyncpipe.model.transfer import (
    FileDigests,
    Keep,
    PublishedObject,
    StagedObject,
    Target,
    TransferOptions,
)
from asyncpipe.ports import ObjectStore
from asyncpipe.upload.attempt import Attempt, UploadRequest
from asyncpipe.upload.budget import Budget, Lease
from asyncpipe.upload.complete import Completion, refuse_taken
from asyncpipe.upload.digests import Inspector, crc64nvme, multipart_etag, read_exactly
from asyncpipe.upload.sender import Progress, Sender
from asyncpipe.upload.source import Source
from asyncpipe.upload.staging import Staged, Stager

__all__ = ["Inspector", "Upload", "open_upload"]

CONFLICT_ROUNDS = 3  # uploads begun anew after 409 before the conflict is told

Warn = Callable[[str, str], None]


class Upload:
    """An upload in progress: `stage` once, then `complete` once, or leave to drop it."""

    def __init__(self, request: UploadRequest, lease: Lease, progress: Progress) -> None:
        self._request = request
        self._lease = lease
        self._progress = progress
        self._attempt = Attempt(request)
        self._staged: Staged | None = None
        self._began_s = anyio.current_time()

    @property
    def handle(self) -> UploadHandle | None:
        """The open multipart upload at the store, if there is one."""
        return self._attempt.handle

    @property
    def nonce(self) -> str:
        """What the object's metadata says when this very upload made it (``NONCE_KEY``)."""
        return self._attempt.nonce

    @property
    def verdict(self) -> object:
        """What the inspector's ``finish`` returned, once staged."""
        return self._staged.verdict if self._staged else None

    async def stage(self) -> StagedObject:
        """Read, digest, inspect and send every byte; nothing is visible afterwards.

        Raises:
            DestinationTakenError: an object stands at the destination already.
            SourceChangedError: the file is not what was read: start again.
            XvaInvalidError: the inspector rejected the bytes.
            ChecksumError: the store refused bytes that were proven right.
            UploadError: anything else that kept the bytes from the store.
        """
        assert self._staged is None, "an upload is staged once"
        request, attempt = self._request, self._attempt
        await attempt.find_earlier()
        await refuse_taken(request.store, request.target, attempt.nonce, request.options)
        await request.source.open()
        self._staged = await self._pass(again=False)
        return StagedObject(
            target=request.target,
            digests=self._staged.digests(),
            handle=attempt.handle,
            part_count=len(self._staged.parts),
        )

    async def complete(self, staged: StagedObject) -> PublishedObject:
        """Make the staged object visible and compare it with what was sent.

        Raises:
            DestinationTakenError: another object got there first.
            ChecksumError: the store's object is not what was sent; it was removed again.
            ConflictError: concurrent writers, several times in a row.
            UploadError: anything else; look at the destination.
        """
        assert self._staged is not None, "an upload is staged before it is completed"
        request = self._request
        completion = Completion(
            store=request.store,
            options=request.options,
            target=request.target,
            nonce=self._attempt.nonce,
            digests=staged.digests,
        )
        info = await self._make_visible(completion)
        earlier = self._attempt.visible_already
        checks = await completion.verified(
            info,
            etag=self._etag(info),
            multipart=earlier or self._attempt.handle is not None,
            earlier=earlier,
        )
        await self._attempt.forget()
        return PublishedObject(
            key=request.target.key,
            url=request.store.url_of(request.target.key),
            digests=staged.digests,
            info=info,
            checks=checks,
            part_count=len(self._staged.parts),
            resumed_bytes=self._staged.resumed_bytes,
            duration_s=anyio.current_time() - self._began_s,
        )

    async def leave(self, error: BaseException | None) -> str | None:
        """Drop or keep what is not completed; returns the sentence of an abort that failed."""
        try:
            if self._attempt.journal and _may_resume(error, self._request.keep):
                return await self._attempt.keep()
            return await self._attempt.drop()
        finally:
            with anyio.CancelScope(shield=True):
                await self._request.source.close()

    async def _pass(self, *, again: bool) -> Staged:
        """Read and send everything; ``again``: from the start, inspected already."""
        request, attempt = self._request, self._attempt
        if again or not request.source.grows:
            self._progress.total_bytes = request.source.state.size_bytes
        stager = Stager(
            source=request.source,
            plan=attempt.planned(),
            budget=request.budget,
            lease=self._lease,
            sender=Sender(
                store=request.store,
                budget=request.budget,
                options=request.options,
                progress=self._progress,
            ),
            begin=attempt.begin,
            stored=attempt.note,
            inspector=None if again else request.inspector,
            resumption=None if again else attempt.resumption,
            send=not attempt.visible_already,
        )
        with flattened():
            async with anyio.create_task_group() as group:
                if attempt.journal is not None:
                    group.start_soon(attempt.journal.keep)
                staged = await stager.run()
                group.cancel_scope.cancel()
        return staged

    async def _make_visible(self, completion: Completion) -> ObjectInfo:
        earlier = self._attempt.resumption
        if earlier is not None and earlier.visible is not None:
            return earlier.visible
        if self._attempt.handle is None:
            return await completion.of_body(await self._small_body(completion.digests))
        for _ in range(CONFLICT_ROUNDS - 1):
            try:
                return await completion.of_parts(self._attempt.handle, self._stored_parts())
            except ConflictError:
                await self._send_anew(completion.digests)
        return await completion.of_parts(self._attempt.handle, self._stored_parts())

    async def _small_body(self, digests: FileDigests) -> bytes:
        """Read a small source again, instead of keeping its bytes from `stage` to `complete`."""
        source = self._request.source
        body = bytearray(digests.size_bytes)
        await self._request.budget.in_thread(
            lambda: read_exactly(source.descriptor, memoryview(body), 0)
        )
        if crc64nvme_base64(crc64nvme(memoryview(body))) != digests.crc64nvme_base64:
            raise _rewritten(source.path)
        return bytes(body)

    async def _send_anew(self, digests: FileDigests) -> None:
        """After 409 S3 wants a new upload and every part again."""
        await self._attempt.drop()
        self._progress.add(-self._progress.sent_bytes)
        self._staged = await self._pass(again=True)
        if self._staged.digests() != digests:
            raise _rewritten(self._request.source.path)

    def _stored_parts(self) -> list[StoredPart]:
        assert self._staged is not None
        return [self._staged.stored[number] for number in sorted(self._staged.stored)]

    def _etag(self, info: ObjectInfo) -> str | None:
        """The ETag the object must have, where it can be told."""
        assert self._staged is not None
        md5s = [digested.digests.md5_base64 for digested in self._staged.parts]
        known = [md5 for md5 in md5s if md5 is not None]
        comparable = self._request.store.capabilities.comparable_etag and "-" in info.etag
        if not comparable or not known or len(known) != len(md5s):
            return None
        return multipart_etag(known)


@asynccontextmanager
async def open_upload(  # noqa: PLR0913 - choices of one call, all named by the caller
    store: ObjectStore,
    target: Target,
    source: Source,
    *,
    budget: Budget,
    options: TransferOptions,
    inspector: Inspector | None = None,
    journal_path: Path | None = None,
    resume: bool = False,
    keep: Keep = Keep.NEVER,
    expected_size_bytes: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    warn: Warn | None = None,
) -> AsyncIterator[Upload]:
    """Open an upload; leaving without `Upload.complete` drops what was sent.

    Args:
        store: where to.
        target: the key, its content type and metadata.
        source: the file, finished or growing; it is opened by `Upload.stage`, closed here.
        budget: the one of the process.
        options: timeouts, retries, digests.
        inspector: sees every byte in order; a rejection stops the upload.
        journal_path: where the journal is kept; none without it.
        resume: go on with the upload of that journal, where there is one.
        keep: whether a lost store, or a cancellation too, leaves upload and journal for later.
        expected_size_bytes: estimate for a growing file.
        progress: called in the event loop with (sent_bytes, total_bytes or None); must not block.
        warn: called with (code, sentence) when something was left behind at the store.
    """
    request = UploadRequest(
        store=store,
        target=target,
        source=source,
        budget=budget,
        options=options,
        inspector=inspector,
        journal_path=journal_path,
        resume=resume,
        keep=keep,
        expected_size_bytes=expected_size_bytes,
    )
    with budget.lease() as lease:
        upload = Upload(request, lease, Progress(progress))
        try:
            yield upload
        except BaseException as error:
            _tell(await upload.leave(error), warn, error)
            raise
        _tell(await upload.leave(None), warn, None)


def _tell(failed: str | None, warn: Warn | None, error: BaseException | None) -> None:
    if failed is None:
        return
    if warn is not None:
        warn("upload-left-behind", failed)
    if isinstance(error, AsyncpipeError):
        error.hint = f"{error.hint.rstrip('.')}; {failed}" if error.hint else failed
    elif error is not None:
        error.add_note(failed)


def _may_resume(error: BaseException | None, keep: Keep) -> bool:
    """Interrupted and lost uploads go on later; those that went wrong begin anew."""
    if error is None or keep is Keep.NEVER:
        return False
    leaf = leaf_of(error)
    if not isinstance(leaf, Exception):
        return keep is Keep.INTERRUPTED
    wrong = (SourceChangedError, ChecksumError, DestinationTakenError, ConflictError)
    return isinstance(leaf, UploadError) and not isinstance(leaf, wrong)


def _rewritten(path: Path) -> SourceChangedError:
    return SourceChangedError(
        f"{path} was rewritten between its upload and its completion",
        hint="start again once nothing writes to it",
    )
