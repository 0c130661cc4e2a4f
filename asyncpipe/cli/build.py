"""``asyncpipe build``: build templates and publish them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from asyncpipe.cli.options import lifetime, shared
from asyncpipe.cli.options.command import Command, setting
from asyncpipe.cli.options.values import DURATION, GLOB, OneOf
from asyncpipe.model.run import OnError


def refused(flag: str, why: str) -> Callable[[Any], Any]:
    """Take one of Packer's flags that we do not pass on, and say why."""

    def refuse(ctx: click.Context, _: click.Parameter, value: object) -> None:
        if value:
            raise click.UsageError(f"{flag} is not passed to Packer. {why}", ctx)

    return click.option(flag, is_flag=True, hidden=True, expose_value=False, callback=refuse)


@click.command(cls=Command)
@shared.templates()
@shared.SELECTION
@setting(
    "resume",
    "--resume",
    metavar="RUN",
    help="Finish an interrupted run: its folder, its name, or `last`.",
)
@setting(
    "rebuild",
    "--rebuild",
    is_flag=True,
    help="In a re-run of a workflow: also build what an earlier attempt has published.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be built, and where it would go.")
@shared.JOBS
@setting(
    "fail_fast",
    "--fail-fast",
    is_flag=True,
    help="Start no further build after a failure; those that run go on.",
)
@shared.RETRIES
@setting(
    "take_over",
    "--take-over",
    is_flag=True,
    help="Publish where another template does, for good: this one was renamed or replaces it.",
)
@shared.BUILD_TIMEOUT
@setting(
    "host_timeout_s",
    "--host-timeout",
    type=DURATION,
    metavar="TIME",
    help="How long the host may take for its first answer.",
)
@setting(
    "on_error",
    "-on-error",
    "--on-error",
    type=OneOf(OnError),
    help="keep leaves the VM of a failed build at the host, for a person to look at.",
)
@setting(
    "keep_failed_s",
    "--keep-for",
    type=DURATION,
    metavar="TIME",
    help="How long `reap` leaves that VM alone.",
)
@refused(
    "-debug",
    "Packer would wait for a key at every step, and it has no terminal here. To look at a VM that "
    "failed use --on-error keep; build.log has all that Packer did.",
)
@refused(
    "-force",
    "The plugin would remove every template of the same name from the pool. It is not needed: each "
    "run has a folder and a VM name of its own.",
)
@shared.BUILD_GRACE
@setting(
    "eager",
    "--eager/--no-eager",
    show_default="on for S3, off for a folder",
    help="Upload while Packer still writes the XVA.",
)
@setting(
    "keep_xva",
    "--keep-xva",
    is_flag=True,
    help="Keep the XVA in the run's folder too.",
)
@shared.PACKER
@shared.NO_INIT
@lifetime.EXPIRES
@setting(
    "packer_environment",
    "--packer-environment",
    multiple=True,
    type=GLOB,
    metavar="NAME",
    help="Pass a withheld variable (AWS_*, GITHUB_TOKEN ...) to Packer; globs are allowed.",
)
@shared.PUBLISHING
def build(**given: Any) -> int:
    """Build TEMPLATEs (folders, files, globs) with Packer and publish them."""
    from asyncpipe.cli.run.execute import run_build
    from asyncpipe.settings import Settings
    from asyncpipe.system.environment import with_home

    return run_build(Settings.of(given, environment=with_home()))
