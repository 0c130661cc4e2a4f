"""Those who listen to a build's output: batches of lines, and the line that is not finished yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from asyncpipe.system.logger import structlog
from asyncpipe.text.lines import Lines
from asyncpipe.text.safe import for_console

logger = structlog.get_logger()

PARTIAL_WAIT_S: Final = 0.03  # quiet after which an unfinished line is shown as far as it got
LINE_LIMIT_CHARS: Final = 8192  # of a line for subscribers
_PARTIAL_AGAIN_S: Final = 1.0  # a progress bar that repaints without newlines is shown this often

Subscriber = Callable[[str], None]
BatchSubscriber = Callable[[Lines], None]


def each_line(callback: Subscriber) -> BatchSubscriber:
    """Return what calls ``callback`` with each line of a batch."""
    return partial(_each, callback)


def _each(callback: Subscriber, lines: Lines) -> None:
    for line in lines:
        callback(line)


class Audience:
    """The subscribers, and the line that is not finished yet."""

    def __init__(self) -> None:
        self._live: list[BatchSubscriber] = []
        self._whole: list[BatchSubscriber] = []
        self._line = ""  # the unfinished line; only its head and its end are kept
        self._shown_from = 0  # how much of it the live ones have seen
        self._repaints = False  # a part of it was shown already

    @property
    def patience_s(self) -> float:
        """How long an unfinished line may stay unseen."""
        return _PARTIAL_AGAIN_S if self._repaints else PARTIAL_WAIT_S

    def add(self, callback: BatchSubscriber, *, whole_lines: bool) -> None:
        """Call ``callback`` from now on."""
        (self._whole if whole_lines else self._live).append(callback)

    def feed(self, text: str, newlines: int, *, is_plain: bool) -> None:
        """Take text with so many newlines; complete lines are delivered at once, as one batch.

        ``is_plain``: nothing in it acts, so that it is delivered as it is.
        """
        if self._line or self._repaints:
            first, newline, text = text.partition("\n")
            if not newline:
                self._grow(first)
                return
            self._end_line(first)
            newlines -= 1
        if not newlines:
            self._grow(text)
            return
        body, _, rest = text.rpartition("\n")
        self._tell_all(_fit(body, newlines, is_plain=is_plain))
        if rest:
            self._grow(rest)

    def _tell_all(self, lines: Lines) -> None:
        _tell(self._whole, lines)
        _tell(self._live, lines)

    def _end_line(self, text: str) -> None:
        self._grow(text)
        line, shown = self._line, self._shown_from
        self._line, self._shown_from, self._repaints = "", 0, False
        if self._whole:
            _tell(self._whole, _fit(line, 1))
        if not shown or shown < len(line):
            _tell(self._live, _fit(line[shown:], 1))

    def _grow(self, text: str) -> None:
        room = 2 * LINE_LIMIT_CHARS - len(self._line)
        if len(text) <= room:
            self._line += text
            return
        # Too long to be shown whole: what repaints itself is judged by its end, else by its head.
        carriage = text.rfind("\r")
        if carriage >= 0:
            self._line, self._shown_from = text[carriage + 1 :][: 2 * LINE_LIMIT_CHARS], 0
        else:
            self._line += text[:room]

    def show_partial(self, *, whole_too: bool = False) -> None:
        """Deliver what has come of the unfinished line; ``whole_too``: nothing will follow."""
        line, shown = self._line, self._shown_from
        if whole_too and line:
            _tell(self._whole, _fit(line, 1))
        if len(line) > shown:
            self._shown_from, self._repaints = len(line), True
            _tell(self._live, _fit(line[shown:], 1))


def _fit(body: str, count: int, *, is_plain: bool | None = None) -> Lines:
    """Return the ``count`` lines of ``body`` as subscribers get them."""
    return Lines(for_console(body, LINE_LIMIT_CHARS, known_plain=is_plain), count)


def _tell(callbacks: list[BatchSubscriber], lines: Lines) -> None:
    for callback in tuple(callbacks):
        try:
            callback(lines)
        except Exception as error:
            callbacks.remove(callback)
            logger.warning("buildlog.listener_dropped", exc_info=error)
