"""What all uploads of the process share: memory, parts in flight, bandwidth, worker threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from asyncpipe.model.transfer import TransferOptions
from asyncpipe.upload.buffers import Buffer, BufferPool
from asyncpipe.upload.pace import Bandwidth, SendGate
from asyncpipe.upload.parts import SMALLEST_PART_BYTES

MOST_PARTS_IN_FLIGHT = 16  # by default; more connections gain nothing below 5 Gbit/s

Result = TypeVar("Result")


class Budget:
    """The process-wide budget; make one, and hand it to every upload.

    Memory is the limit of `TransferOptions.max_memory_bytes` plus a constant, whatever the size
    of the files or their number. As an async context manager it frees the buffers at its end.
    """

    def __init__(self, options: TransferOptions) -> None:
        most = options.concurrency or min(
            MOST_PARTS_IN_FLIGHT, max(1, options.max_memory_bytes // SMALLEST_PART_BYTES)
        )
        self.buffers = BufferPool(options.max_memory_bytes)
        self.gate = SendGate(most)
        self.bandwidth = Bandwidth(options.bandwidth_bytes_per_s)
        self.threads = anyio.CapacityLimiter(max(4, 2 * (os.cpu_count() or 1)))

    @property
    def concurrency(self) -> int:
        """The most parts in flight: a store's connection pool needs as many places."""
        return self.gate.most

    def lease(self) -> Lease:
        """Open an account of buffers; its owner settles it at the end."""
        return Lease(self.buffers)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Run blocking ``work`` in a worker thread; cancellation waits for its end."""
        return await anyio.to_thread.run_sync(work, limiter=self.threads)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.buffers.close()


class Lease:
    """The buffers of one upload, so that none is lost whichever way the upload ends."""

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._held: set[Buffer] = set()

    async def take(self, size_bytes: int, *, may_grow: bool) -> Buffer:
        """Wait for a buffer of at least ``size_bytes``; see `BufferPool.take`."""
        buffer = await self._pool.take(size_bytes, may_grow=may_grow)
        self._held.add(buffer)
        return buffer

    def work_done(self, buffer: Buffer) -> None:
        """Note that a buffer is read and hashed, and waits for the store alone."""
        self._pool.work_done(buffer)

    def give_back(self, buffer: Buffer) -> None:
        """Return a buffer that nobody reads any more."""
        self._held.remove(buffer)
        self._pool.give_back(buffer)

    def lose(self, buffer: Buffer) -> None:
        """Give up a buffer that a thread which nobody waits for may still write to."""
        self._held.remove(buffer)
        self._pool.lose(buffer)

    def settle(self) -> None:
        """Return all that is still held."""
        while self._held:
            self._pool.give_back(self._held.pop())
