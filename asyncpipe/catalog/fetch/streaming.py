"""A version's XVA in order, fetched as ranges that travel side by side."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup

from asyncpipe.errors import ChecksumError, TransientStoreError, flattened
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore, Piece
from asyncpipe.retry import Retries, RetryPolicy

_RETRY: Final = RetryPolicy(attempts=8, base_s=0.2, cap_s=10.0)  # while no byte arrives
_SLOW_S: Final = 0.1  # that the reader waits for a range; then another connection may help
_EXTENDED_EACH_S: Final = 0.5  # not for each of ten thousand pieces a second
_MIB: Final = 1024 * 1024

Pieces = Sequence[Piece]  # of one range, in order; empty once the next range is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """How much is fetched before it is needed; memory is at most ``window`` ranges.

    Few connections at first: more of them cost a store that is fast, and us, more than they bring.
    """

    range_bytes: int = 16 * _MIB
    connections: int = 2  # at first; another one each time the reader waits, up to ``window``
    window: int = 3  # ranges on their way or waiting for their turn, at most
    stall_s: float = 20.0  # without a byte; then the rest of the range is requested again


AHEAD: Final = Ahead()


@asynccontextmanager
async def stream_xva(
    store: ObjectStore, entry: CatalogEntry
) -> AsyncGenerator[AsyncIterator[Piece]]:
    """Read the XVA of ``entry`` in pieces.

    Raises:
        ChecksumError: it is shorter or longer than what was published.
        UploadError: the store refuses, or stays away.
    """
    async with stream_ranges(store, entry) as ranges:
        yield _flat(ranges)


@asynccontextmanager
async def stream_ranges(
    store: ObjectStore, entry: CatalogEntry, *, offset_bytes: int = 0, ahead: Ahead = AHEAD
) -> AsyncGenerator[AsyncIterator[Pieces]]:
    """Read the XVA of ``entry`` from ``offset_bytes`` on, range by range; raises as `stream_xva`.

    Ranges come in order, and end at multiples of their size; those behind are fetched meanwhile.
    One that breaks off, or stalls, goes on at its next byte over another connection and holds up
    nothing but its turn.
    """
    fetching = _Fetching(store, entry, offset_bytes, ahead)
    with flattened():
        async with anyio.create_task_group() as tasks:
            for _ in range(min(ahead.connections, fetching.count)):
                fetching.connect(tasks)
            async with aclosing(fetching.in_order(tasks)) as ranges:
                yield ranges
            tasks.cancel_scope.cancel()


class _Fetching:
    def __init__(
        self, store: ObjectStore, entry: CatalogEntry, offset_bytes: int, ahead: Ahead
    ) -> None:
        self._store = store
        self._key = entry.xva.key
        self._size_bytes = entry.xva.size_bytes
        self._first_bytes = offset_bytes
        self._ahead = ahead
        self._first = offset_bytes // ahead.range_bytes  # ranges skipped; one may be half there
        self.count = -(-self._size_bytes // ahead.range_bytes) - self._first
        self._next = 0
        self._connections = 0
        self._room = anyio.Semaphore(min(ahead.connections + 1, ahead.window))
        self._done: dict[int, list[Piece]] = {}
        self._arrived = anyio.Event()

    def connect(self, tasks: TaskGroup) -> None:
        """Fetch over one more connection, with room for one range that waits for its turn."""
        self._connections += 1
        if self._ahead.connections < self._connections < self._ahead.window:
            self._room.release()
        tasks.start_soon(self._work)

    async def _work(self) -> None:
        """Fetch one range after the other, as long as there is room to keep them."""
        while True:
            await self._room.acquire()
            number = self._next
            if number == self.count:
                self._room.release()
                return
            self._next += 1
            self._done[number] = await self._range(number)
            self._arrived.set()

    async def in_order(self, tasks: TaskGroup) -> AsyncGenerator[Pieces]:
        """Yield the ranges in order, and make room for another with each."""
        for number in range(self.count):
            while number not in self._done:
                await self._arrival(tasks)
            pieces = self._done.pop(number)
            yield pieces
            pieces.clear()  # a reader that still has the list must not hold the memory
            self._room.release()

    async def _arrival(self, tasks: TaskGroup) -> None:
        self._arrived = anyio.Event()
        with anyio.move_on_after(_SLOW_S) as wait:
            await self._arrived.wait()
        if wait.cancelled_caught and self._connections < min(self._ahead.window, self.count):
            self.connect(tasks)

    async def _range(self, number: int) -> list[Piece]:
        at_bytes = (self._first + number) * self._ahead.range_bytes
        begin_bytes = max(at_bytes, self._first_bytes)
        want_bytes = min(at_bytes + self._ahead.range_bytes, self._size_bytes) - begin_bytes
        # the last one is asked for without an end, so that an object that grew shows
        limit_bytes = None if number == self.count - 1 else want_bytes
        retries = Retries(_RETRY)
        pieces: list[Piece] = []
        got_bytes = 0
        while got_bytes < want_bytes:
            before_bytes = got_bytes
            try:
                left_bytes = None if limit_bytes is None else limit_bytes - got_bytes
                async with self._guarded(begin_bytes + got_bytes, left_bytes) as more:
                    async for piece in more:
                        pieces.append(piece)
                        got_bytes += len(piece)
                        self._refuse_excess(got_bytes, want_bytes)
            except TransientStoreError as error:
                if got_bytes > before_bytes:
                    retries.restart()
                await retries.pause(error)
                continue
            if got_bytes == before_bytes:
                raise ChecksumError(
                    f"{self._store.url_of(self._key)} ends after {begin_bytes + got_bytes:,} of "
                    f"{self._size_bytes:,} bytes."
                )
        return pieces

    @asynccontextmanager
    async def _guarded(
        self, offset_bytes: int, size_bytes: int | None
    ) -> AsyncGenerator[AsyncIterator[Piece]]:
        """Read a range of the store; a TransientStoreError when nothing comes for a while."""
        stall_s = self._ahead.stall_s
        opened = self._store.stream(self._key, offset_bytes=offset_bytes, size_bytes=size_bytes)
        with anyio.move_on_after(stall_s) as limit:
            async with opened as stream:
                yield _extending(limit, stall_s, stream)
        if limit.cancelled_caught:
            raise TransientStoreError(
                f"{self._store.url_of(self._key)} sent nothing for {stall_s:g} s."
            )

    def _refuse_excess(self, got_bytes: int, want_bytes: int) -> None:
        if got_bytes > want_bytes:
            raise ChecksumError(
                f"The object {self._key} is larger than the {self._size_bytes} bytes published."
            )


async def _extending(
    limit: anyio.CancelScope, stall_s: float, stream: AsyncIterator[Piece]
) -> AsyncIterator[Piece]:
    async for piece in stream:
        now_s = anyio.current_time()
        if limit.deadline - now_s < stall_s - _EXTENDED_EACH_S:
            limit.deadline = now_s + stall_s
        yield piece


async def _flat(ranges: AsyncIterator[Pieces]) -> AsyncIterator[Piece]:
    async for pieces in ranges:
        for piece in pieces:
            yield piece
