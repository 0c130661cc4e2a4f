"""Watch a running Packer: read it, time it, and stop it when asked to or when its time is up."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

import anyio

from asyncpipe.model.build import BuildExit, BuildPlan, HostObjects, Phase
from asyncpipe.packer.host_objects import SessionsHeard
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.ports import RunningProcess
from asyncpipe.text.format import duration_text
from asyncpipe.text.lines import Lines

DRAIN_S: Final = 2.0  # for the end of the output after the exit: a descendant may hold the pipe
_NOTHING_MADE_S: Final = 1.0  # the grace where there is nothing at the host to remove
_NOTE_S: Final = 1.0  # for a line of ours in the log
_ASK_AGAIN_S: Final = 0.5  # the export's file may be opened just after we looked
_UNBLOCK_S: Final = 1.0  # Packer has not ended: whatever holds it is ended at the host
_SILENT_S: Final = 20.0  # without an answer from the host: say what is waited for


class Log(Protocol):
    """What a build needs of the build log."""

    async def feed(self, data: bytes) -> None:
        """Take output."""
        ...

    async def note(self, text: str) -> None:
        """Take a line of ours."""
        ...

    def subscribe(self, callback: Callable[[str], None], *, whole_lines: bool = False) -> None:
        """Deliver lines, one by one."""
        ...

    def subscribe_batches(
        self, callback: Callable[[Lines], None], *, whole_lines: bool = False
    ) -> None:
        """Deliver the lines that came at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Callbacks of a running build; none of them may block or raise."""

    on_phase: Callable[[Phase], None] = lambda _: None
    on_line: Callable[[str], None] | None = None  # each line of the output
    on_host: Callable[[HostObjects], None] | None = None  # the plugin found or made something
    on_waiting: Callable[[str, float], None] | None = None  # for what, and for how long at most
    on_exit: Callable[[BuildExit], None] | None = None  # however it ends, cancelled too
    on_problem: Callable[[str], None] | None = None  # nothing failed, but a person must know
    unblock: Callable[[], Awaitable[None]] | None = None  # end at the host what holds Packer up
    on_session: Callable[[str], None] | None = None  # the plugin's XAPI session: a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """A log whose output is listened to for sessions, before it is masked."""

    log: Log
    hear: Callable[[str], None]
    sessions: SessionsHeard = field(default_factory=SessionsHeard)

    async def feed(self, data: bytes) -> None:
        """Take output."""
        for reference in self.sessions.take(data):
            self.hear(reference)
        await self.log.feed(data)

    async def note(self, text: str) -> None:
        """Take a line of ours."""
        await self.log.note(text)

    def subscribe(self, callback: Callable[[str], None], *, whole_lines: bool = False) -> None:
        """Deliver lines, one by one."""
        self.log.subscribe(callback, whole_lines=whole_lines)

    def subscribe_batches(
        self, callback: Callable[[Lines], None], *, whole_lines: bool = False
    ) -> None:
        """Deliver the lines that came at once."""
        self.log.subscribe_batches(callback, whole_lines=whole_lines)


class Stopped(Enum):
    """Why Packer was stopped by us, if it was."""

    NO = "no"
    TIMEOUT = "build-timeout"
    NO_ANSWER = "no answer from the host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One running Packer with all that belongs to it."""

    process: RunningProcess
    log: Log
    plan: BuildPlan
    output: Path  # the plan's output folder without links, resolved while the disk still answered
    progress: BuildProgress
    hears: Listeners

    def waits(self, what: str, limit_s: float) -> None:
        """Show a person what is waited for."""
        if self.hears.on_waiting:
            self.hears.on_waiting(what, limit_s)


