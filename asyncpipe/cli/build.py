"""``asyncpipe build``: build templates and publish them."""

from __future__ import annotations

import os
from typing import Any

import click

from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command, setting
from asyncpipe.cli.options.values import DURATION, GLOB


@click.command(cls=Command)
@shared.templates()
@shared.SELECTION
@setting(
    "resume",
    "--resume",
    metavar="RUN",
    help="Finish an interrupted run: its folder, its name, or `last`.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be built, and where it would go.")
@shared.JOBS
@setting(
    "fail_fast",
    "--fail-fast",
    is_flag=True,
    help="Start no further build after a failure; those that run go on.",
)
@setting(
    "retries",
    "--retries",
    type=click.IntRange(min=0),
    metavar="N",
    help="Build again what Packer failed at, N times.",
)
@setting(
    "build_timeout_s",
    "--build-timeout",
    type=DURATION,
    metavar="TIME",
    help="Stop a build that takes longer.",
)
@setting(
    "host_timeout_s",
    "--host-timeout",
    type=DURATION,
    metavar="TIME",
    help="How long the host may take for its first answer.",
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
@setting(
    "packer_environment",
    "--packer-environment",
    multiple=True,
    type=GLOB,
    metavar="NAME",
    help="Pass a withheld variable (AWS_*, GITHUB_TOKEN ...) to Packer; globs are allowed.",
)
@shared.HOST
@shared.PUBLISHING
def build(**given: Any) -> int:
    """Build TEMPLATEs (folders, files, globs) with Packer and publish them."""
    from asyncpipe.cli.run.execute import run_build
    from asyncpipe.settings import Settings

    return run_build(Settings.of(given, environment=dict(os.environ)))
