"""Every option that a variable can set too: its name, its ``ASYNCPIPE_`` variable, its help.

A value given as an option wins over the variable, the variable over the default; defaults stand in
``settings``. Commands pick from here, so that a name means one thing wherever it occurs.
"""

from __future__ import annotations

import os
from typing import Any

import click

from asyncpipe import settings
from asyncpipe.cli.options import boot
from asyncpipe.cli.options.beside import VIEWS
from asyncpipe.cli.options.command import (
    PREFIX,
    Argument,
    Decorator,
    Option,
    options,
    setting,
)
from asyncpipe.cli.options.host import HOST
from asyncpipe.cli.options.identity import IDENTITY
from asyncpipe.cli.options.objects import OBJECTS
from asyncpipe.cli.options.signature import PARENT, SIGNING
from asyncpipe.cli.options.values import (
    COMPRESSION,
    DURATION,
    GLOB,
    PATH,
    SIZE,
    TEXT,
    VARIABLE,
    OneOf,
    shown_duration,
)
from asyncpipe.model.run import GRACE_S, ChatFormat
from asyncpipe.model.store import Addressing, StoreProfile
from asyncpipe.model.transfer import Verify


def _folders(ctx: click.Context, parameter: click.Parameter, typed: str) -> Any:
    from asyncpipe.cli.completion import template_folders

    return template_folders(ctx, parameter, typed)


def templates(*, required: bool = False) -> Decorator:
    """Define the TEMPLATE arguments, which ASYNCPIPE_TEMPLATES gives too."""
    decorator: Decorator = click.argument(
        "templates",
        cls=Argument,
        nargs=-1,
        required=required,
        type=TEXT,
        shell_complete=_folders,
        envvar=f"{PREFIX}TEMPLATES",
        metavar="TEMPLATE..." if required else "[TEMPLATE]...",
    )
    return decorator


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

DESTINATION = setting(
    "destination", "--destination", metavar="URL", help="s3://bucket/prefix or a folder."
)
WORK_DIRECTORY = setting(
    "work_directory",
    "--work-directory",
    type=PATH,
    metavar="DIR",
    help="Where runs live; it needs room for the XVAs.",
)

# -- what is built ------------------------------------------------------------------------------

PACKER = setting(
    "packer",
    "--packer",
    envvar=("ASYNCPIPE_PACKER", "PACKER"),
    show_default="the one on PATH, else the installed one",
    metavar="PATH",
    help="The Packer to run.",
)
NO_INIT = setting(
    "no_init",
    "--no-init",
    is_flag=True,
    help="Do not let `packer init` install plugins that are missing.",
)
VARIABLES = setting(
    "variables",
    "-var",
    "--var",
    variable="VARIABLES",
    multiple=True,
    type=VARIABLE,
    metavar="NAME=VALUE",
    help="A Packer variable. Everyone on this machine can see it: put secrets in PKR_VAR_name.",
)
VAR_FILES = setting(
    "var_files",
    "-var-file",
    "--var-file",
    variable="VAR_FILES",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="A file of Packer variables.",
)
ONLY = setting(
    "only",
    "--only",
    "-only",
    multiple=True,
    type=GLOB,
    metavar="GLOB",
    help="Build only these: a name that --dry-run shows, or Packer's (BUILD.TYPE.NAME).",
)
EXCEPT = setting(
    "except_",
    "--except",
    "-except",
    multiple=True,
    type=GLOB,
    metavar="GLOB",
    help="Build all but these; a post-processor's name makes Packer skip it and what follows.",
)
JOBS = setting("jobs", "-j", "--jobs", type=click.IntRange(min=1), help="Builds at once.")
RETRIES = setting(
    "retries",
    "--retries",
    type=click.IntRange(min=0),
    metavar="N",
    help="Build again what Packer failed at, N times.",
)
BUILD_TIMEOUT = setting(
    "build_timeout_s",
    "--build-timeout",
    type=DURATION,
    metavar="TIME",
    help="Stop a build that takes longer.",
)
SELECTION = options(VARIABLES, VAR_FILES, ONLY, EXCEPT)


