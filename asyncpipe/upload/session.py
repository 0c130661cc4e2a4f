"""One source -> one stored object: staged first, visible only when completed.

`UploadSession` knows what is at the store and in the journal; `completion` makes it visible.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from asyncpipe.errors import (
    AsyncpipeError,
    ConflictError,
    TransientStoreError,
    UploadError,
    flattened,
)
from asyncpipe.model.store import ObjectInfo, StoredPart, UploadHandle, crc64nvme_base64
from asyncpipe.model.transfer import PublishedObject, StagedObject, Target
from asyncpipe.retry import repeated
from asyncpipe.upload.abort import abort_until_gone
from asyncpipe.upload.completion import Completion, read_again, refuse_early, rewritten
from asyncpipe.upload.digests import DigestedPart
from asyncpipe.upload.feed.choice import Choice
from asyncpipe.upload.feed.supply import Supply
from asyncpipe.upload.journal import Journal, JournalEntry, JournalPart, read_journal
from asyncpipe.upload.part import PartSender, Progress, SentParts
from asyncpipe.upload.parts import PartPlan, plan_parts
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.resume import NONCE_KEY, Resumption, find_resumption
from asyncpipe.upload.source import reading

CONFLICT_ROUNDS = 3  # uploads started over after 409 before the conflict is reported


class UploadSession:
    """An upload in progress: `stage` once, `complete` once, and `close` in any case."""

    def __init__(self, request: UploadRequest) -> None:
        self._request = request
        self._lease = request.budget.lease()
        self._progress = Progress(request.progress)
        self._journal = Journal(request.journal_path) if request.journal_path else None
        self._nonce = secrets.token_hex(16)
        self._earlier: Resumption | None = None
        self._choice = Choice(request.zstd, self._warn)
        self._plan: PartPlan | None = None
        self._handle: UploadHandle | None = None
        self._sent: SentParts | None = None
        self._completion: Completion | None = None
        self._closed = False
        self._began_s = anyio.current_time()

    @property
    def target(self) -> Target:
        """Where the object will be."""
        return self._request.target

    @property
    def verdict(self) -> object:
        """What the inspector found; None without one."""
        inspector = self._request.inspector
        return inspector.finish() if inspector is not None else None

    async def stage(self) -> StagedObject:
        """Read, digest, inspect and send every byte; nothing is visible afterwards.

        Raises:
            DestinationTakenError: the destination is taken; of a small file `complete` may say so.
            SourceChangedError: the file is not what was read: start again.
            XvaInvalidError: the inspector rejected the bytes.
            ChecksumError: the store refused bytes that were proven right.
            UploadError: anything else that kept the bytes from the store.
        """
        assert self._sent is None, "an upload is staged once"
        request = self._request
        with reading(request.source.path):
            await self._choice.look_at(request.source, request.budget)
            await self._find_earlier()
            await refuse_early(request, self._nonce)
            await request.source.open()
            self._sent = await self._send_all(again=False)
        return StagedObject(
            target=request.target,
            digests=self._sent.digests(),
            handle=self._handle,
            part_count=len(self._sent.parts),
            compressed=self._sent.compressed,
        )

    async def complete(self) -> PublishedObject:
        """Make the staged object visible and compare it with what was sent.

        Raises:
            DestinationTakenError: another object got there first.
            ChecksumError: the store's object is not what was sent; it was removed again.
            ConflictError: concurrent writers, several times in a row.
            UploadError: anything else; look at the destination.
        """
        assert self._sent is not None, "an upload is staged before it is completed"
        request = self._request
        self._completion = completion = Completion(
            store=request.store,
            options=request.options,
            target=request.target,
            nonce=self._nonce,
            digests=self._sent.digests(),
        )
        with reading(request.source.path):
            info = await self._make_visible(completion)
        multipart = self._visible_already or self._handle is not None
        self._handle = None
        checks = await completion.verified(
            info,
            part_md5s=[part.digests.md5_base64 for part in self._sent.parts],
            multipart=multipart,
            earlier=self._visible_already,
        )
        return PublishedObject(
            key=request.target.key,
            url=request.store.url_of(request.target.key),
            digests=completion.digests,
            info=info,
            checks=checks,
            part_count=len(self._sent.parts),
            resumed_bytes=self._sent.resumed_bytes,
            duration_s=anyio.current_time() - self._began_s,
            compressed=self._sent.compressed,
        )

    async def take_back(self, error: BaseException) -> str | None:
        """Remove the object if this session made it visible, also when cut off in the middle.

        Returns the sentence that a person needs when it may have stayed. An object that an
        earlier process had completed stays: a later ``--resume`` continues it. So does the
        upload if ``error`` is one that a resumption heals.
        """
        if self._completion is None or self._visible_already:
            return None
        if self._request.may_resume_after(error):
            return await self._completion.removed(unsure=False)
        unsure = self._handle is not None  # Complete was sent, its answer never came
        if self._handle is not None:
            with suppress(UploadError):
                await self._request.store.abort_upload(self._handle)
                unsure = False  # it was still open
        failed = await self._drop()
        return failed or await self._completion.removed(unsure=unsure)

    async def close(self, error: BaseException | None = None) -> None:
        """Drop or keep what is not completed and free what is held; idempotent.

        ``error`` is what ended the upload early; it gets a hint when something was left behind.
        """
        if self._closed:
            return
        self._closed = True
        failed = None
        try:
            if self._request.may_resume_after(error):
                failed = await self._keep()
            else:
                failed = await self._drop()
        finally:
            self._lease.settle()
            with anyio.CancelScope(shield=True):
                await self._request.source.close()
                if error is None and failed is None and self._journal is not None:
                    await self._journal.remove()
        self._report(failed, error)

    def _warn(self, code: str, sentence: str) -> None:
        if self._request.warn is not None:
            self._request.warn(code, sentence)

    def _report(self, failed: str | None, error: BaseException | None) -> None:
        if failed is None:
            return
        self._warn("upload-left-behind", failed)
        if isinstance(error, AsyncpipeError):
            error.hint = f"{error.hint.rstrip('.')}; {failed}" if error.hint else failed
        elif error is not None:
            error.add_note(failed)

    # -- what exists at the store and in the journal -------------------------------------------

    @property
    def _visible_already(self) -> bool:
        """True when an earlier process had completed the object before it ended."""
        return self._earlier is not None and self._earlier.visible is not None

    async def _find_earlier(self) -> None:
        """Take over the upload that the journal names, if that is wanted and it exists."""
        request = self._request
        if not request.resume or request.journal_path is None:
            return
        entry = await read_journal(request.journal_path)
        self._earlier = await find_resumption(
            request.store, request.target.key, entry, request.options, self._choice.continues
        )
        if self._earlier is not None:
            self._nonce = self._earlier.entry.nonce
            if not self._visible_already:
                self._handle = self._earlier.handle

    async def _begin(self) -> UploadHandle:
        """Return the upload, created and in the journal before its first part is sent."""
        if self._handle is None:
            await repeated(self._create, self._request.options.retry)
        assert self._handle is not None
        if self._journal is not None and self._journal.upload_id != self._handle.upload_id:
            resumed = self._earlier is not None and self._earlier.handle == self._handle
            entry = JournalEntry(
                store_url=self._request.store.url,
                key=self.target.key,
                upload_id=self._handle.upload_id,
                nonce=self._nonce,
                part_size_bytes=self._planned().part_size_bytes,
                parts=self._earlier.entry.parts if self._earlier and resumed else {},
                recipe=self._choice.recipe,
            )
            await self._journal.begin(entry)
        return self._handle

    async def _create(self) -> None:
        """One attempt, shielded: cancelled halfway, it could leave an upload nobody knows of."""
        request, limit_s = self._request, self._request.options.abort_timeout_s
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

    def _note(self, digested: DigestedPart, stored: StoredPart) -> None:
        """Remember a part that the store acknowledged."""
        if self._journal is not None:
            crc = crc64nvme_base64(digested.digests.crc64nvme)
            size_bytes = digested.part.size_bytes
            part = JournalPart(size_bytes=size_bytes, etag=stored.etag, crc64nvme_base64=crc)
            self._journal.note(digested.part.number, part)

    async def _keep(self) -> str | None:
        """Write the journal for a later resumption; shielded and bounded.

        Without a journal on disk nobody could resume, and the upload is dropped instead.
        """
        assert self._journal is not None
        with anyio.move_on_after(self._request.options.abort_timeout_s, shield=True):
            with suppress(UploadError):  # what was written before stands
                await self._journal.write()
        if self._journal.is_on_disk or self._earlier is not None:
            return None
        return await self._drop()

    async def _drop(self) -> str | None:
        """Abort until the upload is gone; returns the sentence for a person if that failed."""
        handle, self._handle = self._handle, None
        if handle is None:
            return None
        failed = await abort_until_gone(self._request.store, handle, self._request.options)
        if failed is None and self._journal is not None:
            with anyio.CancelScope(shield=True):
                await self._journal.remove()
        return failed

    # -- the bytes -----------------------------------------------------------------------------

    def _planned(self) -> PartPlan:
        """Return the plan of an open source: the earlier one if it is large enough."""
        if self._plan is None:
            request, grows = self._request, self._request.source.grows
            read_bytes = request.expected_size_bytes if grows else request.source.state.size_bytes
            size_bytes = self._choice.most_bytes(read_bytes)
            plan = plan_parts(size_bytes, request.options, request.store.capabilities, grows=grows)
            self._plan = self._earlier.plan(plan, size_bytes) if self._earlier else plan
        return self._plan

    async def _send_all(self, *, again: bool) -> SentParts:
        """Read and send everything; ``again``: from the start, inspected already."""
        request = self._request
        if not self._choice.compresses and (again or not request.source.grows):
            self._progress.total_bytes = request.source.state.size_bytes
        supply = Supply(
            source=request.source,
            plan=self._planned(),
            capabilities=request.store.capabilities,
            budget=request.budget,
            lease=self._lease,
            inspector=None if again else request.inspector,
        )
        sender = PartSender(
            store=request.store,
            source=request.source,
            feed=self._choice.feed(supply, sha256=request.options.sha256),
            budget=request.budget,
            lease=self._lease,
            options=request.options,
            progress=self._progress,
            begin=self._begin,
            stored=self._note,
            differs=self._choice.differs,
            inspector=supply.inspector,
            earlier=None if again else self._earlier,
        )
        with flattened():
            async with anyio.create_task_group() as group:
                if self._journal is not None:
                    group.start_soon(self._journal.keep)
                sent = await sender.send_all()
                group.cancel_scope.cancel()
        return sent

    async def _make_visible(self, completion: Completion) -> ObjectInfo:
        assert self._sent is not None
        request = self._request
        if self._earlier is not None and self._earlier.visible is not None:
            return self._earlier.visible
        if self._handle is None:
            body = await read_again(request.source, request.budget, completion.digests)
            return await completion.of_body(body)
        for _ in range(CONFLICT_ROUNDS - 1):
            try:
                return await completion.of_parts(self._handle, self._sent.in_order())
            except ConflictError:  # S3 wants a new upload and every part again
                await self._drop()
                self._progress.add(-self._progress.sent_bytes)
                self._sent = await self._send_all(again=True)
                if self._sent.digests() != completion.digests:
                    raise rewritten(request.source.path) from None
        return await completion.of_parts(self._handle, self._sent.in_order())


@asynccontextmanager
async def open_upload(request: UploadRequest) -> AsyncIterator[UploadSession]:
    """Open an upload; leaving without `UploadSession.complete` drops what was sent."""
    session = UploadSession(request)
    try:
        yield session
    except BaseException as error:
        await session.close(error)
        raise
    await session.close()
