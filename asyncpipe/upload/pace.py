"""How fast may be sent: parts in flight, bytes per second; and how fast a file grows."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio

_SHORTEST_S: Final = 0.005  # between two looks at a file: each costs a tenth of a millisecond


class SendGate:
    """Lets a number of parts through at once, fewer after the store asked for less.

    Additive increase, multiplicative decrease: a SlowDown halves the number (at most once per
    second, since one burst answers many parts), every part that went well earns a share back.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._limit = float(most)
        self._inside = 0
        self._lowered_at_s = float("-inf")
        self._waiters: deque[anyio.Event] = deque()

    @property
    def limit(self) -> int:
        """How many parts may be in flight now."""
        return max(1, int(self._limit))

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Hold one place."""
        await self._enter()
        try:
            yield
        finally:
            self._inside -= 1
            self._serve()

    def slow_down(self) -> None:
        """Take the store's word for it: half as many."""
        now_s = anyio.current_time()
        if now_s - self._lowered_at_s >= 1.0:
            self._lowered_at_s = now_s
            self._limit = max(1.0, self._limit / 2)

    def went_well(self) -> None:
        """A part was stored: allow a little more, up to the configured most."""
        self._limit = min(float(self.most), self._limit + 1 / self._limit)

    async def _enter(self) -> None:
        if not self._waiters and self._inside < self.limit:
            self._inside += 1
            return
        place = anyio.Event()
        self._waiters.append(place)
        try:
            await place.wait()
        except BaseException:
            if place.is_set():
                self._inside -= 1
            else:
                self._waiters.remove(place)
            self._serve()
            raise

    def _serve(self) -> None:
        while self._waiters and self._inside < self.limit:
            self._inside += 1
            self._waiters.popleft().set()


class Bandwidth:
    """A byte rate that all uploads share: a part starts when those before it are paid for."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self.bytes_per_s = bytes_per_s
        self._free_at_s = float("-inf")

    async def pay(self, size_bytes: int) -> None:
        """Wait until ``size_bytes`` may be sent."""
        if self.bytes_per_s is None:
            return
        now_s = anyio.current_time()
        start_s = max(now_s, self._free_at_s)
        self._free_at_s = start_s + size_bytes / self.bytes_per_s
        await anyio.sleep(start_s - now_s)


class Growth:
    """The pace of a file that grows: when to look at it again, so that no part waits for a look."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._pace_bytes_per_s = 0.0
        self._before: tuple[float, int] | None = None

    def pause_s(self, size_bytes: int, wanted_bytes: int) -> float:
        """Return how long it will take to ``wanted_bytes``, from the size that was just seen."""
        now_s = anyio.current_time()
        before_s, before_bytes = self._before or (now_s, size_bytes)
        if self._before is None or now_s - before_s >= self._longest_s / 2:
            self._before = now_s, size_bytes
        if now_s - before_s >= self._longest_s / 2:
            seen = (size_bytes - before_bytes) / (now_s - before_s)
            self._pace_bytes_per_s = (self._pace_bytes_per_s + seen) / 2
        if self._pace_bytes_per_s <= 0:
            return self._longest_s
        left_s = (wanted_bytes - size_bytes) / self._pace_bytes_per_s
        return min(self._longest_s, max(_SHORTEST_S, left_s))
