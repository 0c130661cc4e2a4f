"""Packer from its start to its end, with all that may come between."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import anyio

from asyncpipe.model.build import BuildExit, BuildPlan, Phase
from asyncpipe.packer.debug_log import prepare_private, take_rows
from asyncpipe.packer.outcome import raise_for
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.ports import Command, ProcessRunner, RunningProcess
from asyncpipe.text.format import duration_text

DRAIN_S: Final = 2.0  # for the end of the output after the exit: a descendant may hold the pipe
_KILLED: Final = -9
_LOG_NAME: Final = "packer.log"


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
    progress = BuildProgress(on_phase)
    log.subscribe(progress.take_line, whole_lines=True)
    if on_line:
        log.subscribe(on_line)
    packer_log = plan.run_directory / _LOG_NAME
    prepare_private(packer_log)
    timed_out = False
    try:
        async with runner.start(_command(plan, packer_log)) as process:
            try:
                timed_out = await _run_to_end(process, log, plan, progress)
            finally:
                code = process.return_code
                progress.return_code = _KILLED if code is None else code  # leaving kills it
    finally:
        with anyio.CancelScope(shield=True):
            await take_rows(packer_log, progress.rows)
        if on_exit and progress.return_code is not None:
            on_exit(progress.build_exit)
    raise_for(plan, progress, timed_out=timed_out)
    return progress.build_exit


async def _run_to_end(
    process: RunningProcess, log: Log, plan: BuildPlan, progress: BuildProgress
) -> bool:
    """Read until the end; stop Packer on cancellation or, returning True, when its time is up."""
    try:
        with anyio.move_on_after(plan.build_timeout_s) as limit:
            progress.leftover_output = await _watch(process, log)
    except anyio.get_cancelled_exc_class():
        await _stop(process, log, plan.grace_s, progress, why="The run was cancelled")
        raise
    if plan.build_timeout_s is None or not limit.cancelled_caught:
        return False
    limit_text = f"The build's time limit of {duration_text(plan.build_timeout_s)} passed"
    await _stop(process, log, plan.grace_s, progress, why=limit_text)
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
    process: RunningProcess, log: Log, grace_s: float, progress: BuildProgress, *, why: str
) -> None:
    """Ask, wait while reading on (a full pipe would keep Packer from ending), then kill."""
    with anyio.CancelScope(shield=True):
        await log.note(f"{why}: asking Packer to stop, for up to {duration_text(grace_s)}.")
        process.terminate()
        with anyio.move_on_after(grace_s) as grace:
            progress.leftover_output = await _watch(process, log)
        if grace.cancelled_caught or process.group_alive():
            await log.note(_kill_note(process, progress))
            process.kill_group()
            with anyio.move_on_after(DRAIN_S):
                await _watch(process, log)


def _kill_note(process: RunningProcess, progress: BuildProgress) -> str:
    if process.return_code is not None:
        return "Packer ended but left processes behind; they were killed."
    vms = ", ".join(dict.fromkeys(progress.uuids))
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
