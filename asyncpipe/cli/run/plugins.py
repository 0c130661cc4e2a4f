"""Before a build: the plugins that its templates require are installed, or nothing starts."""

from __future__ import annotations

import click

from asyncpipe.cli.run.prepare import Prepared
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.packer.plugins import install_plugins, missing_plugins, refused
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text import mask
from asyncpipe.text.safe import clean


async def furnish_plugins(prepared: Prepared) -> None:
    """Install what the templates that Packer will build lack.

    Raises:
        PluginsMissingError: a plugin is missing, and could not or may not be installed.
    """
    runner = SystemProcessRunner()
    ready = {UnitState.BUILT, UnitState.PUBLISHED}  # of a resumed run: Packer is not needed
    left = [one for one in prepared.plans if prepared.journal.state_of(one.unit) not in ready]
    for plan in {one.template.path: one for one in left}.values():
        missing = await missing_plugins(plan, runner)
        if not missing:
            continue
        if prepared.settings.no_init:
            raise refused(plan, missing)
        names = ", ".join(map(str, missing))
        click.echo(clean(f"asyncpipe: packer init installs {names}"), err=True)
        await install_plugins(plan, missing, runner, lambda text: mask.text(text, prepared.secrets))
