"""What the output of one run has said, and the summary of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import anyio

from asyncpipe.model.build import BuildExit, HostObjects, Phase
from asyncpipe.packer import host_objects, phases
from asyncpipe.packer import lines as output_lines
from asyncpipe.packer.causes import RECENT_LINES, STRAY, Causes
from asyncpipe.packer.host_objects import HostLines
from asyncpipe.packer.lines import (
    PREFIXED,
    BuildLine,
    BuildStarted,
    Cancelled,
    Parser,
    PhaseEntered,
)
from asyncpipe.packer.output_rows import MachineRows
from asyncpipe.packer.phases import PhaseTracker
from asyncpipe.text.lines import LineFinder, Lines, walk

_TELLING: Final = LineFinder(
    *output_lines.TELLING, *phases.TELLING, *host_objects.TELLING, f"^(?:{STRAY})"
)
_OF_A_BUILD: Final = re.compile(f"^{PREFIXED.pattern}", re.MULTILINE)
_MAY_BE_OF_A_BUILD: Final = LineFinder(r"^(?:[0-9TZ:-]{20}: )?(?:==>| {3}) [^\s:]", is_common=True)


@dataclass
class BuildProgress:
    """What the output has said so far; ``take_lines`` is a subscriber of the build log."""

    on_phase: Callable[[Phase], None]
    on_host: Callable[[HostObjects], None] | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=anyio.current_time)
    parser: Parser = field(default_factory=Parser)
    causes: Causes = field(default_factory=Causes)
    rows: MachineRows = field(default_factory=MachineRows)
    host_lines: HostLines = field(default_factory=HostLines)
    builds_started: bool = False
    cancelled: bool = False
    leftover_output: bool = False
    return_code: int | None = None
    tracker: PhaseTracker = field(init=False)

    def __post_init__(self) -> None:
        self.tracker = PhaseTracker(at_s=self.started_s, at_utc=iso_utc(self.started))

    def take_lines(self, lines: Lines) -> None:
        """Take lines of the output; only those that may mean something are read one by one."""
        first = () if self.parser.has_started else _first_of_a_build(lines)
        found = _TELLING.look(lines)

        def skip(start: int, end: int) -> None:
            if start == 0 and end == len(lines):
                self.causes.pass_over_all(lines)
            else:
                self.causes.pass_over(lines[max(start, end - RECENT_LINES) : end])

        walk(
            lines,
            found._replace(numbers=sorted({*first, *found.numbers})),
            take=self.take_line,
            is_attentive=lambda: self.parser.is_attentive or self.host_lines.is_attentive,
            skip=skip,
        )

    def take_line(self, line: str) -> None:
        """Take one line of the output."""
        events = self.parser.feed_line(line)
        self.causes.take(line, events)
        for event in events:
            match event:
                case BuildStarted():
                    self.builds_started = True
                case Cancelled():
                    self.cancelled = True
                case BuildLine(text=text, said=said):
                    self._take_host_line(text, said=said)
                case PhaseEntered(phase=phase):
                    self._enter(phase)
                case _:
                    pass

    @property
    def host(self) -> HostObjects:
        """What the plugin said it found, made or failed to remove at the host."""
        return self.host_lines.objects

    def stop(self) -> None:
        """Packer is being stopped: no line leads back to a phase of the build."""
        self._enter(Phase.STOPPING)

    @cached_property
    def build_exit(self) -> BuildExit:
        """The summary; asking for it ends the progress."""
        assert self.return_code is not None
        for event in self.parser.finish():
            self.causes.take_event(event)
        ended_s = anyio.current_time()
        return BuildExit(
            return_code=self.return_code,
            started_utc=iso_utc(self.started),
            ended_utc=iso_utc(datetime.now(UTC)),
            duration_s=round(ended_s - self.started_s, 3),
            phases=self.tracker.finish(at_s=ended_s),
            artifacts=self.rows.artifacts,
            errors=self.causes.lines() if self.return_code else (),
            cancelled=self.cancelled,
            host=self.host,
            plugin_versions=self.rows.plugin_versions,
            leftover_output=self.leftover_output,
        )

    def _take_host_line(self, text: str, *, said: bool) -> None:
        if self.host_lines.take(text, said=said) and self.on_host:
            self.on_host(self.host)

    def _enter(self, phase: Phase) -> None:
        if self.tracker.is_ahead(phase):
            now = iso_utc(datetime.now(UTC))
            self.tracker.enter(phase, at_s=anyio.current_time(), at_utc=now)
            self.on_phase(phase)


def _first_of_a_build(lines: Lines) -> tuple[int, ...]:
    match = _OF_A_BUILD.search(lines.text) if _MAY_BE_OF_A_BUILD.is_in(lines) else None
    return (lines.text.count("\n", 0, match.start()),) if match else ()


def iso_utc(moment: datetime) -> str:
    """Write a UTC moment in ISO 8601 with milliseconds."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
