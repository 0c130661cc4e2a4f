"""BuildPlan -> BuildExit: starts Packer, passes every byte to the log, stops it when asked to."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import anyio

from asyncpipe import packer_output
from asyncpipe.errors import (
    AsyncpipeError,
    BuildTimedOutError,
    PackerFailedError,
    PackerMissingError,
    TemplateError,
    UsageError,
)
from asyncpipe.model.build import BuildExit, BuildPlan, Phase
from asyncpipe.model.text import printable
from asyncpipe.ports import Command, ProcessRunner, RunningProcess

DRAIN_S: Final = 2.0  # for the end of the output after the exit: a descendant may hold the pipe
_VERSION_S: Final = 15.0
_VERSION_BYTES: Final = 65536
_OLDEST: Final = (1, 6, 0)  # the first whose HCL2 templates have what ours use
_LOG_NAME: Final = "packer.log"
_READ_BYTES: Final = 1 << 20
_LONGEST_ROW_BYTES: Final = 1 << 16
_INSTALL_HINT: Final = (
    "Install HashiCorp Packer (https://developer.hashicorp.com/packer/install, on Debian and "
    "Ubuntu `apt-get install packer`) or name it with --packer."
)


class Log(Protocol):
    """What a build needs of the build log."""

    async def feed(self, data: bytes) -> None:
        """Take output."""
        ...

    async def note(self, text: str) -> None:
        """Take a line of ours."""
        ...

    def subscribe(self, callback: Callable[[str], None], *, whole_lines: bool = False) -> None:
        """Deliver lines."""
        ...


@dataclass
class _Story:
    """What the output has said so far."""

    on_phase: Callable[[Phase], None]
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=anyio.current_time)
    parser: packer_output.Parser = field(default_factory=packer_output.Parser)
    causes: packer_output.Causes = field(default_factory=packer_output.Causes)
    rows: packer_output.LogRows = field(default_factory=packer_output.LogRows)
    uuids: list[str] = field(default_factory=list)
    builds_started: bool = False
    cancelled: bool = False
    leftover_output: bool = False
    return_code: int | None = None
    tracker: packer_output.PhaseTracker = field(init=False)

    def __post_init__(self) -> None:
        self.tracker = packer_output.PhaseTracker(
            at_s=self.started_s, at_utc=_iso_utc(self.started)
        )

    def take_line(self, line: str) -> None:
        """Take one line of the output."""
        events = self.parser.feed_line(line)
        self.causes.take(line, events)
        for event in events:
            match event:
                case packer_output.BuildStarted():
                    self.builds_started = True
                case packer_output.Cancelled():
                    self.cancelled = True
                case packer_output.InstanceCreated(uuid=uuid):
                    self.uuids.append(uuid)
                case packer_output.PhaseEntered(phase=phase):
                    self._enter(phase)
                case _:
                    pass

    @cached_property
    def build_exit(self) -> BuildExit:
        """The summary; asking for it ends the story."""
        assert self.return_code is not None
        for event in self.parser.finish():
            self.causes.take_event(event)
        ended_s = anyio.current_time()
        return BuildExit(
            return_code=self.return_code,
            started_utc=_iso_utc(self.started),
            ended_utc=_iso_utc(datetime.now(UTC)),
            duration_s=round(ended_s - self.started_s, 3),
            phases=self.tracker.finish(at_s=ended_s),
            artifacts=self.rows.artifacts,
            errors=self.causes.lines() if self.return_code else (),
            cancelled=self.cancelled,
            instance_uuids=tuple(dict.fromkeys(self.uuids)),
            plugin_versions=self.rows.plugin_versions,
            leftover_output=self.leftover_output,
        )

    def _enter(self, phase: Phase) -> None:
        now = _iso_utc(datetime.now(UTC))
        if self.tracker.enter(phase, at_s=anyio.current_time(), at_utc=now):
            self.on_phase(phase)


async def run(
    plan: BuildPlan,
    *,
    runner: ProcessRunner,
    log: Log,
    on_phase: Callable[[Phase], None],
    on_line: Callable[[str], None] | None = None,
    on_exit: Callable[[BuildExit], None] | None = None,
) -> BuildExit:
    """Run Packer to its end; nothing of it is alive when this returns or raises.

    ``on_exit`` gets the BuildExit however it ends, cancellation included. A cancellation asks
    Packer to stop (SIGTERM), goes on reading during ``plan.grace_s`` and then kills the group.

    Raises:
        TemplateError: Packer refused the template before any build began; file and line known.
        PackerFailedError: a return code other than 0.
        BuildTimedOutError: ``plan.build_timeout_s`` passed.
        UsageError: Packer cannot be started.

    The first three carry the BuildExit as ``build_exit``.
    """
    story = _Story(on_phase)
    log.subscribe(story.take_line, whole_lines=True)
    if on_line:
        log.subscribe(on_line)
    packer_log = plan.run_directory / _LOG_NAME
    _prepare_private(packer_log)
    timed_out = False
    try:
        async with runner.start(_command(plan, packer_log)) as process:
            try:
                timed_out = await _run_to_end(process, log, plan, story)
            finally:
                story.return_code = process.return_code  # None: an error of ours; it is killed
    finally:
        with anyio.CancelScope(shield=True):
            await _take_rows(packer_log, story.rows)
        if on_exit and story.return_code is not None:
            on_exit(story.build_exit)
    _raise_for(plan, story, timed_out=timed_out)
    return story.build_exit


async def _run_to_end(process: RunningProcess, log: Log, plan: BuildPlan, story: _Story) -> bool:
    """Read until the end; stop Packer on cancellation or, returning True, when its time is up."""
    try:
        with anyio.move_on_after(plan.build_timeout_s) as limit:
            story.leftover_output = await _watch(process, log)
    except anyio.get_cancelled_exc_class():
        await _stop(process, log, plan.grace_s, story, why="The run was cancelled")
        raise
    if not limit.cancelled_caught:
        return False
    limit_text = f"The build's time limit of {plan.build_timeout_s:g} s passed"
    await _stop(process, log, plan.grace_s, story, why=limit_text)
    return True


async def _watch(process: RunningProcess, log: Log) -> bool:
    """Pass the output on until exit and end of output; True when the latter did not come in time.

    The two are awaited apart: every descendant of Packer holds the pipe, so that a daemon which a
    provisioner left behind keeps it open after Packer's exit.
    """
    ended = False
    with anyio.CancelScope() as drain:

        async def bound_drain() -> None:
            await process.wait()
            drain.deadline = anyio.current_time() + DRAIN_S

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bound_drain)
            while data := await process.receive():
                await log.feed(data)
            ended = True
            drain.deadline = math.inf
    return not ended


async def _stop(
    process: RunningProcess, log: Log, grace_s: float, story: _Story, *, why: str
) -> None:
    """Ask, wait while reading on (a full pipe would keep Packer from ending), then kill."""
    with anyio.CancelScope(shield=True):
        await log.note(f"{why}: asking Packer to stop, for up to {grace_s:g} s.")
        process.terminate()
        with anyio.move_on_after(grace_s) as grace:
            story.leftover_output = await _watch(process, log)
        if grace.cancelled_caught or process.group_alive():
            await log.note(_kill_note(process, story))
            process.kill_group()
            with anyio.move_on_after(DRAIN_S):
                await _watch(process, log)


def _kill_note(process: RunningProcess, story: _Story) -> str:
    if process.return_code is not None:
        return "Packer ended but left processes behind; they were killed."
    vms = ", ".join(dict.fromkeys(story.uuids))
    rest = f" VM {vms} may still be on the pool." if vms else ""
    return f"Packer did not stop in time and was killed.{rest}"


def _command(plan: BuildPlan, packer_log: Path) -> Command:
    argv = (
        str(plan.packer_path),
        "build",
        "-color=false",
        *plan.packer_arguments,
        str(plan.template.path),
    )
    environment = {
        **plan.packer_environment,
        "CHECKPOINT_DISABLE": "1",
        "PACKER_NO_COLOR": "1",
        "PACKER_LOG": "1",
        "PACKER_LOG_PATH": str(packer_log),
    }
    return Command(argv=argv, cwd=plan.working_directory, environment=environment)


def _prepare_private(path: Path) -> None:
    """Create Packer's log for the owner alone: Packer writes secrets to it and keeps the mode."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise UsageError(
            f"Cannot write {printable(str(path), 300)}: {error.strerror}.",
            hint="Check the work folder: its permissions and its free space.",
        ) from error


