"""``asyncpipe publish``: verify a finished XVA and publish it as a build would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options import lifetime, shared
from asyncpipe.cli.options.command import Command
from asyncpipe.cli.options.values import PATH


@click.command(cls=Command)
@click.argument("file", type=PATH)
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Publish this as build.log.",
)
@click.option("--resume", "resumed", is_flag=True, help="Go on with an interrupted upload of FILE.")
@lifetime.EXPIRES
@shared.PUBLISHING
def publish(file: Path, *, log_file: Path | None, resumed: bool, **given: Any) -> int:
    """Verify FILE (an XVA) and publish it with metadata and a log; the file stays."""
    from asyncpipe.cli.run.finished import publish_file
    from asyncpipe.settings import Settings

    settings = Settings.of(given, environment=dict(os.environ))
    return publish_file(settings, file, log_file, resumed=resumed)
