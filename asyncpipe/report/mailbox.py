"""A bounded queue between the run and the one thread that writes: whoever puts never waits."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from asyncpipe.model.events import Event, ExportGrew, OutputLines, UploadProgress

_MAX_LINES = 4096
_MAX_LINE_CHARACTERS = 1024 * 1024  # of all waiting lines together
_MANY_LINES = 3072  # that wait: whoever rests is woken


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one look into the mailbox brings; ``left_out`` counts dropped lines per template."""

    events: tuple[Event, ...]
    left_out: Mapping[str, int]
    closed: bool


class Mailbox:
    """Takes events from any thread; lines are dropped when it is full, progress keeps the latest.

    Phases, warnings and outcomes are never dropped: a run has few of them.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._progress: dict[tuple[str, str, str], Event] = {}
        self._left_out: Counter[str] = Counter()
        self._lines = self._characters = 0
        self._closed = self._resting = False

    def put(self, event: Event) -> None:
        """Take one event; returns at once."""
        with self._changed:
            match event:
                case OutputLines():
                    if not self._take_lines(event):
                        return
                case UploadProgress():
                    self._progress[event.name, event.unit, event.key] = event
                    return  # the next tick shows it
                case ExportGrew():
                    self._progress[event.name, event.unit, ""] = event
                    return
                case _:
                    self._events.append(event)
            if not self._resting or self._lines >= _MANY_LINES:
                self._changed.notify()

    def close(self) -> None:
        """No more will come; what waits is still taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, timeout_s: float, *, rest_s: float = 0.0) -> Batch:
        """Return all that waits, after at most ``timeout_s``; empty when nothing came.

        Not before ``rest_s`` have passed, unless much waits: less wakes nobody until then.
        """
        with self._changed:
            if rest_s > 0 and not self._closed and self._lines < _MANY_LINES:
                self._resting = True
                self._changed.wait(rest_s)
                self._resting = False
            if not self._events and not self._closed:
                self._changed.wait(timeout_s)
            batch = Batch(
                events=(*self._progress.values(), *self._events),
                left_out=dict(+self._left_out),
                closed=self._closed,
            )
            self._events.clear()
            self._progress.clear()
            self._left_out.clear()
            self._lines = self._characters = 0
            return batch

    def _take_lines(self, event: OutputLines) -> bool:
        """Take as many of the lines as there is room for; whether it was any."""
        count, room = event.count or event.text.count("\n") + 1, _MAX_LINES - self._lines
        kept = event
        if count > room >= _MAX_LINES // 2:  # with less room, a cut is not worth its time
            text, room = _first(event.text, count, room)
            kept = replace(event, text=text, count=room)
        elif count > room:
            room = 0
        if room == 0 or self._characters + len(kept.text) > _MAX_LINE_CHARACTERS:
            self._left_out[event.unit] += count
            return False
        taken = min(count, room)
        self._left_out[event.unit] += count - taken
        self._lines += taken
        self._characters += len(kept.text)
        self._events.append(kept)
        return True


def _first(text: str, count: int, most: int) -> tuple[str, int]:
    """Return about the first ``most`` of some lines, never more, and how many they are.

    They are cut by their size, not split: of a flood no line is looked at by itself.
    """
    while count > most:
        text, newline, _ = text[: len(text) * most // count].rpartition("\n")
        count = text.count("\n") + 1 if newline else 0
    return text, count
