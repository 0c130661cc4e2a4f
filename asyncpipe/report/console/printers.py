"""What the writing thread prints for events and for the passing of time; texts only, no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from asyncpipe.model.events import Event, OutputLines, PhaseChanged, RunFinished, RunStarted
from asyncpipe.report.console import board
from asyncpipe.report.console.lines import OWN, count_text, line_of, unit_of
from asyncpipe.report.console.progress import RunProgress, State
from asyncpipe.report.console.styled import styled
from asyncpipe.report.console.table import closing
from asyncpipe.text.lines import prefixed
from asyncpipe.text.safe import clean

_STATUS_PERIOD_ONE_S = 20.0
_STATUS_PERIOD_MANY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Whose lines are shown, and how much of them.

    ``units``: names of the templates of this run, in order. ``colour``: ANSI colours are wanted
    (NO_COLOR and FORCE_COLOR are the command line's matter). ``quiet``: 1 leaves Packer's lines
    out, 2 shows warnings and ends only. ``verbose``: 1 adds what the guest's evidence says.
    ``reflows``: the terminal folds its lines again when it becomes narrower.
    """

    units: tuple[str, ...]
    colour: bool = False
    quiet: int = 0
    verbose: int = 0
    reflows: bool = False

    @property
    def many(self) -> bool:
        """Several templates: each line says whose it is."""
        return len(self.units) > 1


class Printer(Protocol):
    """Turns events into text; one thread only."""

    period_s: float

    def rest_s(self, now_s: float) -> float:
        """For how long nothing would be written, unless very much comes."""
        ...

    def show(self, events: tuple[Event, ...], left_out: dict[str, int], now_s: float) -> str:
        """Return what to write for a batch."""
        ...

    def tick(self, now_s: float) -> str:
        """Return what to write because time passed, often nothing."""
        ...

    def close(self, now_s: float) -> str:
        """Return what to write last."""
        ...


class PlainPrinter:
    """Newline lines for a file or a pipe; a status line at a steady pace, no flood."""

    period_s = 1.0

    def __init__(self, style: Style) -> None:
        self.style = style
        self.progress = RunProgress(style.units)
        self._pace_s = _STATUS_PERIOD_MANY_S if style.many else _STATUS_PERIOD_ONE_S
        self._next_status_s: float | None = None

    def rest_s(self, now_s: float) -> float:  # noqa: ARG002 -- the protocol's signature
        """Write whatever comes at once."""
        return 0.0

    def show(self, events: tuple[Event, ...], left_out: dict[str, int], now_s: float) -> str:
        """Lines in the order of the events, then how many were left out."""
        parts = [self.text_of(event, now_s) for event in _joined(events)]
        parts += [self.left_out(unit, count) for unit, count in left_out.items()]
        return "".join(parts)

    def text_of(self, event: Event, now_s: float) -> str:
        """Return the lines of one event."""
        self.progress.apply(event, now_s)
        if isinstance(event, RunFinished):
            return self.ending(event)
        if isinstance(event, RunStarted):
            self._next_status_s = now_s + self._pace_s
        unit = unit_of(event)
        is_timed = isinstance(event, PhaseChanged)
        line = line_of(
            event,
            elapsed_s=self.progress.elapsed_s(unit, now_s) if is_timed else 0.0,
            quiet=self.style.quiet,
            verbose=self.style.verbose,
        )
        return "" if line is None else self.line(unit, line, guest=isinstance(event, OutputLines))

    def left_out(self, unit: str, count: int) -> str:
        """Say that lines were dropped for want of a reader."""
        if self.style.quiet:
            return ""
        lines = "line was" if count == 1 else "lines were"
        return self.line(unit, f"{OWN}{count} {lines} left out here; build.log has them all")

    def line(self, unit: str, text: str, *, guest: bool = False) -> str:
        """One whole line with its prefix; several where they are a guest's."""
        if self.style.colour and not guest:
            text = styled(text, _style_of(text), colour=True)
        if not (self.style.many and unit):
            return f"{text}\n"
        return prefixed(f"{clean(unit)} | ", text) + "\n"

    def ending(self, event: RunFinished) -> str:
        """The closing table, whole, how many ended how, and what a cancelled run leaves."""
        lines = ["", OWN + count_text(event)] if self.style.many and event.outcomes else []
        lines += [f"{OWN}cancelled"] if event.cancelled else []
        lines += [f"{OWN}remains: {clean(what)}" for what in event.remains]
        table = closing(event.outcomes, width=self.width(), colour=self.style.colour)
        return table + "".join(f"{line}\n" for line in lines)

    def width(self) -> int:
        """Columns for the closing table."""
        return 120

    def tick(self, now_s: float) -> str:
        """A status line when one is due."""
        if self._next_status_s is None or now_s < self._next_status_s or self.style.quiet > 1:
            return ""
        self._next_status_s = max(self._next_status_s + self._pace_s, now_s)
        rows = self.progress.rows(now_s)
        if not any(row.state is State.RUNNING for row in rows):
            return ""
        text = board.overview(rows) if self.style.many else board.status(rows[0])
        return self.line("", OWN + clean(text))

    def close(self, now_s: float) -> str:  # noqa: ARG002 -- the protocol's signature
        """Nothing: every line was whole."""
        return ""


def _joined(events: tuple[Event, ...]) -> Iterator[Event]:
    """Yield the events, lines of one template that follow one another as one."""
    for unit, some in groupby(events, lambda e: e.unit if isinstance(e, OutputLines) else None):
        first, *others = some
        if unit is not None and others:
            texts = [event.text for event in (first, *others) if isinstance(event, OutputLines)]
            yield OutputLines(unit=unit, text="\n".join(texts))
        else:
            yield from (first, *others)


def _style_of(own_line: str) -> str:
    if own_line.startswith(f"{OWN}FAILED"):
        return "bold red"
    return "yellow" if own_line.startswith(f"{OWN}warning") else "cyan"
