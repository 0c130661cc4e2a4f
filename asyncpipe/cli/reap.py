"""``asyncpipe reap``: clean up after runs that were interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options import DURATION


@click.command()
@click.option(
    "--older-than",
    "older_than_s",
    type=DURATION,
    default="1d",
    show_default=True,
    metavar="TIME",
    help="Uploads and half-published folders younger than this may still be at work.",
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Finish this interrupted run: its folder, its name, or `last`.",
)
@click.option(
    "--destination",
    metavar="URL",
    help="s3://bucket/prefix or a folder [that of the run, $ASYNCPIPE_DESTINATION, published].",
)
@click.option(
    "--work-directory", type=click.Path(path_type=Path), metavar="DIR", help="[.asyncpipe]"
)
@click.option(
    "--grace",
    "grace_s",
    type=DURATION,
    default="2m",
    show_default=True,
    metavar="TIME",
    help="What a Packer that still runs gets to remove its VM.",
)
@click.option("--keep", is_flag=True, help="Keep the output folders of the run.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reap(**options: Any) -> int:
    """Clean up what interrupted runs left behind.

    Without --run: uploads of ours that nobody completed are aborted and half-published folders
    are removed. With --run: Packer is stopped if it still runs, uploads and half of what the run
    had published are removed, and VMs that may remain are named.

    Exit code 0: nothing is left open; 40: something could not be removed.
    """
    from asyncpipe.cli import reaping  # noqa: PLC0415 - keeps --help quick

    return reaping.run(**options)
