"""The multipart upload of one source at the store, and the journal that tells of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncpipe.errors import TransientStoreError, UploadError
from asyncpipe.model.store import StoredPart, UploadHandle, crc64nvme_base64
from asyncpipe.model.transfer import Keep, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import repeated
from asyncpipe.upload.abort import abort_until_gone
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.digests import DigestedPart, Inspector
from asyncpipe.upload.journal import Journal, JournalEntry, JournalPart, read_journal
from asyncpipe.upload.parts import PartPlan, plan_parts
from asyncpipe.upload.resume import NONCE_KEY, Resumption, find_resumption
from asyncpipe.upload.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """What an upload was asked for."""

    store: ObjectStore
    target: Target
    source: Source
    budget: Budget
    options: TransferOptions
    inspector: Inspector | None = None
    journal_path: Path | None = None
    resume: bool = False
    keep: Keep = Keep.NEVER
    expected_size_bytes: int | None = None


class Attempt:
    """What exists at the store for a request: begun when first needed, dropped or kept."""

    def __init__(self, request: UploadRequest) -> None:
        self._request = request
        self._plan: PartPlan | None = None
        self.nonce = secrets.token_hex(16)
        self.journal = Journal(request.journal_path) if request.journal_path else None
        self.resumption: Resumption | None = None
        self.handle: UploadHandle | None = None

    @property
    def visible_already(self) -> bool:
        """True when an earlier process had completed the object before it ended."""
        return self.resumption is not None and self.resumption.visible is not None

    async def find_earlier(self) -> None:
        """Take over the upload that the journal tells of, when that is wanted and there is one."""
        request = self._request
        if not request.resume or request.journal_path is None:
            return
        entry = await read_journal(request.journal_path)
        self.resumption = await find_resumption(
            request.store, request.target.key, entry, request.options
        )
        if self.resumption is not None:
            self.nonce = self.resumption.entry.nonce
            if not self.visible_already:
                self.handle = self.resumption.handle

    def planned(self) -> PartPlan:
        """Return the plan of an open source: the earlier one where it carries the file."""
        if self._plan is None:
            self._plan = self._choose_plan()
        return self._plan

    def _choose_plan(self) -> PartPlan:
        request = self._request
        grows = request.source.grows
        size_bytes = request.expected_size_bytes if grows else request.source.state.size_bytes
        plan = plan_parts(size_bytes, request.options, request.store.capabilities, grows=grows)
        if self.resumption is None:
            return plan
        earlier = PartPlan(
            part_size_bytes=self.resumption.entry.part_size_bytes, max_parts=plan.max_parts
        )
        return earlier if earlier.capacity_bytes >= (size_bytes or 0) else plan

    async def begin(self) -> UploadHandle:
        """Return the upload, created and written to the journal before its first part is sent."""
        if self.handle is None:
            await repeated(self._create, self._request.options.retry)
            await self._begin_journal({})
        elif self.journal is not None and self.journal.idle:
            earlier = self.resumption.entry.parts if self.resumption else {}
            await self._begin_journal(earlier)
        assert self.handle is not None
        return self.handle

    async def _create(self) -> None:
        """One attempt, shielded: cancelled halfway, it could leave an upload nobody knows of."""
        request = self._request
        limit_s = request.options.abort_timeout_s
        with anyio.move_on_after(limit_s, shield=True):
            self.handle = await request.store.create_upload(
                request.target.key,
                content_type=request.target.content_type,
                metadata={**request.target.metadata, NONCE_KEY: self.nonce},
            )
            return
        raise TransientStoreError(
            f"{request.store.url_of(request.target.key)} could not be begun within {limit_s:g} s"
        )

    async def _begin_journal(self, parts: Mapping[int, JournalPart]) -> None:
        if self.journal is None:
            return
        request, state = self._request, self._request.source.state
        assert self.handle is not None
        entry = JournalEntry(
            store_url=request.store.url,
            key=request.target.key,
            upload_id=self.handle.upload_id,
            nonce=self.nonce,
            part_size_bytes=self.planned().part_size_bytes,
            source_path=str(request.source.path),
            source_size_bytes=state.size_bytes,
            source_mtime_ns=state.mtime_ns,
            source_inode=state.inode,
            parts=parts,
        )
        await self.journal.begin(entry)

    def note(self, digested: DigestedPart, stored: StoredPart) -> None:
        """Remember a part that the store acknowledged."""
        if self.journal is None:
            return
        part = JournalPart(
            size_bytes=digested.part.size_bytes,
            etag=stored.etag,
            crc64nvme_base64=crc64nvme_base64(digested.digests.crc64nvme),
        )
        self.journal.note(digested.part.number, part)

    async def keep(self) -> str | None:
        """Write the journal for a later resumption; shielded and bounded.

        Without a journal on disk nobody could resume, and the upload is dropped instead.
        """
        if self.journal is None:
            return None
        with anyio.move_on_after(self._request.options.abort_timeout_s, shield=True):
            with suppress(UploadError):  # what it said before stands
                await self.journal.write()
        if self.journal.is_on_disk or self.resumption is not None:
            return None
        return await self.drop()

    async def drop(self) -> str | None:
        """Abort until the upload is gone; return the sentence to tell when that failed."""
        handle, self.handle = self.handle, None
        if handle is None:
            return None
        failed = await abort_until_gone(self._request.store, handle, self._request.options)
        if failed is None:
            with anyio.CancelScope(shield=True):
                await self.forget()
        return failed

    async def forget(self) -> None:
        """Remove the journal: there is nothing left to resume."""
        self.handle = None
        if self.journal is not None:
            await self.journal.remove()
