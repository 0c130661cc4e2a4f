"""Reused part buffers under one limit, first come, first served.

A part that waits for nothing but its turn fills memory and gains nothing: where a store takes
parts as fast as they are read and hashed, three buffers are as fast as many. So the pool begins
with three of the largest size asked for. It grows by one whenever, for `PATIENCE_S`, somebody
waited, none came back, and none was read or hashed either: then the store is what is waited for,
and more parts in flight may help.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress

import anyio

from asyncpipe.system.memory import anonymous_memory
from asyncpipe.upload.parts import whole_mib

PATIENCE_S = 0.05  # 16 MiB in 50 ms are 335 MB/s
_FIRST_BUFFERS = 3  # one part is read, one hashed, one sent


class Buffer:
    """Page-aligned anonymous memory that several parts use one after the other."""

    __slots__ = ("_memory", "_whole", "capacity_bytes", "is_worked_on")

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.is_worked_on = False
        self._memory = anonymous_memory(capacity_bytes)
        self._whole = memoryview(self._memory)

    def view(self, size_bytes: int) -> memoryview:
        """Return the first ``size_bytes`` as a writable view."""
        return self._whole[:size_bytes]

    def free(self) -> None:
        """Give the memory back to the system, at the latest when the last view of it dies."""
        with suppress(BufferError):
            self._whole.release()
            self._memory.close()


class _Waiter:
    __slots__ = ("buffer", "error", "event", "may_grow", "size_bytes")

    def __init__(self, size_bytes: int, *, may_grow: bool) -> None:
        self.size_bytes = size_bytes
        self.may_grow = may_grow
        self.event = anyio.Event()
        self.buffer: Buffer | None = None
        self.error: OSError | None = None  # of the system, when it had no memory

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error


class BufferPool:
    """Hands out buffers; together they never exceed ``limit_bytes``, unless one alone does.

    Whoever holds a buffer can make progress without another one, and with none in use a request
    of any size is granted: so there is no deadlock, however many uploads share the pool.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.in_use_bytes = 0
        self._allowed_bytes = 0  # of the limit, so far
        self._worked_on = 0  # buffers that are read into or hashed
        self._moved_s = -PATIENCE_S  # when a buffer last changed hands, or its work was done
        self._idle: list[Buffer] = []
        self._waiters: deque[_Waiter] = deque()

    @property
    def held_bytes(self) -> int:
        """Bytes of all buffers that exist, in use or idle."""
        return self.in_use_bytes + sum(buffer.capacity_bytes for buffer in self._idle)

    async def take(self, size_bytes: int, *, may_grow: bool = True) -> Buffer:
        """Wait for a buffer of at least ``size_bytes``; the caller owes a `give_back`.

        ``may_grow``: the caller's store may gain by more parts in flight. Raises OSError if the
        system has no memory for a single buffer.
        """
        self._allow(_FIRST_BUFFERS * whole_mib(size_bytes))
        self._serve()
        buffer = None if self._waiters else self._grant_or_wait(size_bytes)
        if buffer is not None:
            return buffer
        waiter = _Waiter(size_bytes, may_grow=may_grow)
        self._waiters.append(waiter)
        try:
            while waiter.buffer is None:
                waiter.raise_error()
                with anyio.move_on_after(self._patience_s(waiter)):
                    await waiter.event.wait()
                self._grow_when_starved(waiter)
        except BaseException:
            self._withdraw(waiter)
            raise
        return waiter.buffer

    def work_done(self, buffer: Buffer) -> None:
        """Note that a buffer is read and hashed: all it still waits for is the store."""
        if buffer.is_worked_on:
            buffer.is_worked_on = False
            self._worked_on -= 1
            self._moved_s = anyio.current_time()

    def give_back(self, buffer: Buffer) -> None:
        """Return a buffer; its bytes may be overwritten from now on."""
        self.work_done(buffer)
        self.in_use_bytes -= buffer.capacity_bytes
        self._idle.append(buffer)
        self._serve()

    def lose(self, buffer: Buffer) -> None:
        """Forget a buffer; its memory is freed when the last view of it dies."""
        self.work_done(buffer)
        self.in_use_bytes -= buffer.capacity_bytes
        self._serve()

    def close(self) -> None:
        """Free the idle buffers."""
        while self._idle:
            self._idle.pop().free()

    def _patience_s(self, waiter: _Waiter) -> float:
        """How long a waiter sleeps before it looks whether the pool should grow."""
        if not waiter.may_grow or self._allowed_bytes >= self.limit_bytes:
            return math.inf
        left_s = self._moved_s + PATIENCE_S - anyio.current_time()
        return left_s if left_s > 0 else PATIENCE_S

    def _grow_when_starved(self, waiter: _Waiter) -> None:
        idle = not self._worked_on and self._moved_s + PATIENCE_S <= anyio.current_time()
        if self._waiters and idle and waiter.may_grow and self._allowed_bytes < self.limit_bytes:
            self._allow(self._allowed_bytes + whole_mib(self._waiters[0].size_bytes))
            self._serve()

    def _allow(self, wanted_bytes: int) -> None:
        self._allowed_bytes = min(self.limit_bytes, max(self._allowed_bytes, wanted_bytes))

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.error is not None:
            return
        if waiter.buffer is not None:
            self.give_back(waiter.buffer)
            return
        self._waiters.remove(waiter)
        self._serve()

    def _serve(self) -> None:
        while self._waiters:
            waiter = self._waiters[0]
            try:
                waiter.buffer = self._grant_or_wait(waiter.size_bytes)
            except OSError as error:  # for the waiter, not for whoever gave a buffer back
                waiter.error = error
            if waiter.buffer is None and waiter.error is None:
                return
            self._waiters.popleft()
            waiter.event.set()

    def _grant_or_wait(self, size_bytes: int) -> Buffer | None:
        """Grant a buffer; OSError if the system has no memory and none is in use to wait for."""
        try:
            return self._grant(size_bytes)
        except OSError:
            if self.in_use_bytes:
                return None
            raise

    def _grant(self, size_bytes: int) -> Buffer | None:
        needed_bytes = whole_mib(max(1, size_bytes))
        buffer = self._reuse(needed_bytes) or self._create(needed_bytes)
        if buffer is not None:
            self.in_use_bytes += buffer.capacity_bytes
            buffer.is_worked_on = True
            self._worked_on += 1
            self._moved_s = anyio.current_time()
        return buffer

    def _fits(self, capacity_bytes: int) -> bool:
        return self.in_use_bytes == 0 or self.in_use_bytes + capacity_bytes <= self._allowed_bytes

    def _reuse(self, needed_bytes: int) -> Buffer | None:
        """The smallest idle buffer that fits, the one used last among equals: it is warm."""
        best: Buffer | None = None
        for buffer in self._idle:
            fits = needed_bytes <= buffer.capacity_bytes and self._fits(buffer.capacity_bytes)
            if fits and (best is None or buffer.capacity_bytes <= best.capacity_bytes):
                best = buffer
        if best is not None:
            self._idle.remove(best)
        return best

    def _create(self, needed_bytes: int) -> Buffer | None:
        if not self._fits(needed_bytes):
            return None
        while self._idle and self.held_bytes + needed_bytes > self._allowed_bytes:
            self._idle.pop(0).free()
        return Buffer(needed_bytes)
