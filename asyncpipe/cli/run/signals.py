"""Signals that end a run: the first cancels it, later ones change nothing."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio
import click

from asyncpipe.model.events import Event, RunStopping

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Announcer:
    """Says that a signal came: through the display once there is one, on stderr before.

    The display first erases its live line, with the ``^C`` that the terminal put behind it.
    """

    def __init__(self) -> None:
        self.emit: Callable[[Event], None] | None = None

    def announce(self, number: int) -> None:
        """Say it once; a terminal that is gone (SIGHUP) is ignored."""
        name = signal.Signals(number).name
        if self.emit:
            self.emit(RunStopping(signal=name))
            return
        with contextlib.suppress(OSError):
            click.echo(f"asyncpipe: {name}: stopping, cleaning up ...", err=True)


@asynccontextmanager
async def cancelled_by_signals() -> AsyncIterator[Announcer]:
    """Cancel what runs inside on SIGINT, SIGTERM or SIGHUP.

    A further signal is what the Actions runner sends while we clean up: the clean-up is bounded
    and must not be interrupted by it. SIGHUP that is ignored (nohup) stays ignored.
    """
    announcer = Announcer()
    wanted = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with anyio.open_signal_receiver(*wanted) as signals:
                ready.set()
                async for number in signals:
                    if not scope.cancel_called:
                        announcer.announce(number)
                        scope.cancel()

        ready = anyio.Event()
        scope = anyio.CancelScope()
        tasks.start_soon(watch)
        await ready.wait()
        with scope:
            yield announcer
        tasks.cancel_scope.cancel()
