"""One part -> the store, with the only retries there are for bulk data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from asyncpipe.errors import (
    ChecksumError,
    SlowDownError,
    SourceChangedError,
    TransientStoreError,
)
from asyncpipe.model.store import StoredPart, UploadHandle, crc64nvme_base64
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.digests import DigestedPart, crc64nvme, range_crc64nvme
from asyncpipe.upload.parts import MIB

LEAST_PROGRESS_BYTES = MIB  # per stall timeout, or a part is sent anew


class Progress:
    """Counts bytes on their way; a failed attempt takes back what it had counted."""

    def __init__(self, report: Callable[[int, int | None], None] | None) -> None:
        self._report = report
        self.sent_bytes = 0
        self.total_bytes: int | None = None

    def add(self, count_bytes: int) -> None:
        """Count bytes, or take them back, and tell whoever wants to know."""
        self.sent_bytes += count_bytes
        if self._report is not None:
            self._report(self.sent_bytes, self.total_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends the parts of one upload; many at once, within the budget."""

    store: ObjectStore
    budget: Budget
    options: TransferOptions
    progress: Progress

    async def send(
        self, handle: UploadHandle, digested: DigestedPart, body: memoryview, descriptor: int
    ) -> StoredPart:
        """Send one part until the store has it.

        Raises:
            ChecksumError: the store refused the digest of bytes that were proven right.
            UploadError: anything else that no further attempt would heal.
        """
        refused = False
        retries = Retries(self.options.retry)
        while True:
            try:
                return await self._attempt(handle, digested, body)
            except ChecksumError as error:
                if refused:
                    raise
                refused = True
                await self._prove(digested, body, descriptor)
                await retries.pause(error)
            except TransientStoreError as error:
                if isinstance(error, SlowDownError):
                    self.budget.gate.slow_down()
                await retries.pause(error)

    async def _attempt(
        self, handle: UploadHandle, digested: DigestedPart, body: memoryview
    ) -> StoredPart:
        async with self.budget.gate.passage():
            await self.budget.bandwidth.pay(len(body))
            counted_bytes = 0
            stall_s = self.options.stall_timeout_s
            with anyio.move_on_after(stall_s) as watch:

                def count(just_sent_bytes: int) -> None:
                    nonlocal counted_bytes
                    before = counted_bytes // LEAST_PROGRESS_BYTES
                    counted_bytes += just_sent_bytes
                    if counted_bytes // LEAST_PROGRESS_BYTES > before:
                        watch.deadline = anyio.current_time() + stall_s
                    self.progress.add(just_sent_bytes)

                try:
                    stored = await self.store.upload_part(
                        handle, digested.part.number, body, digested.digests, progress=count
                    )
                except BaseException:
                    self.progress.add(-counted_bytes)
                    raise
                self._accept(digested, stored)
                self.budget.gate.went_well()
                self.progress.add(len(body) - counted_bytes)
                return stored
        raise TransientStoreError(
            f"part {digested.part.number} of {handle.key} made no progress for {stall_s:g} s",
            hint="look at the store and the way to it; fewer parts at once (--concurrency) ease"
            " a slow link, --resume sends what is missing",
        )

    def _accept(self, digested: DigestedPart, stored: StoredPart) -> None:
        told = stored.crc64nvme_base64
        if told is not None and told != crc64nvme_base64(digested.digests.crc64nvme):
            raise ChecksumError(
                f"the store holds part {digested.part.number} with CRC64NVME {told}, sent was"
                f" {crc64nvme_base64(digested.digests.crc64nvme)}"
            )

    async def _prove(self, digested: DigestedPart, body: memoryview, descriptor: int) -> None:
        """Tell a damaged buffer and a changed file from a damaged line, before a second try."""
        expected = digested.digests.crc64nvme
        if await self.budget.in_thread(lambda: crc64nvme(body)) != expected:
            raise ChecksumError(
                f"part {digested.part.number} changed in memory after it was digested",
                hint="test this machine's memory",
            )
        on_disk = await self.budget.in_thread(lambda: range_crc64nvme(descriptor, digested.part))
        if on_disk != expected:
            raise SourceChangedError(
                f"bytes {digested.part.offset_bytes} to {digested.part.end_bytes} of the file"
                " were rewritten during its upload",
                hint="start again once nothing writes to it",
            )