async def _take_rows(path: Path, rows: packer_output.LogRows) -> None:
    """Read what Packer's log tells and remove it: it is not redacted."""
    try:
        async with await anyio.open_file(path, "rb") as file:
            rest = b""
            while block := await file.read(_READ_BYTES):
                *lines, rest = (rest + block).split(b"\n")
                rest = rest[-_LONGEST_ROW_BYTES:]
                rows.feed_lines(_telling(lines))
            rows.feed_lines(_telling([rest]))
    except OSError:
        pass  # the rows add to what the output said; the build does not depend on them
    finally:
        await anyio.Path(path).unlink(missing_ok=True)


def _telling(lines: list[bytes]) -> list[str]:
    marks = packer_output.LOG_MARKS
    return [
        line[:_LONGEST_ROW_BYTES].decode("utf-8", "replace")
        for line in lines
        if any(mark in line for mark in marks)
    ]


def _raise_for(plan: BuildPlan, story: _Story, *, timed_out: bool) -> None:
    build_exit = story.build_exit
    error: AsyncpipeError | None = None
    if timed_out:
        error = BuildTimedOutError(
            f"The build did not end within {plan.build_timeout_s:g} s and was stopped.",
            hint=_remains_hint(build_exit)
            or "Raise --build-timeout, or see the log for what hung.",
        )
    elif build_exit.return_code:
        error = _template_error(story) or _packer_error(build_exit)
    if error:
        error.build_exit = build_exit
        raise error


