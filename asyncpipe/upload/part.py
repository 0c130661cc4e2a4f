"""The parts of one source: taken from its feed, hashed, sent; nothing becomes visible.

One feed per upload fills and digests a buffer in a worker thread. The SHA-256 of the whole follows
in a second thread, in order, while the part is already being sent. A buffer goes back to the pool
when its part is stored and hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from asyncpipe.errors import (
    ChecksumError,
    SlowDownError,
    TransientStoreError,
    XvaInvalidError,
)
from asyncpipe.model.store import StoredPart, UploadHandle, crc64nvme_base64
from asyncpipe.model.transfer import Compressed, FileDigests, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries
from asyncpipe.system.crc import crc64nvme
from asyncpipe.upload.budget import Budget, Lease
from asyncpipe.upload.buffers import Buffer
from asyncpipe.upload.digests import DigestedPart, Inspector, combined_crc64nvme
from asyncpipe.upload.feed.supply import Feed, FilledPart
from asyncpipe.upload.parts import MIB
from asyncpipe.upload.resume import Resumption
from asyncpipe.upload.source import Source

HASH_BACKLOG = 1  # parts that wait for the whole-file hash: more would only fill memory
REPORT_S = 0.05  # between two reports of progress
LEAST_PROGRESS_BYTES = MIB  # per stall timeout, or a part is sent again


class Progress:
    """Counts bytes on their way; a failed attempt takes back what it had counted.

    Bytes are counted thousands of times a second. They are reported as often as somebody looks, and
    once all are sent.
    """

    def __init__(self, report: Callable[[int, int | None], None] | None) -> None:
        self._report = report
        self._reported_s = float("-inf")
        self.sent_bytes = 0
        self.total_bytes: int | None = None

    def add(self, count_bytes: int) -> None:
        """Count bytes, or take them back."""
        self.sent_bytes += count_bytes
        if self._report is None:
            return
        now_s = anyio.current_time()
        if now_s - self._reported_s >= REPORT_S or self.sent_bytes == self.total_bytes:
            self._reported_s = now_s
            self._report(self.sent_bytes, self.total_bytes)


class _Job:
    """A part in its buffer, on its way to the store and through the hash."""

    __slots__ = ("body", "buffer", "digested", "hashed")

    def __init__(self, filled: FilledPart) -> None:
        self.digested = filled.digested
        self.buffer: Buffer = filled.buffer
        self.body = filled.buffer.view(filled.digested.part.size_bytes)
        self.hashed = anyio.Event()


@dataclass(slots=True, kw_only=True)
class SentParts:
    """Digests of every part, and the store's answers by part number."""

    parts: list[DigestedPart] = field(default_factory=list)
    stored: dict[int, StoredPart] = field(default_factory=dict)
    resumed_bytes: int = 0
    sha256_hex: str = ""
    compressed: Compressed | None = None

    def in_order(self) -> list[StoredPart]:
        """The store's answers by part number."""
        return [self.stored[number] for number in sorted(self.stored)]

    def digests(self) -> FileDigests:
        """Digests of the whole."""
        whole = combined_crc64nvme(
            (digested.digests.crc64nvme, digested.part.size_bytes) for digested in self.parts
        )
        return FileDigests(
            size_bytes=self.parts[-1].part.end_bytes if self.parts else 0,
            sha256_hex=self.sha256_hex,
            crc64nvme_base64=crc64nvme_base64(whole),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSender:
    """Sends all parts of one source, many at once within the budget.

    ``begin`` creates the multipart upload; it is called when a part that needs one is about to be
    sent. ``stored`` is called with every part the store acknowledged, ``differs`` with the number
    of one that an ``earlier`` upload had stored with other bytes. With an ``earlier`` upload that
    is visible already, everything is read and digested, nothing is sent.
    """

    store: ObjectStore
    source: Source
    feed: Feed
    budget: Budget
    lease: Lease
    options: TransferOptions
    progress: Progress
    begin: Callable[[], Awaitable[UploadHandle]]
    stored: Callable[[DigestedPart, StoredPart], None]
    differs: Callable[[int], None]
    inspector: Inspector | None = None
    earlier: Resumption | None = None

    async def send_all(self) -> SentParts:
        """Read to the end; raises what the source, the inspector or the store object to."""
        sent = SentParts()
        jobs_in, jobs_out = anyio.create_memory_object_stream[_Job](HASH_BACKLOG)
        try:
            with jobs_in, jobs_out:  # open until every task has ended: sending never fails
                async with anyio.create_task_group() as group:
                    group.start_soon(self._hash_in_order, jobs_out, sent)
                    await self._read_all(group, jobs_in, sent)
                    await self.feed.check()  # while the last parts are on their way
        finally:
            await self.feed.close()
        if self.inspector is not None:
            self.inspector.finish()
            self._refuse_rejected()
        return sent

    async def _read_all(
        self, group: TaskGroup, jobs: MemoryObjectSendStream[_Job], sent: SentParts
    ) -> None:
        """Dispatch part after part; `group` ends when the last of them is stored and hashed."""
        send = self.earlier is None or self.earlier.visible is None
        while (filled := await self.feed.next_part()) is not None:
            self._refuse_rejected()
            if self.feed.total_bytes is not None:
                self.progress.total_bytes = self.feed.total_bytes
            job = _Job(filled)
            sent.parts.append(job.digested)
            handle = await self.begin() if send and not filled.is_whole else None
            group.start_soon(self._store, handle, job, sent)
            await jobs.send(job)
        sent.compressed = self.feed.compressed
        jobs.close()

    async def _hash_in_order(self, jobs: MemoryObjectReceiveStream[_Job], sent: SentParts) -> None:
        sha256 = hashlib.sha256() if self.options.sha256 else None
        async for job in jobs:
            if sha256 is not None:
                await self.budget.in_thread(partial(sha256.update, job.body))
            job.hashed.set()
            self.lease.work_done(job.buffer)
        sent.sha256_hex = sha256.hexdigest() if sha256 is not None else ""

    async def _store(self, handle: UploadHandle | None, job: _Job, sent: SentParts) -> None:
        """Send one part, or find that the store has it; then give the buffer back."""
        if handle is not None:
            answer = await self._find_stored(job)
            if answer is not None:
                sent.resumed_bytes += job.digested.part.size_bytes
                self.progress.add(job.digested.part.size_bytes)
            else:
                if self.earlier is not None and job.digested.part.number in self.earlier.stored:
                    self.differs(job.digested.part.number)
                answer = await self._send(handle, job)
            sent.stored[answer.number] = answer
            self.stored(job.digested, answer)
        await job.hashed.wait()
        self.lease.give_back(job.buffer)

    async def _find_stored(self, job: _Job) -> StoredPart | None:
        earlier = self.earlier
        if earlier is None or job.digested.part.number not in earlier.stored:
            return None
        capabilities = self.store.capabilities
        return await self.budget.in_thread(
            lambda: earlier.trusted(job.digested, job.body, capabilities)
        )

    async def _send(self, handle: UploadHandle, job: _Job) -> StoredPart:
        """Send one part until the store has it.

        Raises:
            ChecksumError: the store refused the digest of bytes that were proven right.
            UploadError: anything else that no further attempt would heal.
        """
        refused = False
        retries = Retries(self.options.retry)
        while True:
            try:
                return await self._put(handle, job)
            except ChecksumError as error:
                if refused:
                    raise
                refused = True
                await self._prove(job)
                await retries.pause(error)
            except TransientStoreError as error:
                if isinstance(error, SlowDownError):
                    self.budget.gate.slow_down()
                await retries.pause(error)

    async def _put(self, handle: UploadHandle, job: _Job) -> StoredPart:
        """One attempt: the HTTP PUT of a part, given up when it makes no progress."""
        number, body = job.digested.part.number, job.body
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
                        handle, number, body, job.digested.digests, progress=count
                    )
                except BaseException:
                    self.progress.add(-counted_bytes)
                    raise
                _accept(job.digested, stored)
                self.budget.gate.went_well()
                self.progress.add(len(body) - counted_bytes)
                return stored
        raise TransientStoreError(
            f"part {number} of {handle.key} made no progress for {stall_s:g} s",
            hint="look at the store and the way to it; fewer parts at once (--concurrency) ease"
            " a slow link, --resume sends what is missing",
        )

    async def _prove(self, job: _Job) -> None:
        """Before a second try, find what was damaged: buffer, file or connection."""
        expected = job.digested.digests.crc64nvme
        if await self.budget.in_thread(lambda: crc64nvme(job.body)) != expected:
            raise ChecksumError(
                f"part {job.digested.part.number} changed in memory after it was digested",
                hint="test this machine's memory",
            )
        await self.feed.prove(job.digested)

    def _refuse_rejected(self) -> None:
        if self.inspector is not None and self.inspector.rejected:
            raise XvaInvalidError(
                f"{self.source.path} was rejected while it was read; nothing of it is visible",
                hint="the report of the inspection says where it is wrong",
            )


def _accept(digested: DigestedPart, stored: StoredPart) -> None:
    theirs, ours = stored.crc64nvme_base64, crc64nvme_base64(digested.digests.crc64nvme)
    if theirs is not None and theirs != ours:
        raise ChecksumError(
            f"the store holds part {digested.part.number} with CRC64NVME {theirs}, sent was {ours}"
        )
