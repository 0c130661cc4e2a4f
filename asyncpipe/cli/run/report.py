"""How a run is reported: which reporter, the report file, GitHub's files, the webhook."""

from __future__ import annotations

import errno
import logging
import shlex
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TextIO, cast

import anyio
import click

from asyncpipe.cli.run.notify import post, run_url_of
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.model.events import RunFinished
from asyncpipe.model.publication import Outcome
from asyncpipe.ports import Reporter
from asyncpipe.report import exit_code, json_report, webhook
from asyncpipe.report.console.reporter import Console, Style, open_console
from asyncpipe.report.own_log import OwnLog
from asyncpipe.report.safe_stream import is_capable, wants_colour
from asyncpipe.run import plan
from asyncpipe.settings import Settings
from asyncpipe.system.logger import structlog
from asyncpipe.system.threads import DaemonWorker
from asyncpipe.text.format import utc_text

_TELL_S = 5.0
_READER_GONE = frozenset({errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF})
# Set by terminals that fold their lines again when they become narrower, as xterm does not.
_REFLOWING = frozenset(
    {
        "ALACRITTY_WINDOW_ID",
        "KITTY_WINDOW_ID",
        "KONSOLE_VERSION",
        "TERM_PROGRAM",
        "TMUX",
        "VTE_VERSION",
        "WEZTERM_PANE",
        "WT_SESSION",
    }
)

if TYPE_CHECKING:
    from asyncpipe.cli.run.prepare import Prepared


@asynccontextmanager
async def own_log(settings: Settings) -> AsyncIterator[None]:
    """Our own log goes to stderr: warnings, and with -v everything; JSON with --log-format json."""
    render = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=wants_colour(settings.environment, sys.stderr))
    )
    log = OwnLog(sys.stderr, github=settings.on_github)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if settings.verbosity > 0 else logging.WARNING
        ),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", log)),
    )
    try:
        yield
    finally:
        await log.aclose()


@contextmanager
def open_reporter(prepared: Prepared, stdout: TextIO) -> Iterator[Console]:
    """The reporter that fits where the output goes."""
    settings = prepared.settings
    if settings.log_format == "json":
        from asyncpipe.report import json_log

        with json_log.open_json_log(stream=stdout) as reporter:
            yield reporter
        return
    style = Style(
        units=tuple(one.unit for one in prepared.plans),
        colour=wants_colour(settings.environment, stdout),
        quiet=max(0, -settings.verbosity),
        verbose=max(0, settings.verbosity),
        reflows=not _REFLOWING.isdisjoint(settings.environment),
    )
    with open_console(
        stdout=stdout,
        style=style,
        is_terminal=is_capable(settings.environment, stdout),
        github=settings.on_github,
        masks=prepared.secrets.values if settings.on_github else (),
        workspace=settings.environment.get("GITHUB_WORKSPACE", ""),
    ) as reporter:
        yield reporter


def refuse_lost_output(console: Console) -> None:
    """Raise what kept the console from writing; a reader that went away is not an error."""
    problem = console.problem
    if isinstance(problem, OSError) and problem.errno not in _READER_GONE:
        raise problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """A run at its end."""

    prepared: Prepared
    outcomes: tuple[Outcome, ...]
    cancelled: bool
    started_utc: datetime
    duration_s: float
    done_before: int = 0  # units that an earlier process of a resumed run had published
    earlier_urls: tuple[str, ...] = ()  # published by an earlier attempt of the workflow

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return exit_code.of(
            self.outcomes,
            template_count=len(self.prepared.plans) - self.done_before,
            cancelled=self.cancelled,
        )

    @property
    def info(self) -> json_report.RunInfo:
        """What belongs to the run and to no template."""
        ended = self.started_utc + timedelta(seconds=self.duration_s)
        return json_report.RunInfo(
            run_id=self.prepared.journal.run_id,
            destination=self.prepared.settings.destination,
            started_utc=utc_text(self.started_utc),
            ended_utc=utc_text(ended),
            duration_s=self.duration_s,
            exit_code=self.exit_code,
            run_directory=str(self.prepared.journal.folder),
            cancelled=self.cancelled,
            remains=self.remains,
            earlier_urls=self.earlier_urls,
        )

    @property
    def _program(self) -> str:
        """How this program is called: bin/ says where it stands."""
        environment = self.prepared.settings.environment
        return shlex.quote(environment.get("ASYNCPIPE_PROGRAM") or "asyncpipe")

    @property
    def remains(self) -> tuple[str, ...]:
        """What a run that was cancelled or failed leaves, and the commands that deal with it."""
        journal = self.prepared.journal
        unfinished = {
            name: unit
            for name, unit in journal.units.items()
            if unit.state is not UnitState.PUBLISHED
        }
        if not unfinished or not (self.cancelled or self.exit_code):
            return ()
        vms = [
            f"{name}: {sentence}" for name in unfinished for sentence in journal.units[name].remains
        ]
        run = shlex.quote(str(journal.folder))
        built = [name for name, unit in unfinished.items() if unit.state is UnitState.BUILT]
        kept = [f"{name} is built and not published: its XVA is kept" for name in built]
        if self.cancelled or built:
            # `publish FILE` plans no units; it finds its run by the file
            same = "the same command with --resume"
            again = f"{self._program} build --resume {run}" if self.prepared.units else same
            kept.append(f"to go on: {again}")
        if not (self.cancelled or vms or kept):
            return ()  # Packer and we have cleaned up: what is left is the folder with the log
        return (*vms, *kept, f"to clean up: {self._program} reap --run {run}")