def _template_error(story: _Story) -> TemplateError | None:
    """Return the error of a template that Packer refused before any build began."""
    placed = [d for d in story.causes.diagnostics if d.file and d.line]
    if story.builds_started or not placed:
        return None
    first = placed[0]
    return TemplateError(
        printable(f"Packer refuses the template: {first}", 1000),
        hint="Correct the template; `packer validate` shows the same in seconds.",
        file=first.file,
        line=first.line,
    )


def _packer_error(build_exit: BuildExit) -> PackerFailedError:
    code = build_exit.return_code
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    if build_exit.cancelled:
        how += " (something else interrupted it)"
    cause = f": {build_exit.errors[0]}" if build_exit.errors else "."
    return PackerFailedError(
        f"Packer {how}{cause}",
        hint=packer_output.hint_for(build_exit.errors)
        or _remains_hint(build_exit)
        or "The whole output is in build.log.",
        cause_lines=build_exit.errors,
    )


def _remains_hint(build_exit: BuildExit) -> str:
    if not build_exit.instance_uuids or build_exit.return_code >= 0:
        return ""
    uuids = ", ".join(build_exit.instance_uuids)
    return f"VM {uuids} may still be on the pool: look (xe vm-list) and remove it."


async def packer_version(
    runner: ProcessRunner, path: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Ask ``path`` for its version, like ``1.6.6``.

    Raises:
        PackerMissingError: it does not start, is no HashiCorp Packer (cracklib has a program of the
            same name), or is older than 1.6.
    """
    base = environment or {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"}
    command = Command(
        argv=(str(path), "version"),
        cwd=Path("/"),
        environment={**base, "CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1", "PACKER_LOG": ""},
    )
    shown = printable(str(path), 300)
    try:
        with anyio.fail_after(_VERSION_S):
            output = await _output_of(runner, command)
    except UsageError as error:
        raise PackerMissingError(error.message, hint=_INSTALL_HINT) from error
    except TimeoutError as error:
        raise PackerMissingError(
            f"{shown} did not tell its version within {_VERSION_S:g} s.", hint=_INSTALL_HINT
        ) from error
    match = re.search(r"^Packer v(\d+)\.(\d+)\.(\d+)(\S*)", output, re.MULTILINE)
    if not match:
        raise PackerMissingError(f"{shown} is not HashiCorp Packer.", hint=_INSTALL_HINT)
    if tuple(map(int, match.group(1, 2, 3))) < _OLDEST:
        raise PackerMissingError(
            f"{shown} is {match.group()}; 1.6.0 is the oldest that works.", hint=_INSTALL_HINT
        )
    return match.group().removeprefix("Packer v")


async def _output_of(runner: ProcessRunner, command: Command) -> str:
    output = b""
    async with runner.start(command) as process:
        while len(output) < _VERSION_BYTES and (data := await process.receive()):
            output += data
    return output.decode("utf-8", "replace")


def _iso_utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
