"""One source -> one stored object: staged first, visible only when completed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncpipe.errors import (
    AsyncpipeError,
    ChecksumError,
    ConflictError,
    DestinationTakenError,
    SourceChangedError,
    TransientStoreError,
    UploadError,
    leaf_of,
)
from asyncpipe.model.store import (
    ObjectInfo,
    StoredPart,
    UploadHandle,
    crc64nvme_base64,
)
from asyncpipe.model.transfer import (
    FileDigests,
    PublishedObject,
    StagedObject,
    Target,
    TransferOptions,
)
from asyncpipe.ports import ObjectStore
from asyncpipe.transfer.aborting import abort_until_gone
from asyncpipe.transfer.budget import Budget, Lease
from asyncpipe.transfer.calls import flattened, repeated
from asyncpipe.transfer.completing import Completion, refuse_taken
from asyncpipe.transfer.digests import (
    DigestedPart,
    Inspector,
    crc64nvme,
    multipart_etag,
    read_exactly,
)
from asyncpipe.transfer.journal import Journal, JournalEntry, JournalPart, read_journal
from asyncpipe.transfer.parts import PartPlan, plan_parts
from asyncpipe.transfer.resume import NONCE_KEY, Resumption, find_resumption
from asyncpipe.transfer.sender import Progress, Sender
from asyncpipe.transfer.source import Source
from asyncpipe.transfer.staging import Staged, Stager

__all__ = ["Inspector", "Upload", "open_upload"]

CONFLICT_ROUNDS = 3  # uploads begun anew after 409 before the conflict is told

Warn = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """What `open_upload` was asked for."""

    store: ObjectStore
    target: Target
    source: Source
    budget: Budget
    options: TransferOptions
    inspector: Inspector | None
    journal_path: Path | None
    resume: bool
    keep_for_resume: bool
    expected_size_bytes: int | None


class Upload:
    """An upload in progress: `stage` once, then `complete` once, or leave to drop it."""

    def __init__(self, request: UploadRequest, lease: Lease, progress: Progress) -> None:
        self._request = request
        self._lease = lease
        self._progress = progress
        self._nonce = secrets.token_hex(16)
        self._journal = Journal(request.journal_path) if request.journal_path else None
        self._resumption: Resumption | None = None
        self._plan: PartPlan | None = None
        self._handle: UploadHandle | None = None
        self._staged: Staged | None = None
        self._began_s = anyio.current_time()

    @property
    def handle(self) -> UploadHandle | None:
        """The open multipart upload at the store, if there is one."""
        return self._handle

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
        request = self._request
        await self._find_earlier()
        await refuse_taken(request.store, request.target, self._nonce, request.options)
        await request.source.open()
        self._plan = self._planned()
        visible = self._resumption is not None and self._resumption.visible is not None
        self._staged = await self._pass(
            self._plan, request.inspector, self._resumption, send=not visible
        )
        return StagedObject(
            target=request.target,
            digests=self._staged.digests(),
            handle=self._handle,
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
        completion = self._completion(staged.digests)
        info = await self._make_visible(completion)
        multipart = self._handle is not None
        checks = await completion.verified(info, etag=self._etag(info), multipart=multipart)
        self._handle = None
        if self._journal is not None:
            await self._journal.remove()
        request = self._request
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

    # -- staging -------------------------------------------------------------------------------

    async def _find_earlier(self) -> None:
        request = self._request
        if not request.resume or request.journal_path is None:
            return
        entry = await read_journal(request.journal_path)
        self._resumption = await find_resumption(
            request.store, request.target.key, entry, request.options
        )
        if self._resumption is not None:
            self._nonce = self._resumption.entry.nonce
            if self._resumption.visible is None:
                self._handle = self._resumption.handle

    def _planned(self) -> PartPlan:
        """The earlier attempt's plan where it still carries the file, else a new one."""
        request = self._request
        grows = request.source.grows
        size_bytes = request.expected_size_bytes if grows else request.source.state.size_bytes
        capabilities = request.store.capabilities
        plan = plan_parts(size_bytes, request.options, capabilities, grows=grows)
        if self._resumption is None:
            return plan
        earlier = PartPlan(
            part_size_bytes=self._resumption.entry.part_size_bytes, max_parts=plan.max_parts
        )
        return earlier if earlier.capacity_bytes >= (size_bytes or 0) else plan

    async def _pass(
        self,
        plan: PartPlan,
        inspector: Inspector | None,
        resumption: Resumption | None,
        *,
        send: bool,
    ) -> Staged:
        request = self._request
        if not request.source.grows:
            self._progress.total_bytes = request.source.state.size_bytes
        stager = Stager(
            source=request.source,
            plan=plan,
            budget=request.budget,
            lease=self._lease,
            sender=Sender(
                store=request.store,
                budget=request.budget,
                options=request.options,
                progress=self._progress,
            ),
            begin=self._begin,
            stored=self._note,
            inspector=inspector,
            resumption=resumption,
            send=send,
        )
        with flattened():
            async with anyio.create_task_group() as group:
                if self._journal is not None:
                    group.start_soon(self._journal.keep)
                staged = await stager.run()
                group.cancel_scope.cancel()
        return staged

    async def _begin(self) -> UploadHandle:
        """Return the multipart upload, created when the first part needs it."""
        if self._handle is None:
            await repeated(self._create, self._request.options)
            await self._begin_journal({})
        elif self._resumption is not None and self._journal is not None and self._journal.idle:
            await self._begin_journal(self._resumption.entry.parts)
        assert self._handle is not None
        return self._handle

    async def _create(self) -> None:
        """One attempt, shielded: cancelled halfway, it could leave an upload nobody knows of."""
        request = self._request
        limit_s = request.options.abort_timeout_s
        with anyio.move_on_after(limit_s, shield=True):
            self._handle = await request.store.create_upload(
                request.target.key,
                content_type=request.target.content_type,
                metadata={**request.target.metadata, NONCE_KEY: self._nonce},
            )
            return
        raise TransientStoreError(
            f"{request.store.url_of(request.target.key)} could not be begun within {limit_s:g} s"
        )

    async def _begin_journal(self, parts: Mapping[int, JournalPart]) -> None:
        if self._journal is None:
            return
        request, state = self._request, self._request.source.state
        assert self._handle is not None
        assert self._plan is not None
        await self._journal.begin(
            JournalEntry(
                store_url=request.store.url,
                key=request.target.key,
                upload_id=self._handle.upload_id,
                nonce=self._nonce,
                part_size_bytes=self._plan.part_size_bytes,
                source_path=str(request.source.path),
                source_size_bytes=state.size_bytes,
                source_mtime_ns=state.mtime_ns,
                source_inode=state.inode,
                parts=parts,
            )
        )

    def _note(self, digested: DigestedPart, stored: StoredPart) -> None:
        if self._journal is not None:
            part = JournalPart(
                size_bytes=digested.part.size_bytes,
                etag=stored.etag,
                crc64nvme_base64=crc64nvme_base64(digested.digests.crc64nvme),
            )
            self._journal.note(digested.part.number, part)

    # -- completing ----------------------------------------------------------------------------

    def _completion(self, digests: FileDigests) -> Completion:
        request = self._request
        return Completion(
            store=request.store,
            options=request.options,
            target=request.target,
            nonce=self._nonce,
            digests=digests,
        )

    async def _make_visible(self, completion: Completion) -> ObjectInfo:
        if self._resumption is not None and self._resumption.visible is not None:
            return self._resumption.visible
        if self._handle is None:
            return await completion.of_body(await self._small_body(completion.digests))
        for _ in range(CONFLICT_ROUNDS - 1):
            try:
                return await completion.of_parts(self._handle, self._stored_parts())
            except ConflictError:
                await self._send_anew(completion.digests)
        return await completion.of_parts(self._handle, self._stored_parts())

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
        assert self._plan is not None
        await self._drop()
        self._progress.add(-self._progress.sent_bytes)
        self._staged = await self._pass(self._plan, None, None, send=True)
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

    # -- leaving -------------------------------------------------------------------------------

    async def leave(self, error: BaseException | None) -> str | None:
        """Drop or keep what is not completed; returns the sentence of an abort that failed."""
        try:
            if self._handle is None:
                return None
            if self._request.keep_for_resume and self._journal and _may_resume(error):
                with anyio.move_on_after(self._request.options.abort_timeout_s, shield=True):
                    await self._journal.write()
                return None
            return await self._drop()
        finally:
            with anyio.CancelScope(shield=True):
                await self._request.source.close()

    async def _drop(self) -> str | None:
        handle, self._handle = self._handle, None
        assert handle is not None
        failed = await abort_until_gone(self._request.store, handle, self._request.options)
        if failed is None and self._journal is not None:
            with anyio.CancelScope(shield=True):
                await self._journal.remove()
        return failed


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
    keep_for_resume: bool = False,
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
        keep_for_resume: a cancellation or a lost store leaves upload and journal for a resumption.
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
        keep_for_resume=keep_for_resume,
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
        error.hint = f"{error.hint}; {failed}" if error.hint else failed
    elif error is not None:
        error.add_note(failed)


def _may_resume(error: BaseException | None) -> bool:
    """Interrupted and lost uploads go on later; those that went wrong begin anew."""
    if error is None:
        return False
    leaf = leaf_of(error)
    if not isinstance(leaf, Exception):
        return True
    wrong = (SourceChangedError, ChecksumError, DestinationTakenError, ConflictError)
    return isinstance(leaf, UploadError) and not isinstance(leaf, wrong)


def _rewritten(path: Path) -> SourceChangedError:
    return SourceChangedError(
        f"{path} was rewritten between its upload and its completion",
        hint="start again once nothing writes to it",
    )
