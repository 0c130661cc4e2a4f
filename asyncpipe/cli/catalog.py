"""``asyncpipe list, latest, pull, channel, prune, index``: what is published at a destination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options import DURATION

_DESTINATION = click.option(
    "--destination",
    metavar="URL",
    help="s3://bucket/prefix or a folder [$ASYNCPIPE_DESTINATION, published].",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _run(action: str, destination: str | None, /, **options: Any) -> int:
    """Call one function of ``cataloguing`` with the open store."""
    from asyncpipe.cli import cataloguing  # noqa: PLC0415 - keeps --help quick

    return cataloguing.run(action, destination, options)


@click.command("list")
@click.argument("template", required=False)
@click.option("--fresh", is_flag=True, help="Look at the objects, not at the index.")
@_DESTINATION
@_JSON
def list_(destination: str | None, **options: Any) -> int:
    """List what is published, of TEMPLATE (debian12) or all, newest first."""
    return _run("list_versions", destination, **options)


@click.command()
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]")
@_DESTINATION
@_JSON
def latest(destination: str | None, **options: Any) -> int:
    """Print where the newest version of TEMPLATE is."""
    return _run("show", destination, **options)


@click.command()
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to; a folder keeps the published name [.].",
)
@_DESTINATION
@_JSON
def pull(destination: str | None, **options: Any) -> int:
    """Fetch a published XVA; size and SHA-256 are checked before it gets its name.

    An interrupted fetch goes on where it stopped. Nothing is overwritten.
    """
    return _run("pull", destination, **options)


@click.group()
def channel() -> None:
    """Name a version: TEMPLATE:stable then means it until the channel is set again."""


@channel.command("set")
@click.argument("name", metavar="TEMPLATE:CHANNEL")
@click.argument("version", metavar="TIMESTAMP|CHANNEL|latest")
@_DESTINATION
@_JSON
def set_(destination: str | None, **options: Any) -> int:
    """Let a channel name the version of TIMESTAMP, of another channel, or the latest."""
    return _run("set_channel", destination, **options)


@channel.command("unset")
@click.argument("name", metavar="TEMPLATE:CHANNEL")
@_DESTINATION
@_JSON
def unset(destination: str | None, **options: Any) -> int:
    """Remove a channel; the version stays."""
    return _run("unset_channel", destination, **options)


@channel.command("list")
@click.argument("template", required=False)
@_DESTINATION
@_JSON
def list_channels(destination: str | None, **options: Any) -> int:
    """List channels and what they name."""
    return _run("list_channels", destination, **options)


@click.command()
@click.argument("template", required=False)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    required=True,
    metavar="N",
    help="Versions of each template that stay.",
)
@click.option(
    "--older-than", "older_than_s", type=DURATION, metavar="TIME", help="Younger ones stay too."
)
@click.option("--yes", is_flag=True, help="Remove them; without it they are only shown.")
@_DESTINATION
@_JSON
def prune(destination: str | None, **options: Any) -> int:
    """Remove old versions of TEMPLATE or of all; what latest or a channel names stays."""
    return _run("prune", destination, **options)


@click.group()
def index() -> None:
    """The catalogue, templates/index.json."""


@index.command("rebuild")
@_DESTINATION
@_JSON
def rebuild(destination: str | None, **options: Any) -> int:
    """Write the index anew from what is published."""
    return _run("rebuild_index", destination, **options)
