"""``asyncpipe packer``: HashiCorp's Packer for this user."""

from __future__ import annotations

import click

from asyncpipe.cli.options.command import PREFIX, Command, Option


@click.group()
def packer() -> None:
    """Install HashiCorp's Packer for this user."""


@packer.command(cls=Command)
@click.argument("version", required=False, default="")
@click.option(
    "--for",
    "templates",
    cls=Option,
    multiple=True,
    metavar="TEMPLATE",
    show_default="templates/, if there is one",
    help="Install what the required_version of these templates allows.",
)
@click.option(
    "--mirror",
    cls=Option,
    metavar="URL",
    envvar=f"{PREFIX}PACKER_MIRROR",
    show_envvar=True,
    show_default="https://releases.hashicorp.com",
    help="A server laid out as HashiCorp's. Its files are checked against HashiCorp's key too.",
)
def install(version: str, templates: tuple[str, ...], mirror: str | None) -> int:
    """Install a release of Packer into the user's cache.

    Downloads the release for this platform and checks it: HashiCorp's key must have signed the list
    of SHA-256 sums, and the list must name the archive's. `build` and `check` use it when no Packer
    on PATH fits the templates. Without VERSION nothing is installed while one on PATH fits.
    """
    from functools import partial

    import anyio

    from asyncpipe.cli.run.packer_install import Asked, install_packer
    from asyncpipe.packer.release import MIRROR, hashicorp_key

    asked = Asked(
        version=version, templates=templates, mirror=mirror or MIRROR, key=hashicorp_key()
    )
    anyio.run(partial(install_packer, asked))
    return 0
