"""``asyncpipe build``: the main job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options import DURATION, VARIABLES, all_of, publishing_options

_BUILD_OPTIONS = (
    click.option("--packer", metavar="PATH", help="The packer to use [$PACKER, PATH]."),
    click.option(
        "-var",
        "--var",
        "variables",
        multiple=True,
        type=VARIABLES,
        metavar="NAME=VALUE",
        help="A Packer variable (visible to others: secrets go into PKR_VAR_name).",
    ),
    click.option(
        "-var-file",
        "--var-file",
        "var_files",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="A file of Packer variables.",
    ),
    click.option(
        "-only",
        "--only-source",
        "only",
        multiple=True,
        metavar="GLOB",
        help="Packer's -only: builds of a template.",
    ),
    click.option(
        "-except",
        "--except-source",
        "except_",
        multiple=True,
        metavar="GLOB",
        help="Packer's -except.",
    ),
    click.option(
        "--packer-environment",
        multiple=True,
        metavar="NAME",
        help="Pass a withheld variable (AWS_*) to Packer; globs allowed.",
    ),
    click.option(
        "--grace",
        "grace_s",
        type=DURATION,
        metavar="TIME",
        help="What Packer gets to clean up when stopped [2m; 4s on GitHub].",
    ),
    click.option(
        "--build-timeout",
        "build_timeout_s",
        type=DURATION,
        metavar="TIME",
        help="Stop a build that takes longer.",
    ),
    click.option(
        "--host-timeout",
        "host_timeout_s",
        type=DURATION,
        metavar="TIME",
        help="How long the host may take for its first answer [2m].",
    ),
    click.option("-j", "--jobs", type=click.IntRange(min=1), help="Builds at once [1]."),
    click.option(
        "--only",
        "only_units",
        multiple=True,
        metavar="GLOB",
        help="Only the templates of these names, e.g. 'debian-*'.",
    ),
    click.option("--fail-fast", is_flag=True, default=None, help="Start nothing after a failure."),
    click.option(
        "--retries", type=click.IntRange(min=0), help="Further tries of a failed build [0]."
    ),
    click.option(
        "--eager/--no-eager", default=None, help="Upload while Packer still exports [on for S3]."
    ),
    click.option(
        "--keep-xva", is_flag=True, default=None, help="Keep the XVA in the run's folder too."
    ),
    click.option(
        "--resume",
        metavar="RUN",
        help="Finish an interrupted run: its folder, its name, or `last`.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Show what would be built, and where it would go."
    ),
)


@click.command()
@click.argument("templates", nargs=-1, metavar="TEMPLATE...")
@all_of(_BUILD_OPTIONS)
@publishing_options
def build(**options: Any) -> int:
    """Build TEMPLATEs (folders, files, globs) with Packer and publish them."""
    from asyncpipe.cli.run import run_build  # noqa: PLC0415 - keeps --help quick
    from asyncpipe.settings import Settings  # noqa: PLC0415

    return run_build(Settings.from_environ(dict(os.environ), options))
