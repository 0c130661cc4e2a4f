"""The console: a reporter whose ``emit`` only queues, and the one thread that writes to stdout."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from asyncpipe.model.events import Event
from asyncpipe.report.console.printers import PlainPrinter, Printer, Style
from asyncpipe.report.mailbox import Mailbox
from asyncpipe.report.sink import Sink, StreamSink

__all__ = ["Console", "Style", "open_console"]

_CLOSE_TIMEOUT_S = 2.0


class Console:
    """Reporter over a mailbox and a printer; the thread ends with the mailbox or the reader."""

    def __init__(self, printer: Printer, sink: Sink, clock: Callable[[], float]) -> None:
        self._printer, self._sink, self._clock = printer, sink, clock
        self._mailbox = Mailbox()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self.problem: BaseException | None = None  # why the console fell silent

    def emit(self, event: Event) -> None:
        """Queue one event; never waits, never raises."""
        if self.problem is None:
            self._mailbox.put(event)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """Write what waits, within ``timeout_s``; return whether all of it went out."""
        self._mailbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and self.problem is None

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # noqa: BLE001 -- a closed terminal never ends a build
            self.problem = error

    def _step(self) -> bool:
        printer = self._printer
        batch = self._mailbox.take(printer.period_s, rest_s=printer.rest_s(self._clock()))
        now_s = self._clock()
        text = printer.show(batch.events, dict(batch.left_out), now_s)
        text += printer.close(now_s) if batch.closed else printer.tick(now_s)
        if text:
            self._sink.write(text)
        return not batch.closed


@contextmanager
def open_console(
    *,
    stdout: TextIO,
    style: Style,
    is_terminal: bool,
    github: bool = False,
    masks: Sequence[str] = (),
    workspace: str = "",
    clock: Callable[[], float] = time.monotonic,
    close_timeout_s: float = _CLOSE_TIMEOUT_S,
) -> Iterator[Console]:
    """Open the console for one run and close it, flushed, within ``close_timeout_s``.

    Args:
        stdout: the stream; a separate thread writes it, past its buffer where it has a
            descriptor, so nobody else should print to it meanwhile.
        style: the templates of this run, and how much is shown.
        is_terminal: a live board or status line may be drawn.
        github: GitHub Actions reads this: guest lines are shielded, groups and annotations made.
        masks: secrets that GitHub's log shall hide; masked before anything else is printed.
        workspace: GITHUB_WORKSPACE; annotations name files relative to it.
        clock: monotonic seconds.
        close_timeout_s: how long a stalled reader may hold the end of the run.
    """
    printer: Printer
    if github:
        from asyncpipe.report.github.printer import GithubPrinter  # noqa: PLC0415

        printer = GithubPrinter(style, masks=masks, workspace=workspace)
    elif is_terminal:
        from asyncpipe.report.console.terminal import BoardPrinter, TerminalPrinter  # noqa: PLC0415

        printer = (BoardPrinter if style.many else TerminalPrinter)(style, _terminal_size)
    else:
        printer = PlainPrinter(style)
    console = Console(printer, StreamSink(stdout), clock)
    console.start()
    try:
        yield console
    finally:
        console.close(close_timeout_s)


def _terminal_size() -> tuple[int, int]:
    columns, lines = shutil.get_terminal_size((100, 24))
    return columns, lines
