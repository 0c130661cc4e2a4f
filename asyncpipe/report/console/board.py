"""Rows of progress as text: the live board, the status line, the plain status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from asyncpipe.report.console.progress import Row, State
from asyncpipe.report.console.styled import Cell, render_table
from asyncpipe.text.format import duration_text, rate_text, size_text
from asyncpipe.text.safe import bounded, clean

_STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "",
    State.PUBLISHED: "green",
    State.FAILED: "bold red",
}
_FULL_WIDTH = 72  # below, the rate makes room for the names
_COLUMNS = ("template", "phase", "elapsed", "bytes", "rate", "ETA")


def status(row: Row, *, width: int | None = None) -> str:
    """One line of one template: ``export 3m12s  1.4 GiB  85.0 MiB/s  ETA 40s  (5m01s in all)``.

    What it took in all is left out where that would go beyond ``width``.
    """
    if row.state is State.WAITING:
        return "waiting"
    if row.state is not State.RUNNING:
        return f"{row.state.value} after {duration_text(row.elapsed_s)}"
    words = [row.phase or "start"]
    if row.waits_for:
        words.append(_waiting(row))
    else:
        words += [duration_text(row.phase_elapsed_s), _bytes(row), *_speed(row)]
    text = "  ".join(word for word in words if word)
    whole = f"{text}  ({duration_text(row.elapsed_s)} in all)"
    return text if width is not None and len(whole) > width else whole


def overview(rows: Sequence[Row]) -> str:
    """One line of all: ``2 running, 1 published, 5 waiting: debian-12 export 1.4 GiB; ...``."""
    counts = Counter(row.state for row in rows)
    order = (State.RUNNING, State.PUBLISHED, State.FAILED, State.WAITING)
    numbers = ", ".join(f"{counts[state]} {state.value}" for state in order if counts[state])
    running = [
        " ".join(word for word in (row.unit, row.phase, _bytes(row), *_speed(row)) if word)
        for row in rows
        if row.state is State.RUNNING
    ]
    return f"{numbers}: {'; '.join(running)}" if running else numbers


def board(
    rows: Sequence[Row], *, width: int, max_lines: int, colour: bool = False
) -> tuple[str, ...]:
    """The live board: a header, a row per template; what is over is left out first and counted.

    Args:
        rows: in the order of the run.
        width: columns of the terminal; no line is longer.
        max_lines: lines that may be used, header included.
        colour: ANSI styles are wanted.
    """
    room = max(1, max_lines - 2)
    shown = _most_telling(rows, room) if len(rows) > max_lines - 1 else list(rows)
    is_narrow = width < _FULL_WIDTH
    columns = tuple(name for name in _COLUMNS if not (is_narrow and name == "rate"))
    cells = [tuple(map(_cells(row, is_narrow=is_narrow).__getitem__, columns)) for row in shown]
    lines = render_table(columns, cells, width=width, colour=colour)
    if len(shown) < len(rows):
        hidden = Counter(row.state for row in rows if row not in shown)
        text = ", ".join(f"{count} {state.value}" for state, count in hidden.items())
        lines = (*lines, bounded(f"  and {text}", width))
    return lines


def _most_telling(rows: Sequence[Row], room: int) -> list[Row]:
    order = (State.RUNNING, State.FAILED, State.WAITING, State.PUBLISHED)
    chosen = sorted(rows, key=lambda row: order.index(row.state))[:room]
    return [row for row in rows if row in chosen]


def _cells(row: Row, *, is_narrow: bool) -> dict[str, Cell]:
    running = row.state is State.RUNNING
    rate = rate_text(row.rate_bytes_per_s) if running and row.rate_bytes_per_s is not None else ""
    is_waiting = row.state is State.WAITING
    eta = duration_text(row.eta_s) if row.eta_s is not None else ""
    return {
        "template": Cell(clean(row.unit), _STYLES[row.state]),
        "phase": Cell(_phase(row) if running else row.state.value, _STYLES[row.state]),
        "elapsed": Cell("" if is_waiting else duration_text(row.elapsed_s), "", right=True),
        "bytes": Cell(_bytes(row, is_short=is_narrow), "", right=True),
        "rate": Cell(rate, "", right=True),
        "ETA": Cell(eta, "", right=True),
    }


def _phase(row: Row) -> str:
    return f"{row.phase} ({duration_text(row.left_s)} left)" if row.waits_for else row.phase


def _waiting(row: Row) -> str:
    """``waiting for Packer to clean up, 97s left``."""
    return f"waiting for {clean(row.waits_for)}, {duration_text(row.left_s)} left"


def _bytes(row: Row, *, is_short: bool = False) -> str:
    if row.done_bytes is None:
        return ""
    if row.total_bytes is None:
        return size_text(row.done_bytes)
    share = f"{row.done_bytes / row.total_bytes:.0%}" if row.total_bytes else "100%"
    if is_short:
        return f"{share} of {size_text(row.total_bytes)}"
    return f"{size_text(row.done_bytes)} of {size_text(row.total_bytes)} {share}"


def _speed(row: Row) -> tuple[str, ...]:
    rate = rate_text(row.rate_bytes_per_s) if row.rate_bytes_per_s is not None else ""
    return rate, f"ETA {duration_text(row.eta_s)}" if row.eta_s is not None else ""