def announce(prepared: Prepared) -> None:
    """Hand the run's folder on at once: a step that is killed later cannot any more."""
    settings = prepared.settings
    if settings.on_github:
        from asyncpipe.report import github

        text = github.heredocs({"run-directory": str(prepared.journal.folder)})
        _warn(github.append(settings.environment, "GITHUB_OUTPUT", text))


async def tell(finish: Finish, reporter: Reporter) -> None:
    """The last event, the report file and GitHub's files; never fails a run that ended well."""
    info = finish.info
    reporter.emit(
        RunFinished(
            run_id=info.run_id,
            outcomes=finish.outcomes,
            exit_code=finish.exit_code,
            duration_s=finish.duration_s,
            run_directory=info.run_directory,
            cancelled=finish.cancelled,
            remains=info.remains,
        )
    )
    with anyio.CancelScope(shield=True), anyio.move_on_after(_TELL_S):
        await DaemonWorker("report").run(_write_files, finish)


def _write_files(finish: Finish) -> None:
    settings = finish.prepared.settings
    if settings.report is not None:
        body = json_report.encode(finish.outcomes, finish.info)
        try:
            settings.report.write_bytes(body)
        except OSError as error:
            _warn(f"{settings.report} could not be written: {error.strerror}")
    if not settings.on_github:
        return
    from asyncpipe.report import github  # loaded since the run was announced

    summary = github.summary(finish.outcomes, finish.info)
    _warn(github.append(settings.environment, "GITHUB_STEP_SUMMARY", summary))
    outputs = github.outputs(
        finish.outcomes,
        exit_code=finish.exit_code,
        run_directory=finish.info.run_directory,
        earlier_urls=finish.earlier_urls,
    )
    _warn(github.append(settings.environment, "GITHUB_OUTPUT", outputs))


def _warn(problem: str) -> None:
    if problem:
        click.echo(f"asyncpipe: {problem}", err=True)


async def notify(finish: Finish) -> None:
    """Post to the chat, if one was named; a failure is only a warning."""
    settings = finish.prepared.settings
    message = webhook.message_of(finish.outcomes, run_url=run_url_of(settings.environment))
    _warn(await post(settings, message))


def dry_run(plans: Sequence[BuildPlan], destination: str) -> str:
    """What would be built, from which source, and where it would go."""
    lines = []
    for one in plans:
        place = plan.folder_key(one.static_identity, one.unit, one.variant, one.timestamp)
        name = plan.published_name(one.static_identity, one.unit, one.variant)
        lines += [
            f"{one.unit}",
            f"  template     {one.template.path}",
            f"  system       {name} (confidence {one.static_identity.confidence:.2f})",
            f"  packer       {one.packer_path} {one.packer_version}",
            f"  arguments    {' '.join(one.packer_arguments)}",
            f"  destination  {destination.rstrip('/')}/{place}/{name}.xva",
        ]
    return "\n".join(lines) + "\n"
