"""``asyncpipe build``: the main job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from asyncpipe.commands.options import DURATION, SIZE, VARIABLES


def _settings_options(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--destination", metavar="URL", help="s3://bucket/prefix or a folder [published]."
    ),
    click.option("--os", "os", metavar="ID", help="The operating system, e.g. debian."),
    click.option("--os-version", metavar="VERSION", help="Its version, e.g. 12."),
    click.option("--strict-identity", is_flag=True, default=None, help="Refuse contradictions."),
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
    click.option("-j", "--jobs", type=click.IntRange(min=1), help="Builds at once [1]."),
    click.option("--only", "only_units", multiple=True, metavar="GLOB", help="Units to build."),
    click.option("--fail-fast", is_flag=True, default=None, help="Start nothing after a failure."),
    click.option("--retries", type=click.IntRange(min=0), help="Further tries of a failed build."),
    click.option(
        "--eager/--no-eager", default=None, help="Upload while Packer still exports [on for S3]."
    ),
    click.option(
        "--max-memory",
        "max_memory_bytes",
        type=SIZE,
        metavar="SIZE",
        help="For parts in flight of all uploads [128MiB].",
    ),
    click.option("--part-size", "part_size_bytes", type=SIZE, metavar="SIZE", help="[by size]"),
    click.option("--concurrency", type=click.IntRange(min=1), help="Parts in flight."),
    click.option(
        "--bandwidth",
        "bandwidth_bytes_per_s",
        type=SIZE,
        metavar="SIZE",
        help="Bytes per second of all uploads.",
    ),
    click.option("--s3-profile", metavar="NAME", help="aws, minio, ceph, garage, generic [auto]."),
    click.option("--sse", metavar="KIND", help="AES256 or aws:kms."),
    click.option("--kms-key-id", metavar="ID"),
    click.option("--storage-class", metavar="NAME"),
    click.option("--keep-xva", is_flag=True, default=None, help="Keep the local XVA."),
    click.option(
        "--work-directory",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Where runs live [.asyncpipe]; needs room for the XVAs.",
    ),
    click.option("--resume", metavar="RUN", help="Finish an interrupted run."),
    click.option(
        "--report",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write what happened as JSON.",
    ),
    click.option(
        "--webhook-url",
        metavar="URL",
        help="Tell a chat at the end (a secret: better ASYNCPIPE_WEBHOOK_URL).",
    ),
    click.option("--log-format", type=click.Choice(["text", "json"])),
    click.option(
        "--dry-run", is_flag=True, help="Show what would be built, and where it would go."
    ),
    click.option("-v", "--verbose", count=True, help="Say more."),
    click.option("-q", "--quiet", count=True, help="Say less."),
)


@click.command()
@click.argument("templates", nargs=-1, metavar="TEMPLATE...")
@_settings_options
def build(**options: Any) -> int:
    """Build TEMPLATEs (folders, files, globs) with Packer and publish them."""
    from asyncpipe.commands.running import run_build  # noqa: PLC0415 - keeps --help quick
    from asyncpipe.settings import Settings  # noqa: PLC0415

    verbose, quiet = options.pop("verbose"), options.pop("quiet")
    options["verbosity"] = verbose - quiet
    options["variables"] = dict(options["variables"])
    return run_build(Settings.from_environ(dict(os.environ), options))
