"""``asyncpipe boot-test``: start an image as a clone would be, and look at it."""

from __future__ import annotations

import os
from typing import Any

import click

from asyncpipe.cli.options import lifetime, shared
from asyncpipe.cli.options.boot import AT_HOST, CHECK
from asyncpipe.cli.options.command import Command
from asyncpipe.cli.options.host import HOST
from asyncpipe.model.boot.result import BootHow


@click.command("boot-test", cls=Command)
@click.argument("what", metavar="NAME[:CHANNEL|@TIMESTAMP]|FILE|URL")
@click.option(
    "how",
    "--on",
    type=click.Choice([BootHow.QEMU.value, BootHow.HOST.value]),
    default=BootHow.QEMU.value,
    show_default=True,
    help="Start it in QEMU on this machine, or at the host that ASYNCPIPE_HOST* name.",
)
@CHECK
@AT_HOST
@HOST
@lifetime.BAD
@shared.AS_JSON
@shared.WORK_DIRECTORY
@shared.DESTINATION
@shared.STORE
def boot_test(**given: Any) -> int:
    """Start a published version, an XVA file or a URL, and look at it from inside.

    A fresh machine starts from the image with a NoCloud drive; once somebody can log in by SSH its
    host name, machine-id, host keys, root file system, network, units and guest agent are checked.
    Ends with 33 when the image failed; its log and a picture of its screen are kept then.
    """
    from asyncpipe.cli.boot import testing

    return testing.run(given, environment=dict(os.environ))
