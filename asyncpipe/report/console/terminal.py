"""The log on a terminal: above it stays what was printed, below it stands what is live.

One template has a status line below its log. Several have a board, a rule and the last lines of
the log: a line leaves the region by being printed above it, whole and finally, so that screen
and scrollback hold the log once and in order. Each change is one text, for one write.
"""

from __future__ import annotations

from collections.abc import Callable

from asyncpipe.model.events import Event, OutputLines, RunFinished, RunStarted, TemplateStarted
from asyncpipe.report.console import board
from asyncpipe.report.console.printers import PlainPrinter, Style
from asyncpipe.report.console.progress import State
from asyncpipe.report.console.styled import cells_of, cut, styled
from asyncpipe.text.safe import bounded, clean, is_printable_ascii

Size = Callable[[], tuple[int, int]]  # columns and lines of the terminal now

_REDRAW_PERIOD_S = 0.5
_TABLE_PERIOD_S = 1.0  # it shows seconds; what happens is shown at once
_BUSY_PERIOD_S = 0.1  # a fast log is drawn in batches, so that drawing does not become the work
_MAX_HELD_CHARS = 131_072
_LEAST_TAIL = 5
# A terminal echoes Ctrl-C as ^C behind the last line: were it full, that would begin another row,
# which nobody erases. There is room for two before the next drawing.
_ECHO_CELLS = 4
_LEAST_COLUMNS, _LEAST_LINES = 24, 6  # of a board; one line of words below
# Off while the region is drawn: a character that is wider than we think cannot make a line wrap.
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"


