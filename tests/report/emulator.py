"""A terminal with its scrollback, by pyte; it folds nothing anew when it is resized."""

from __future__ import annotations

import copy
from typing import Any

import pyte
import pyte.modes


class _Screen(pyte.HistoryScreen):
    """As tmux with scroll-on-clear: a whole screen that is erased goes to the scrollback."""

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        if (how == 0 and (self.cursor.x, self.cursor.y) == (0, 0)) or how == 2:
            rows = (self.buffer[y] for y in range(self.lines))
            self.history.top.extend(copy.copy(row) for row in rows)
        super().erase_in_display(how, *args, **kwargs)


class Terminal:
    def __init__(self, columns: int, lines: int) -> None:
        self._screen = _Screen(columns, lines, history=100_000)
        self._screen.set_mode(pyte.modes.LNM)  # as a tty's onlcr: a newline returns too
        self._stream = pyte.Stream(self._screen)
        self._gone: list[str] = []  # what was scrolled out before the last resize

    @property
    def size(self) -> tuple[int, int]:
        return self._screen.columns, self._screen.lines

    def write(self, text: str) -> None:
        self._stream.feed(text)

    def screen(self) -> list[str]:
        return [row.rstrip() for row in self._screen.display]

    def scrollback(self) -> list[str]:
        columns = range(self._screen.columns)
        rows = ["".join(row[x].data for x in columns) for row in self._screen.history.top]
        return [*self._gone, *(row.rstrip() for row in rows)]

    def everything(self) -> list[str]:
        return [*self.scrollback(), *self.screen()]

    def resize(self, columns: int, lines: int) -> None:
        """Cut or widen the lines; what no longer fits in height goes to the scrollback."""
        self._gone = self.scrollback()
        self._screen.history.top.clear()
        if over := max(0, self._screen.cursor.y + 1 - lines):
            self._gone += self.screen()[:over]
        self._screen.resize(lines, columns)

    def reflowed(self, columns: int) -> Terminal:
        """The same text in a terminal of another width, folded anew as VTE and tmux do."""
        other = Terminal(columns, self._screen.lines)
        other.write("\n".join([*self.scrollback(), *self.screen()[: self._screen.cursor.y + 1]]))
        return other
