"""How long a version is good, and what takes one that no longer is."""

from __future__ import annotations

import click

from asyncpipe.cli.options.command import options, setting
from asyncpipe.cli.options.values import DURATION

BAD = options(
    click.option("--revoked", is_flag=True, help="Take it although it was revoked, or expired."),
    click.option("--expired", is_flag=True, help="Take it although it has expired."),
)
EXPIRES = setting(
    "lifetime_s",
    "--expires",
    type=DURATION,
    metavar="TIME",
    show_default="never",
    help="After this the version is treated as revoked ones are: 90d.",
)