class Region:
    """The lines at the cursor, the last one without an end; replaced as a whole.

    ``reflows``: the terminal folds lines again when it becomes narrower. Where it does not and we
    went up by the rows that they would fold to, lines of the log would be erased.
    """

    def __init__(self, *, reflows: bool = False) -> None:
        self._reflows = reflows
        self.lines: tuple[str, ...] = ()

    def erased(self, columns: int) -> str:
        """Erase the region and put the cursor where it began."""
        if not self.lines:
            return ""
        rows = sum(self._rows(line, columns) for line in self.lines) if self._reflows else 0
        up = (rows or len(self.lines)) - 1
        self.lines = ()
        # Line by line: tmux keeps in its scrollback what "erase below" takes of a whole screen.
        return "\r\x1b[2K" + "\x1b[A\x1b[2K" * up

    def drawn(self, lines: tuple[str, ...]) -> str:
        """Put ``lines`` where the cursor is, at the beginning of a line."""
        self.lines = lines
        return "\n".join(lines)

    def _rows(self, line: str, columns: int) -> int:
        return max(1, -(-cells_of(line) // max(1, columns)))


class TerminalPrinter(PlainPrinter):
    """The log of one template with its status line below."""

    period_s = _REDRAW_PERIOD_S

    def __init__(self, style: Style, size: Size) -> None:
        super().__init__(style)
        self._size = size
        self._region = Region(reflows=style.reflows)

    def show(self, events: tuple[Event, ...], left_out: dict[str, int], now_s: float) -> str:
        """The new lines above, the status below."""
        text = super().show(events, left_out, now_s)
        return self._draw(text, now_s)

    def tick(self, now_s: float) -> str:
        """The status as it is now; no status lines in between."""
        return self._draw("", now_s)

    def width(self) -> int:
        """As wide as the terminal."""
        return self._size()[0] - 1

    def close(self, now_s: float) -> str:  # noqa: ARG002 -- the protocol's signature
        """Erase the status."""
        return self._region.erased(self._size()[0])

    def _draw(self, text: str, now_s: float) -> str:
        columns, _ = self._size()
        lines = self._status(columns, now_s)
        if not text and lines == self._region.lines:
            return ""
        return self._region.erased(columns) + text + self._region.drawn(lines)

    def _status(self, columns: int, now_s: float) -> tuple[str, ...]:
        rows = self.progress.rows(now_s)
        if not any(row.state is State.RUNNING for row in rows):
            return ()
        width = columns - 1 - _ECHO_CELLS
        text = bounded(f"[{board.status(rows[0], width=width - 2)}]", width)
        return (styled(text, "cyan", colour=self.style.colour),)


class BoardPrinter(PlainPrinter):
    """The log of several templates: the board, a rule, and the tail of the log below it."""

    period_s = _REDRAW_PERIOD_S

    def __init__(self, style: Style, size: Size) -> None:
        super().__init__(style)
        self._size = size
        self._region = Region(reflows=style.reflows)
        self._held = ""  # whole lines that are not printed above it yet
        self._is_live = False
        self._next_draw_s = self._next_table_s = 0.0
        self._table_key: tuple[int, int, bool] | None = None
        self._drawn_table: tuple[str, ...] = ()

    def show(self, events: tuple[Event, ...], left_out: dict[str, int], now_s: float) -> str:
        """Hold the new lines and draw, unless that was done a moment ago."""
        text = super().show(events, left_out, now_s)
        self._held += text
        is_early = now_s < self._next_draw_s and len(self._held) <= _MAX_HELD_CHARS
        return "" if is_early and self._is_live else self._draw(now_s)

    def rest_s(self, now_s: float) -> float:
        """Until it may be drawn again."""
        return self._next_draw_s - now_s if self._is_live else 0.0

    def text_of(self, event: Event, now_s: float) -> str:
        """The lines of one event; the region stands from the first to the last of the run."""
        if isinstance(event, RunStarted | TemplateStarted):
            self._is_live = True
        elif isinstance(event, RunFinished):
            self._is_live = False
        if not isinstance(event, OutputLines):
            self._next_table_s = now_s
        return super().text_of(event, now_s)

    def tick(self, now_s: float) -> str:
        """The region as it is now; no status lines in between."""
        return "" if now_s < self._next_draw_s else self._draw(now_s)

    def width(self) -> int:
        """As wide as the terminal."""
        return self._size()[0] - 1

    def close(self, now_s: float) -> str:
        """Erase the region; the lines of the log that it held are printed above it."""
        self._is_live = False
        return self._draw(now_s)

    def _draw(self, now_s: float) -> str:
        columns, lines = self._size()
        self._next_draw_s = now_s + _BUSY_PERIOD_S
        table = self._table(columns, lines, now_s)
        room = _tail_room(lines, len(table)) if len(table) > 1 else 0
        gone, tail = self._parted(room)
        region = (*table, *_cut(tail, columns - 1))
        region = (*region[:-1], *(cut(line, columns - 1 - _ECHO_CELLS) for line in region[-1:]))
        if not gone and region == self._region.lines:
            return ""
        above = self._region.erased(columns) + gone
        below = self._region.drawn(region)
        return above + (f"{_WRAP_OFF}{below}{_WRAP_ON}" if below else "")

    def _parted(self, room: int) -> tuple[str, list[str]]:
        """Return what is printed for good, and the last lines, which are held."""
        first, *tail = self._held.rsplit("\n", room + 1)
        if len(tail) <= room:
            return "", [first, *tail][:-1]
        gone = f"{first}\n"
        self._held = self._held[len(gone) :]
        return gone, tail[:-1]

    def _table(self, columns: int, lines: int, now_s: float) -> tuple[str, ...]:
        """The board and its rule, drawn anew when it is old enough or the terminal changed."""
        key = (columns, lines, self._is_live)
        if now_s >= self._next_table_s or key != self._table_key:
            self._next_table_s, self._table_key = now_s + _TABLE_PERIOD_S, key
            self._drawn_table = self._new_table(columns, lines, now_s)
        return self._drawn_table

    def _new_table(self, columns: int, lines: int, now_s: float) -> tuple[str, ...]:
        """One line where a board has no room; nothing when all is over."""
        if not self._is_live:
            return ()
        rows = self.progress.rows(now_s)
        width = columns - 1
        if columns < _LEAST_COLUMNS or lines < _LEAST_LINES:
            return (cut(clean(board.overview(rows)), width),)
        room = max(3, min(lines // 2, lines - 2 - _LEAST_TAIL))
        table = board.board(rows, width=width, max_lines=room, colour=self.style.colour)
        return (*table, styled("─" * width, "dim", colour=self.style.colour))


def _cut(lines: list[str], columns: int) -> list[str]:
    """Cut each line; mostly none needs it."""
    if is_printable_ascii("".join(lines)) and max(map(len, lines), default=0) <= columns:
        return lines
    return [cut(line, columns) for line in lines]


def _tail_room(lines: int, above: int) -> int:
    """Lines for the tail: half the screen where there is room; one line stays the log's own."""
    return max(1, min(lines // 2, lines - 1 - above))
