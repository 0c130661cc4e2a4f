"""How a run is told: which reporter, the report file, GitHub's files, the webhook."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from asyncpipe import plan
from asyncpipe.adapters import webhook as webhook_adapter
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.events import RunFinished
from asyncpipe.model.publication import Outcome
from asyncpipe.ports import Reporter
from asyncpipe.report import console, exit_code, github, json_log, json_report, webhook

if TYPE_CHECKING:
    from asyncpipe.commands.running import Prepared


@contextmanager
def open_reporter(prepared: Prepared, stdout: TextIO) -> Iterator[Reporter]:
    """The reporter that fits where the output goes."""
    settings = prepared.settings
    if settings.log_format == "json":
        with json_log.open_json_log(stream=stdout) as reporter:
            yield reporter
        return
    style = console.Style(
        units=tuple(one.unit for one in prepared.plans),
        colour=wants_colour(settings.environment, stdout),
        quiet=max(0, -settings.verbosity),
        verbose=max(0, settings.verbosity),
    )
    with console.open_console(
        stdout=stdout,
        style=style,
        is_terminal=stdout.isatty() and settings.environment.get("TERM") != "dumb",
        github=settings.on_github,
        masks=prepared.secrets.values if settings.on_github else (),
    ) as reporter:
        yield reporter


def wants_colour(environment: Mapping[str, str], stdout: TextIO) -> bool:
    """NO_COLOR wins, then FORCE_COLOR, then whether somebody looks (no-color.org)."""
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or stdout.isatty()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """A run at its end."""

    prepared: Prepared
    outcomes: tuple[Outcome, ...]
    cancelled: bool
    started_utc: datetime
    duration_s: float

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return exit_code.of(
            self.outcomes,
            template_count=len(self.prepared.plans),
            cancelled=self.cancelled,
        )

    @property
    def info(self) -> json_report.RunInfo:
        """What belongs to the run and to no template."""
        ended = self.started_utc + timedelta(seconds=self.duration_s)
        return json_report.RunInfo(
            run_id=self.prepared.journal.run_id,
            destination=self.prepared.settings.destination,
            started_utc=_stamp(self.started_utc),
            ended_utc=_stamp(ended),
            duration_s=self.duration_s,
            exit_code=self.exit_code,
            run_directory=str(self.prepared.journal.folder),
            cancelled=self.cancelled,
        )