async def run_to_end(watched: Watched) -> Stopped:
    """Read until the end; stop Packer when cancelled or when one of its limits is reached."""
    plan, progress = watched.plan, watched.progress
    stopped = Stopped.NO
    with anyio.CancelScope() as silence, anyio.move_on_after(plan.build_timeout_s) as limit:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_await_host, watched, silence)
                progress.leftover_output = await watch(watched.process, watched.log)
                tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            if silence.cancel_called:
                stopped = Stopped.NO_ANSWER
            elif limit.cancel_called:
                stopped = Stopped.TIMEOUT
            await _stop(watched, why=_why(stopped, plan))
            raise
    return stopped


async def watch(process: RunningProcess, log: Log) -> bool:
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


async def _await_host(watched: Watched, silence: anyio.CancelScope) -> None:
    """Bound the wait for the host's first answer; the plugin's own login has no limit at all."""
    limit_s = watched.plan.host_answer_s
    if limit_s is None:
        return
    await anyio.sleep(min(_SILENT_S, limit_s))
    if not _is_waiting_for_host(watched):
        return
    what = "the host to answer (remote_host, port 443)"
    await watched.log.note(f"Waiting for {what}, for up to {duration_text(limit_s)} in all.")
    watched.waits(what, limit_s - _SILENT_S)
    await anyio.sleep(max(0.0, limit_s - _SILENT_S))
    if _is_waiting_for_host(watched):
        silence.cancel()


def _is_waiting_for_host(watched: Watched) -> bool:
    return not watched.progress.host.session and watched.progress.tracker.phase is Phase.START


def _why(stopped: Stopped, plan: BuildPlan) -> str:
    match stopped:
        case Stopped.NO_ANSWER:
            return f"The host has not answered for {duration_text(plan.host_answer_s or 0)}"
        case Stopped.TIMEOUT:
            return f"The build's time limit of {duration_text(plan.build_timeout_s or 0)} passed"
        case Stopped.NO:
            return "The run was cancelled"


async def _stop(watched: Watched, *, why: str) -> None:
    """Ask, wait while reading on (a full pipe would keep Packer from ending), then kill."""
    process, log, progress = watched.process, watched.log, watched.progress
    grace_s = _grace_s(watched)
    with anyio.CancelScope(shield=True):
        progress.stop()
        watched.waits("Packer to clean up", grace_s)
        with anyio.move_on_after(grace_s) as grace:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_ask, watched)
                tasks.start_soon(_unblock, watched)
                asked = f"{why}: asking Packer to stop, for up to {duration_text(grace_s)}."
                with anyio.move_on_after(_NOTE_S):  # a disk that stalls must not hold the signal
                    await log.note(asked)
                progress.leftover_output = await watch(process, log)
                tasks.cancel_scope.cancel()
        if grace.cancelled_caught or process.group_alive():
            note = _kill_note(process)
            process.kill_group()
            with anyio.move_on_after(_NOTE_S):
                await log.note(note)
            with anyio.move_on_after(DRAIN_S):
                await watch(process, log)


async def _ask(watched: Watched) -> None:
    """Cut the export, then SIGTERM: the plugin looks at no signal while it downloads."""
    process, folder = watched.process, watched.output
    process.cut_writes(folder)
    process.terminate()
    while process.return_code is None:
        await anyio.sleep(_ASK_AGAIN_S)
        process.cut_writes(folder)


async def _unblock(watched: Watched) -> None:
    """An export that stalls never writes again: only the host can end it."""
    await anyio.sleep(_UNBLOCK_S)
    if watched.hears.unblock and watched.process.return_code is None:
        await watched.hears.unblock()


def _grace_s(watched: Watched) -> float:
    """Without anything at the host there is nothing that Packer could remove there."""
    on_host = watched.plan.builds_on_host and not watched.progress.host.made_something
    return min(watched.plan.grace_s, _NOTHING_MADE_S) if on_host else watched.plan.grace_s


def _kill_note(process: RunningProcess) -> str:
    if process.return_code is not None:
        return "Packer ended but left processes behind; they were killed."
    return "Packer did not stop in time and was killed."
