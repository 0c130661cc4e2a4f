"""``asyncpipe check``: find in seconds what would make a long build fail. Plans, starts nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from asyncpipe.cli import step
from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command
from asyncpipe.cli.options.host import HOST
from asyncpipe.cli.options.identity import IDENTITY


@click.command(cls=Command)
@shared.templates(required=True)
@shared.SELECTION
@shared.JOBS
@click.option(
    "--iso",
    is_flag=True,
    help="Also compare installation media with their vendors' lists, as iso-check does.",
)
@shared.PACKER
@shared.NO_INIT
@shared.WORK_DIRECTORY
@shared.AS_JSON
@IDENTITY
@HOST
@shared.DESTINATION
@shared.STORE
def check(*, iso: bool, as_json: bool, **given: Any) -> int:
    """Find in seconds what would make a build of TEMPLATEs fail.

    Checks Packer and its plugins, the templates and their variables, the disk, and, with the real
    credentials, the host and the destination. The exit code is that of the first failure; 60 where
    nothing failed and --iso found a newer image.
    """
    import anyio

    from asyncpipe import preflight
    from asyncpipe.cli.run.inspection import inspect
    from asyncpipe.settings import Settings
    from asyncpipe.system.environment import with_home

    settings = Settings.of(given, environment=with_home())
    results = anyio.run(partial(inspect, settings, iso=iso))
    exit_code = preflight.exit_code_of(results)
    step.show_checks(results, exit_code)
    if as_json:
        checks = [asdict(result) for result in results]
        document = {"schema_version": 1, "exit_code": exit_code, "checks": checks}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(preflight.render(results), nl=False)
    return exit_code
