"""The pass: read, digest, inspect and send every part; nothing becomes visible.

One reader per upload takes a buffer, then fills and digests it in a worker thread. The whole-file
SHA-256 follows in a second thread, in order, while the part is already being sent. A buffer goes
back to the pool when its part is stored and hashed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from asyncpipe.errors import XvaInvalidError
from asyncpipe.model.store import StoredPart, UploadHandle, crc64nvme_base64
from asyncpipe.model.transfer import FileDigests
from asyncpipe.upload.budget import Budget, Lease
from asyncpipe.upload.buffers import Buffer
from asyncpipe.upload.digests import DigestedPart, Inspector, PartReader, combined_crc64nvme
from asyncpipe.upload.parts import PartPlan
from asyncpipe.upload.resume import Resumption
from asyncpipe.upload.sender import Sender
from asyncpipe.upload.source import Source

HASH_BACKLOG = 1  # parts that wait for the whole-file hash: more would only fill memory
SMALL_BYTES = 5 * 1024 * 1024  # a source of at most this is stored by one PutObject


class _Job:
    """A part in its buffer, on its way to the store and through the hash."""

    __slots__ = ("body", "buffer", "digested", "hashed")

    def __init__(self, digested: DigestedPart, buffer: Buffer) -> None:
        self.digested = digested
        self.buffer = buffer
        self.body = buffer.view(digested.part.size_bytes)
        self.hashed = anyio.Event()


@dataclass(slots=True, kw_only=True)
class Staged:
    """What the pass left: digests per part, and the store's answers by part number."""

    parts: list[DigestedPart] = field(default_factory=list)
    stored: dict[int, StoredPart] = field(default_factory=dict)
    resumed_bytes: int = 0
    sha256_hex: str = ""
    verdict: object = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole source."""
        return self.parts[-1].part.end_bytes if self.parts else 0

    def digests(self) -> FileDigests:
        """Digests of the whole source."""
        whole = combined_crc64nvme(
            (digested.digests.crc64nvme, digested.part.size_bytes) for digested in self.parts
        )
        return FileDigests(
            size_bytes=self.size_bytes,
            sha256_hex=self.sha256_hex,
            crc64nvme_base64=crc64nvme_base64(whole),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stager:
    """Runs the pass over one source.

    ``begin`` creates the multipart upload; it is called once, when the first part that needs one
    is about to be sent. ``stored`` hears of every part the store acknowledged. With
    ``send=False`` everything is read and digested, nothing is sent.
    """

    source: Source
    plan: PartPlan
    budget: Budget
    lease: Lease
    sender: Sender
    begin: Callable[[], Awaitable[UploadHandle]]
    stored: Callable[[DigestedPart, StoredPart], None]
    inspector: Inspector | None = None
    resumption: Resumption | None = None
    send: bool = True

    async def run(self) -> Staged:
        """Read to the end; raises what the source, the inspector or the store object to."""
        staged = Staged()
        reader = PartReader(self.sender.store.capabilities.checksum, self.inspector)
        jobs_in, jobs_out = anyio.create_memory_object_stream[_Job](HASH_BACKLOG)
        with jobs_in, jobs_out:  # open until every task has ended: sending never fails
            async with anyio.create_task_group() as group:
                group.start_soon(self._hash_in_order, jobs_out, staged)
                await self._read_all(group, reader, jobs_in, staged)
                await self.source.check(staged.parts)  # while the last parts are on their way
        self._conclude(staged)
        return staged

    async def _read_all(
        self,
        group: TaskGroup,
        reader: PartReader,
        jobs: MemoryObjectSendStream[_Job],
        staged: Staged,
    ) -> None:
        """Dispatch part after part; `group` ends when the last of them is stored and hashed."""
        number = 0
        while True:
            number += 1
            end_bytes = number * self.plan.part_size_bytes
            there_bytes = await self.source.available(end_bytes)
            if there_bytes <= end_bytes - self.plan.part_size_bytes:
                break
            if there_bytes < end_bytes:
                self.sender.progress.total_bytes = there_bytes
            job = await self._read(reader, number, there_bytes)
            staged.parts.append(job.digested)
            whole = number == 1 and there_bytes < end_bytes and there_bytes <= SMALL_BYTES
            handle = await self.begin() if self.send and not whole else None
            group.start_soon(self._store, handle, job, staged)
            await jobs.send(job)
            if there_bytes < end_bytes:
                break
        jobs.close()

    async def _read(self, reader: PartReader, number: int, there_bytes: int) -> _Job:
        part = self.plan.part(number, there_bytes)
        may_grow = self.sender.store.capabilities.gains_by_parallel_parts
        buffer = await self.lease.take(part.size_bytes, may_grow=may_grow)
        body = buffer.view(part.size_bytes)
        descriptor = self.source.descriptor
        digested = await self.budget.in_thread(lambda: reader.read(descriptor, part, body))
        if self.inspector is not None and self.inspector.rejected:
            raise self._rejection()
        return _Job(digested, buffer)

    async def _hash_in_order(self, jobs: MemoryObjectReceiveStream[_Job], staged: Staged) -> None:
        sha256 = hashlib.sha256() if self.sender.options.sha256 else None
        async for job in jobs:
            if sha256 is not None:
                await self.budget.in_thread(partial(sha256.update, job.body))
            job.hashed.set()
            self.lease.work_done(job.buffer)
        staged.sha256_hex = sha256.hexdigest() if sha256 is not None else ""

    async def _store(self, handle: UploadHandle | None, job: _Job, staged: Staged) -> None:
        """Send one part, or find that the store has it; then give the buffer back."""
        if handle is not None:
            answer = await self._find_stored(job)
            if answer is not None:
                staged.resumed_bytes += job.digested.part.size_bytes
                self.sender.progress.add(job.digested.part.size_bytes)
            else:
                answer = await self.sender.send(
                    handle, job.digested, job.body, self.source.descriptor
                )
            staged.stored[answer.number] = answer
            self.stored(job.digested, answer)
        await job.hashed.wait()
        self.lease.give_back(job.buffer)

    async def _find_stored(self, job: _Job) -> StoredPart | None:
        earlier = self.resumption
        if earlier is None or job.digested.part.number not in earlier.stored:
            return None
        capabilities = self.sender.store.capabilities
        return await self.budget.in_thread(
            lambda: earlier.trusted(job.digested, job.body, capabilities)
        )

    def _conclude(self, staged: Staged) -> None:
        if self.inspector is not None:
            staged.verdict = self.inspector.finish()
            if self.inspector.rejected:
                raise self._rejection()

    def _rejection(self) -> XvaInvalidError:
        return XvaInvalidError(
            f"{self.source.path} was rejected while it was read; nothing of it is visible",
            hint="the report of the inspection says where it is wrong",
        )
