"""``asyncpipe check``: what would make a long build fail, found in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options import VARIABLES


@click.command()
@click.argument("templates", nargs=-1, required=True, metavar="TEMPLATE...")
@click.option(
    "--destination",
    metavar="URL",
    help="s3://bucket/prefix or a folder [$ASYNCPIPE_DESTINATION, published].",
)
@click.option("--packer", metavar="PATH", help="The packer to use [$PACKER, PATH].")
@click.option(
    "-var",
    "--var",
    "variables",
    multiple=True,
    type=VARIABLES,
    metavar="NAME=VALUE",
    help="A Packer variable (visible to others: secrets go into PKR_VAR_name).",
)
@click.option(
    "-var-file",
    "--var-file",
    "var_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A file of Packer variables.",
)
@click.option("-only", "--only-source", "only", multiple=True, metavar="GLOB")
@click.option("-except", "--except-source", "except_", multiple=True, metavar="GLOB")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Builds at once [1].")
@click.option(
    "--work-directory", type=click.Path(path_type=Path), metavar="DIR", help="[.asyncpipe]"
)
@click.option("--iso", is_flag=True, help="Also ask whether installation media are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(**options: Any) -> int:
    """Look for what would make a build of TEMPLATEs fail, in seconds.

    Packer and its plugins, the templates and their variables, disk space, the destination with
    the real credentials. The exit code is that of the first failure.
    """
    from asyncpipe.cli import checking  # noqa: PLC0415 - keeps --help quick

    iso, as_json = options.pop("iso"), options.pop("as_json")
    options["variables"] = dict(options["variables"])
    return checking.run(options, iso=iso, as_json=as_json)