def grace(**attributes: Any) -> Decorator:
    """Define how long a Packer that is stopped may clean up."""
    return setting(
        "grace_s",
        "--grace",
        type=DURATION,
        metavar="TIME",
        help="How long Packer may clean up after it was asked to stop.",
        **attributes,
    )


def _build_grace_s() -> float:
    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    return settings.GRACE_ON_GITHUB_S if on_github else GRACE_S


BUILD_GRACE = grace(
    default=_build_grace_s,
    show_default=f"{shown_duration(GRACE_S)}; "
    f"{shown_duration(settings.GRACE_ON_GITHUB_S)} on GitHub",
)

# -- where it goes ------------------------------------------------------------------------------

STORE = options(
    setting(
        "profile",
        "--s3-profile",
        type=OneOf(StoreProfile),
        section="S3",
        help="The kind of server.",
    ),
    setting(
        "endpoint_url",
        "--endpoint-url",
        metavar="URL",
        section="S3",
        show_default="$AWS_ENDPOINT_URL_S3",
        help="The server, if it is not AWS.",
    ),
    setting(
        "addressing",
        "--s3-addressing",
        type=OneOf(Addressing),
        section="S3",
        help="Where URLs have the bucket's name.",
    ),
    setting(
        "ca_bundle",
        "--ca-bundle",
        type=PATH,
        metavar="FILE",
        section="S3",
        show_default="$AWS_CA_BUNDLE",
        help="Certificates to trust for an https endpoint.",
    ),
)
COMPRESS = setting(
    "zstd",
    "--compress",
    type=COMPRESSION,
    metavar="zstd[:LEVEL]|none",
    section="Upload",
    show_default="none",
    help="Compress the XVA on its way to the store. A level is 1 (fast) to 19 (small), 1 if not"
    " given. XCP-ng 7.6, XenServer 8.1 and later import it.",
)
TRANSFER = options(
    setting(
        "max_memory_bytes",
        "--max-memory",
        type=SIZE,
        metavar="SIZE",
        section="Upload",
        help="Memory for the parts in flight, of all uploads together.",
    ),
    setting(
        "part_size_bytes",
        "--part-size",
        type=SIZE,
        metavar="SIZE",
        section="Upload",
        show_default="from the size of the XVA",
        help="Size of a part.",
    ),
    setting(
        "concurrency",
        "--concurrency",
        type=click.IntRange(min=1),
        section="Upload",
        show_default="what memory and store allow",
        help="Parts of one upload in flight.",
    ),
    setting(
        "bandwidth_bytes_per_s",
        "--bandwidth",
        type=SIZE,
        metavar="SIZE",
        section="Upload",
        show_default="no limit",
        help="Bytes per second, of all uploads together.",
    ),
    setting(
        "verify",
        "--verify",
        type=OneOf(Verify),
        section="Upload",
        help="Who proves what is stored: the store, or reading it back; auto: whoever can.",
    ),
)

# -- what is said -------------------------------------------------------------------------------

WEBHOOK = options(
    setting(
        "webhook_url",
        "--webhook-url",
        metavar="URL",
        section="Reports",
        help="Post a summary to a chat. A secret: prefer the variable.",
    ),
    setting(
        "webhook_format",
        "--webhook-format",
        type=OneOf(ChatFormat),
        section="Reports",
        help="What the chat reads; auto looks at the address.",
    ),
)
REPORTING = options(
    setting(
        "report",
        "--report",
        type=PATH,
        metavar="FILE",
        section="Reports",
        help="Write what happened as JSON.",
    ),
    WEBHOOK,
    setting(
        "log_format",
        "--log-format",
        type=click.Choice(["text", "json"], case_sensitive=False),
        section="Reports",
        help="json writes one object per event.",
    ),
    click.option("-v", "--verbose", count=True, help="Say more.", cls=Option, section="Reports"),
    click.option("-q", "--quiet", count=True, help="Say less.", cls=Option, section="Reports"),
)
PUBLISHING = options(
    DESTINATION,
    VIEWS,
    WORK_DIRECTORY,
    boot.TEST,
    HOST,
    IDENTITY,
    PARENT,
    COMPRESS,
    TRANSFER,
    STORE,
    OBJECTS,
    SIGNING,
    REPORTING,
)
