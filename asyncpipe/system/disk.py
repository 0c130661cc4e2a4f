"""Calls to a disk that may stall: each ends, and none of them holds a signal or a time limit."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, TypeVar

import anyio

from asyncpipe.system.threads import DaemonWorker

Result = TypeVar("Result")

STALL_S: Final = 30.0  # a disk that takes longer for one call is given up
_MOST_THREADS: Final = 40  # at once, as anyio has it
GRACE_S: Final = 1.0  # for a call that is under way when its caller is cancelled


class Disk:
    """Blocking calls, one after the other, in a daemon thread of their own.

    A thread cannot be interrupted. A call that does not come back in time is left behind, and
    later ones are refused at once: they would only wait behind it.
    """

    def __init__(self, name: str) -> None:
        self._worker = DaemonWorker(name)
        self.is_lost = False  # a call was left behind: what it was given may still be written to

    async def call(
        self, function: Callable[..., Result], *args: object, limit_s: float = STALL_S
    ) -> Result:
        """Return what ``function`` returns or raises.

        A caller that is cancelled waits ``GRACE_S`` for what is under way.

        Raises:
            TimeoutError: (an OSError, ETIMEDOUT) the disk does not answer.
        """
        if self.is_lost:
            raise _stalled(limit_s)
        try:
            with anyio.move_on_after(limit_s):
                return await self._worker.run(function, *args)
        except anyio.get_cancelled_exc_class():
            self.is_lost = True
            with anyio.move_on_after(GRACE_S, shield=True):
                await self._worker.run(_nothing)  # it comes after that call
                self.is_lost = False
            raise
        self.is_lost = True
        raise _stalled(limit_s)

    def later(self, function: Callable[[], object]) -> None:
        """Run ``function`` once the disk has answered all that came before; nobody waits."""
        self._worker.submit(function)


class DiskPool:
    """Blocking calls side by side, each in a daemon thread; no limit but the caller's patience.

    A caller that is cancelled waits ``GRACE_S`` for its call and gets the result if it comes. A
    call that hangs for longer is left behind with its thread: it may still end, at any time.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[DaemonWorker] = []
        self._threads = anyio.CapacityLimiter(_MOST_THREADS)

    async def call(self, function: Callable[[], Result]) -> Result:
        """Return what ``function`` returns or raises."""
        async with self._threads:
            worker = self._idle.pop() if self._idle else DaemonWorker(self._name)
            result: Result
            try:
                result = await worker.run(function, grace_s=GRACE_S)
            except anyio.get_cancelled_exc_class():
                raise  # the thread is still at work
            except BaseException:
                self._idle.append(worker)
                raise
            self._idle.append(worker)
            return result


def _nothing() -> None:
    pass


def _stalled(limit_s: float) -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"the disk has not answered for {limit_s:g} s")
