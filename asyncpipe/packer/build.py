"""Packer from its start to its end, with all that may come between."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio

from asyncpipe.model.build import BuildExit, BuildPlan
from asyncpipe.packer.debug_log import PACKER_LOG_NAME, prepare_private, take_rows
from asyncpipe.packer.outcome import raise_for
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.packer.watch import Listeners, Log, Overheard, Stopped, Watched, run_to_end
from asyncpipe.ports import Command, ProcessRunner
from asyncpipe.system.disk import Disk

_KILLED: Final = -9


async def run(
    plan: BuildPlan, *, runner: ProcessRunner, log: Log, listeners: Listeners | None = None
) -> BuildExit:
    """Run Packer to its end; nothing of it is alive when this returns or raises.

    A cancellation asks Packer to stop (SIGTERM), goes on reading during ``plan.grace_s`` and then
    kills the group.

    Raises:
        TemplateError: Packer refused the template before any build began; file and line known.
        PackerFailedError: a return code other than 0.
        BuildTimedOutError: ``plan.build_timeout_s`` passed, or the host never answered.
        UsageError: Packer cannot be started.

    The first three carry the BuildExit as ``build_exit``.
    """
    hears = listeners or Listeners()
    if hears.on_session:
        log = Overheard(log=log, hear=hears.on_session)
    progress = BuildProgress(hears.on_phase, hears.on_host)
    log.subscribe_batches(progress.take_lines, whole_lines=True)
    if hears.on_line:
        log.subscribe(hears.on_line)
    packer_log = plan.run_directory / PACKER_LOG_NAME
    await prepare_private(packer_log)
    output = await Disk("output").call(plan.output_directory.resolve)
    stopped = Stopped.NO
    try:
        async with runner.start(_command(plan, packer_log)) as process:
            watched = Watched(
                process=process, log=log, plan=plan, output=output, progress=progress, hears=hears
            )
            try:
                stopped = await run_to_end(watched)
            finally:
                code = process.return_code
                progress.return_code = _KILLED if code is None else code  # leaving kills it
    finally:
        with anyio.CancelScope(shield=True):
            if (problem := await take_rows(packer_log, progress.rows)) and hears.on_problem:
                hears.on_problem(problem)
        if hears.on_exit and progress.return_code is not None:
            hears.on_exit(progress.build_exit)
    raise_for(plan, progress, stopped)
    return progress.build_exit


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
