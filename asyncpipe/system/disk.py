"""Calls to a disk that may stall: each ends, and none of them holds a signal or a time limit."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, TypeVar

import anyio

from asyncpipe.system.threads import DaemonWorker

Result = TypeVar("Result")

STALL_S: Final = 30.0  # a disk that takes longer for one call is given up
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


def _nothing() -> None:
    pass


def _stalled(limit_s: float) -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"the disk has not answered for {limit_s:g} s")
