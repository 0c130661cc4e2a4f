"""Why a build failed: the lines that say so, most telling first."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from asyncpipe.packer.lines import (
    PREFIXED,
    BuildErrored,
    BuildLine,
    Diagnostic,
    OutputEvent,
    build_line,
)
from asyncpipe.text.lines import Lines
from asyncpipe.text.safe import printable

_MOST_LINES: Final = 12
_MOST_ERRORS: Final = 100  # builds of one run that failed
_LINE_CHARS: Final = 500
RECENT_LINES: Final = 200  # that are kept
_MOST_BATCHES: Final = 8  # that wait to be split
_RECENT: Final = 40  # of them lines of the builds
_CONTEXT: Final = 5  # of them shown, those that sound like an error first

_TELLING: Final = re.compile(
    r"error|fail|cannot|can't|could ?n[o']t|unable|timed? ?out|timeout|invalid|denied|refused"
    r"|no such|not found|no space|must be unique|forcing hard shutdown|panic|aborting|killed",
    re.IGNORECASE,
)
STRAY: Final = (
    r"\* .|flag provided but not defined|!+ PACKER CRASH|panic: |fatal error: |Packer crashed!"
)
_STRAY: Final = re.compile(STRAY)
# Says that there was an error, or cleans up after one; the cause stands before it.
_EPILOGUE: Final = re.compile(
    r"Provisioning step had errors|Destroy(?:ing|ed) V|Deleting output directory|Step \"|aborted: "
    r"|Running post-processor|Downloading\.\.\. \d+%"
)
_HALTED: Final = ("Build was halted.", "Build was cancelled.")


class Causes:
    """Listens to the events and the lines of one run."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._errored: list[BuildErrored] = []
        self._kept: deque[str] = deque(maxlen=RECENT_LINES)
        self._passed: list[Lines] = []  # after those, and not split yet
        self._before_error: list[str] = []
        self._stray: list[str] = []

    def pass_over(self, lines: Iterable[str]) -> None:
        """Take lines that mean nothing by themselves; the last ``RECENT_LINES`` of them do."""
        self._recent.extend(lines)

    def pass_over_all(self, lines: Lines) -> None:
        """Take a whole batch of such lines; mostly others follow before anybody looks at them."""
        if len(self._passed) > _MOST_BATCHES:
            self._split()
        self._passed.append(lines)
        while sum(map(len, self._passed[1:])) >= RECENT_LINES:
            del self._passed[0]

    @property
    def _recent(self) -> deque[str]:
        self._split()
        return self._kept

    def _split(self) -> None:
        for lines in self._passed:
            self._kept.extend(lines.last(RECENT_LINES))
        self._passed.clear()

    def take(self, line: str, events: list[OutputEvent]) -> None:
        """Take one line and what it meant."""
        self._recent.append(line)
        if _STRAY.match(line) and len(self._stray) < _MOST_LINES:
            self._stray.append(line)
        for event in events:
            self.take_event(event)

    def take_event(self, event: OutputEvent) -> None:
        """Take an event that no line belongs to (the end closes a diagnostic)."""
        if isinstance(event, BuildErrored):
            if len(self._errored) < _MOST_ERRORS:
                self._errored.append(event)
            self._before_error = self._before_error or list(self._recent)
        elif isinstance(event, Diagnostic) and len(self.diagnostics) < _MOST_LINES:
            self.diagnostics.append(event)

    def lines(self) -> tuple[str, ...]:
        """Return why the run failed: bounded, printable, most telling first, without repetition."""
        causes = [f"{error.build_name}: {error.error}" for error in self._telling_errors()]
        causes += map(str, self.diagnostics)
        causes += [] if self.diagnostics else self._stray
        causes += self._context()
        causes += [f"{e.build_name}: {e.error}" for e in self._errored if e.error in _HALTED]
        bounded = [printable(line.strip(), _LINE_CHARS) for line in causes or self._last()]
        return tuple(dict.fromkeys(bounded))[:_MOST_LINES]

    def _last(self) -> list[str]:
        return [line for line in self._recent if line.strip()][-_CONTEXT:]

    def _telling_errors(self) -> list[BuildErrored]:
        return [error for error in self._errored if error.error not in _HALTED]

    def _context(self) -> list[str]:
        """Return the last words of the builds that failed, bounded.

        Those that sound like an error first, of these the one nearest to the end; then the last
        ones in their order, since what sounds like an error may be none.
        """
        names = {error.build_name for error in self._errored}
        lines = [
            line
            for line in _of_builds(self._before_error)[-_RECENT:]
            if line.build_name.split(" (")[0] in names and not _EPILOGUE.match(line.text)
        ]
        telling = [line for line in lines if _TELLING.search(line.text)]
        # what came on stderr is more likely the reason: there, Packer says "==>"
        said = [line for line in telling if line.said] or telling
        first = said[: -_CONTEXT - 1 : -1]
        last = [line for line in lines[-_CONTEXT:] if line not in first]
        room = _CONTEXT - len(first)
        shown = [*first, *(last[-room:] if room else [])]
        return [f"{line.build_name}: {line.text}" for line in shown]


def _of_builds(lines: list[str]) -> list[BuildLine]:
    matches = map(PREFIXED.match, lines)
    return [build_line(match) for match in matches if match]
