"""What ``asyncpipe packer install`` does."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
import click

from asyncpipe.cli.progress import Progress
from asyncpipe.errors import PackerMissingError, TemplateError, UsageError
from asyncpipe.model.template import Template
from asyncpipe.packer.locate import constraints_of, find_packer
from asyncpipe.packer.release import Wanted, install, releases_folder
from asyncpipe.packer.version import packer_version
from asyncpipe.run.units import discover, load
from asyncpipe.settings import Settings
from asyncpipe.stores.download import HttpDownloads
from asyncpipe.system.environment import with_home
from asyncpipe.system.process import SystemProcessRunner

_PROJECT = "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command's arguments; ``key`` is whose signature counts."""

    version: str
    templates: tuple[str, ...]
    mirror: str
    key: bytes = field(repr=False)


async def install_packer(asked: Asked) -> None:
    """Install a release that fits the project, unless one on PATH does.

    Raises:
        UsageError: it cannot be fetched, is not HashiCorp's, or cannot be installed.
    """
    environment = with_home()
    runner = SystemProcessRunner()
    templates = await anyio.to_thread.run_sync(_templates, asked, environment)
    if not asked.version:
        try:
            good = await find_packer(None, environment, shutil.which, runner, templates)
        except PackerMissingError:
            pass  # that is why it is to be installed
        else:
            click.echo(f"Packer {good.version} at {good.path} fits; nothing to install.")
            return
    folder = releases_folder(environment)
    if folder is None:
        raise UsageError(
            "Packer cannot be installed: the home folder does not exist.",
            hint="Set XDG_CACHE_HOME to the path of a folder that can be written.",
        )
    progress = Progress("Packer")
    system = os.uname()
    wanted = Wanted(
        version=asked.version,
        constraints=[one for template in templates for one in constraints_of(template)],
        system=system.sysname,
        machine=system.machine,
        mirror=asked.mirror,
        key=asked.key,
    )
    try:
        program = await install(
            wanted,
            folder,
            HttpDownloads(),
            on_bytes=lambda done, total: progress.update_of(done, total or 0),
        )
    finally:
        progress.clear()
    started = await packer_version(runner, program)
    click.echo(f"Packer {started} at {program}: signed by HashiCorp, and as it signed it.")


def _templates(asked: Asked, environment: dict[str, str]) -> list[Template]:
    """Those that were named; else the project's, as far as they can be read."""
    named = asked.templates or ((_PROJECT,) if Path(_PROJECT).is_dir() else ())
    settings = Settings.of({}, environment=environment)
    found: list[Template] = []
    for path in discover.discover(named, Path.cwd()):
        try:
            found += load.read_templates(settings, [path])
        except TemplateError:
            if asked.templates:
                raise
    return found
