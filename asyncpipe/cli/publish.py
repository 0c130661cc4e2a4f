"""``asyncpipe publish``: an XVA that is already there, verified and published as a build's is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options import publishing_options


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Publish this as build.log.",
)
@click.option("--resume", "resumed", is_flag=True, help="Go on with an interrupted upload of FILE.")
@publishing_options
def publish(file: Path, log_file: Path | None, resumed: bool, **options: Any) -> int:  # noqa: FBT001 - click
    """Verify FILE (an XVA) and publish it with metadata and a log; the file is kept."""
    from asyncpipe.cli.handover import run_publish  # noqa: PLC0415 - keeps --help quick
    from asyncpipe.settings import Settings  # noqa: PLC0415

    settings = Settings.from_environ(dict(os.environ), options)
    return run_publish(settings, file, log_file, resumed=resumed)
