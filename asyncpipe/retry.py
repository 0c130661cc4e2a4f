"""How often a call is repeated, and how long to wait in between: the one policy for all of them.

Parts, small S3 calls, compare-and-swap and downloads differ in their numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import TypeVar

import anyio

from asyncpipe.errors import TransientStoreError

_RANDOM = SystemRandom()

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with jitter.

    The pause before attempt ``n + 1`` is at most ``base_s * 2 ** (n - 1)`` and ``cap_s``. The
    share ``jitter`` of it is random, so that many clients do not come back at once; the rest is
    fixed, so that a store that asked for less always gets some rest.
    """

    attempts: float = 10  # in all, the first one included; math.inf: until ``limit_s``
    base_s: float = 0.5
    cap_s: float = 20.0
    jitter: float = 0.5
    limit_s: float = math.inf  # no attempt begins later than this after the first

    def pause_s(self, attempt: int, random: float) -> float:
        """Return the pause after ``attempt`` (from 1); ``random`` is in [0, 1)."""
        longest_s = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 16))
        return longest_s * (1 - self.jitter + self.jitter * random)


class Retries:
    """Counts the attempts of one operation and pauses between them."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._ends_s = anyio.current_time() + policy.limit_s
        self.attempt = 1

    def restart(self) -> None:
        """Reset the count: the last attempt got somewhere before it failed."""
        self._ends_s = anyio.current_time() + self._policy.limit_s
        self.attempt = 1

    async def pause(self, error: Exception) -> None:
        """Wait until the next attempt is due; raise ``error`` when no attempt is left."""
        pause_s = self._policy.pause_s(self.attempt, _RANDOM.random())
        too_late = anyio.current_time() + pause_s > self._ends_s
        if self.attempt >= self._policy.attempts or too_late:
            raise error
        await anyio.sleep(pause_s)
        self.attempt += 1


async def repeated(
    call: Callable[[], Awaitable[Result]],
    policy: RetryPolicy,
    *,
    unless: type[Exception] | tuple[type[Exception], ...] = (),
) -> Result:
    """Repeat ``call`` while the store says that it may succeed later.

    Raises:
        TransientStoreError: the last attempt's; errors of a class in ``unless`` at once.
    """
    retries = Retries(policy)
    while True:
        try:
            return await call()
        except TransientStoreError as error:
            if isinstance(error, unless):
                raise
            await retries.pause(error)
