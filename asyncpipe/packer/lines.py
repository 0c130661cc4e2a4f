"""One line of ``packer build -color=false`` at a time -> what it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from asyncpipe.model.build import Phase
from asyncpipe.packer.phases import phase_of

# ``==> NAME: text`` (say, error; from 1.13 on all) and ``    NAME: text`` (message, to 1.12);
# NAME is type.name, build.type.name or a JSON builder's name, post-processors add `` (compress)``.
PREFIXED: Final = re.compile(
    r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: )?(?P<mark>==>| {3}) (?P<name>[^\s:]+(?: \([^)]*\))?): "
    r"(?P<text>.*)"
)
_ERRORED: Final = re.compile(
    r"Build '(?P<name>[^']*)' errored(?: after [a-z0-9 ]+)?: (?P<error>.*)", re.DOTALL
)
_DIAGNOSTIC: Final = re.compile(r"Error: (?P<summary>.+)")
_PLACE: Final = re.compile(r"  on (?P<file>\S.*) line (?P<line>\d+)(?:,? in [^:]*)?:")
_SOURCE_LINE: Final = re.compile(r"\s+\d+: |\s+\(source code not available\)")
_CANCELLED: Final = (
    "Cleanly cancelled builds after being interrupted.",
    "Cancelling build after receiving ",
)
_DETAIL_LINES: Final = 12
_MOST_LINES: Final = 100  # of a diagnostic, its source lines among them
#: Begin the lines that mean something by themselves, but for those of a phase or of the host.
TELLING: Final = (r"^Error: .", r"^Build '", *(f"^{re.escape(text)}" for text in _CANCELLED))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildLine:
    """A line of one build; ``said`` is ``==>``, or the blanks of a message."""

    build_name: str
    text: str
    said: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStarted:
    """The first line of any build came: templates and plugins were accepted."""

    build_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEntered:
    """A line that begins a phase."""

    build_name: str
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildErrored:
    """``Build 'NAME' errored after ...: ERROR``."""

    build_name: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """An HCL diagnostic; ``file`` is empty and ``line`` None where Packer knows no place."""

    summary: str
    detail: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        return f"{where}{self.summary}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """Packer says that it was interrupted."""


OutputEvent = BuildLine | BuildStarted | PhaseEntered | BuildErrored | Diagnostic | Cancelled


class Parser:
    """Reads the output line by line; bounded, and tolerant of everything."""

    def __init__(self) -> None:
        self._diagnostic: _OpenDiagnostic | None = None
        self._started = False

    def feed_line(self, line: str) -> list[OutputEvent]:
        """Take a line without its newline; return what it says, in order."""
        match = PREFIXED.match(line)
        if match:
            return [*self.finish(), *self._build_line(match)]
        begun = _DIAGNOSTIC.match(line)
        if begun:
            events = self.finish()
            self._diagnostic = _OpenDiagnostic(begun["summary"].strip())
            return events
        errored = _ERRORED.match(line)
        if errored:
            error = errored["error"].strip()
            return [*self.finish(), BuildErrored(build_name=errored["name"], error=error)]
        if line.startswith(_CANCELLED):
            return [*self.finish(), Cancelled()]
        if line.startswith("==> "):  # a summary ends whatever was open
            return self.finish()
        return self._further(line)

    def _further(self, line: str) -> list[OutputEvent]:
        """Take a line that may belong to an open diagnostic."""
        if self._diagnostic:
            self._diagnostic.take(line)
            if self._diagnostic.is_full:
                return self.finish()
        return []

    def finish(self) -> list[OutputEvent]:
        """Return the diagnostic that the end of the output closes."""
        open_, self._diagnostic = self._diagnostic, None
        return [open_.closed()] if open_ else []

    @property
    def is_attentive(self) -> bool:
        """Whether the next line matters whatever it contains."""
        return self._diagnostic is not None

    @property
    def has_started(self) -> bool:
        """Whether a line of a build has come."""
        return self._started

    def _build_line(self, match: re.Match[str]) -> list[OutputEvent]:
        line = build_line(match)
        events: list[OutputEvent] = []
        if not self._started:
            self._started = True
            events.append(BuildStarted(build_name=line.build_name))
        events.append(line)
        phase = phase_of(line.text) if line.said else None
        if phase:
            events.append(PhaseEntered(build_name=line.build_name, phase=phase))
        return events


def build_line(match: re.Match[str]) -> BuildLine:
    """Return what ``PREFIXED`` matched."""
    return BuildLine(build_name=match["name"], text=match["text"], said=match["mark"] == "==>")


class _OpenDiagnostic:
    """A diagnostic whose lines are still coming."""

    def __init__(self, summary: str) -> None:
        self._summary = summary.rstrip(":")
        self._detail: list[str] = []
        self._file = ""
        self._line: int | None = None
        self._taken = 0

    @property
    def is_full(self) -> bool:
        """Whether more lines than a diagnostic has were taken."""
        return self._taken >= _MOST_LINES

    def take(self, line: str) -> None:
        self._taken += 1
        place = None if self._file else _PLACE.match(line)
        if place:
            self._file, self._line = place["file"], int(place["line"])
        elif (
            line.strip()
            and len(self._detail) < _DETAIL_LINES
            and not _SOURCE_LINE.match(line)
            and not line.startswith("  on  line 0:")
        ):
            self._detail.append(line.strip())

    def closed(self) -> Diagnostic:
        return Diagnostic(
            summary=self._summary,
            detail=" ".join(self._detail),
            file=self._file,
            line=self._line,
        )
