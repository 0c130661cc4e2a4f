"""``asyncpipe host trust``, ``host list`` and ``asyncpipe import``."""

from __future__ import annotations

import os
from typing import Any

import click

from asyncpipe.cli.options import lifetime, shared
from asyncpipe.cli.options.command import PREFIX, Command, Option, options
from asyncpipe.cli.options.host import HOST, KNOWN_HOSTS
from asyncpipe.cli.options.signature import REQUIRE_SIGNATURE
from asyncpipe.cli.options.values import TEXT

_HOSTS = options(
    click.option(
        "hosts",
        "--host",
        cls=Option,
        multiple=True,
        required=True,
        type=TEXT,
        envvar=f"{PREFIX}HOST",
        show_envvar=True,
        metavar="NAME[:PORT]",
        help="A host or a pool's master; repeat it for several.",
    ),
    click.option(
        "username",
        "--host-user",
        cls=Option,
        envvar=f"{PREFIX}HOST_USER",
        show_envvar=True,
        metavar="NAME",
        show_default="root",
        help="Who logs in.",
    ),
)


@click.command("import", cls=Command)
@click.argument("what", metavar="NAME[:CHANNEL|@TIMESTAMP]|FILE|URL")
@_HOSTS
@click.option("storage", "--sr", metavar="NAME", help="Storage repository [the pool's default].")
@click.option("--network", metavar="NAME", help="Put every network card on this network.")
@click.option("--as-template", is_flag=True, help="Make it a template, named by its version.")
@click.option(
    "--replace-latest",
    is_flag=True,
    help="Name the template by NAME alone; the one that has the name gets its version's.",
)
@lifetime.BAD
@REQUIRE_SIGNATURE
@shared.AS_JSON
@HOST
@shared.DESTINATION
@shared.STORE
def import_(**given: Any) -> int:
    """Stream a published XVA, a file or a URL straight into a host.

    Size, SHA-256 and structure are checked on the way; no local disk is needed. An import that
    fails or is cancelled leaves nothing on the host. The password is ASYNCPIPE_HOST_PASSWORD.
    """
    from asyncpipe.cli.host import importing

    return importing.run(given, environment=dict(os.environ))


@click.group()
def host() -> None:
    """Trust hosts; see which version of ours they have."""


@host.command(cls=Command)
@click.argument("address", metavar="HOST[:PORT]", type=TEXT)
@click.option("--fingerprint", metavar="SHA256", help="Store it only if it is this one.")
@click.option("--replace", is_flag=True, help="Store it although another one is stored.")
@click.option("--yes", is_flag=True, help="Store it without asking.")
@KNOWN_HOSTS
def trust(**given: Any) -> int:
    """Show the fingerprint of HOST's certificate and store it, as ssh does.

    Compare it on the host: openssl x509 -in /etc/xensource/xapi-ssl.pem -noout -fingerprint -sha256
    """
    from asyncpipe.cli.host import looking

    return looking.trust(given, environment=dict(os.environ))


@host.command("list", cls=Command)
@_HOSTS
@shared.AS_JSON
@HOST
@shared.DESTINATION
@shared.STORE
def list_(**given: Any) -> int:
    """List the imported versions of each host, and which of them are behind the latest."""
    from asyncpipe.cli.host import looking

    return looking.list_versions(given, environment=dict(os.environ))
