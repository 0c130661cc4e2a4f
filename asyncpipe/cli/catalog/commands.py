"""The commands of the catalogue: what is published at a destination."""

from __future__ import annotations

from typing import Any

import click

from asyncpipe.cli.options import lifetime, shared
from asyncpipe.cli.options.command import Command, options
from asyncpipe.cli.options.signature import REQUIRE_SIGNATURE, TRUST
from asyncpipe.cli.options.values import DURATION, GATES, PATH

_PLACE = options(shared.AS_JSON, shared.DESTINATION, shared.STORE)


def _run(action: str, given: dict[str, Any], /) -> int:
    """Call one of the actions with the open store."""
    from asyncpipe.cli.catalog import actions

    return actions.run(action, given)


def _published(ctx: click.Context, parameter: click.Parameter, typed: str) -> Any:
    from asyncpipe.cli.completion import published

    return published(ctx, parameter, typed)


@click.command("list", cls=Command)
@click.argument("template", required=False, shell_complete=_published)
@click.option("--fresh", is_flag=True, help="Look at the objects, not at the index.")
@click.option(
    "--os", "system", metavar="NAME", help="Only this system: debian, debian12 or debian12.7."
)
@click.option("--failed", is_flag=True, help="List failed builds, of TEMPLATE or of all.")
@_PLACE
def list_(**given: Any) -> int:
    """List what is published, of TEMPLATE (debian12) or all, newest first."""
    return _run("list_versions", given)


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]", shell_complete=_published)
@_PLACE
def latest(**given: Any) -> int:
    """Print where the newest version of TEMPLATE is."""
    return _run("show", given)


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]", shell_complete=_published)
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="FILE",
    help="Where to; a folder keeps the published name [.].",
)
@click.option(
    "--no-verify-xva",
    "verify_xva",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Do not look whether the XVA is whole and importable.",
)
@click.option(
    "--decompress",
    is_flag=True,
    help="Write the XVA as it was exported, for a host that does not import its compression.",
)
@lifetime.BAD
@REQUIRE_SIGNATURE
@_PLACE
def pull(**given: Any) -> int:
    """Fetch a published XVA; size, SHA-256 and structure are checked before it gets its name.

    An interrupted fetch goes on where it stopped. Nothing is overwritten.
    """
    return _run("pull", given)


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]", shell_complete=_published)
@_PLACE
def show(**given: Any) -> int:
    """Show everything about a version: system, packages, build, XVA, digests, names."""
    return _run("show_version", given)


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]", shell_complete=_published)
@click.option(
    "--expires",
    "expires_s",
    type=DURATION,
    default="12h",
    show_default=True,
    metavar="TIME",
    help="How long the address works, at most 7d.",
)
@lifetime.BAD
@_PLACE
def url(**given: Any) -> int:
    """Print an address that fetches the XVA without credentials, and what to do with it."""
    return _run("url", given)


@click.command(cls=Command)
@click.argument("before", metavar="BEFORE", shell_complete=_published)
@click.argument("after", metavar="AFTER", shell_complete=_published)
@_PLACE
def diff(**given: Any) -> int:
    """Show what changed from version BEFORE to version AFTER, packages first of all.

    Both are written as TEMPLATE, TEMPLATE:CHANNEL or TEMPLATE@TIMESTAMP.
    """
    return _run("diff", given)


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]", shell_complete=_published)
@click.option(
    "--failed", is_flag=True, help="Of the newest failed build; TEMPLATE is its name in the run."
)
@_PLACE
def logs(**given: Any) -> int:
    """Print the build log of a version."""
    return _run("logs", given)


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]", shell_complete=_published)
@click.option(
    "--format",
    "form",
    type=click.Choice(["cyclonedx", "spdx"]),
    default="cyclonedx",
    show_default=True,
    help="CycloneDX 1.6 or SPDX 2.3, both as JSON.",
)
@_PLACE
def sbom(**given: Any) -> int:
    """Print the packages of a version as a software bill of materials."""
    return _run("sbom", given)


_REASON = click.option("--reason", default="", metavar="TEXT", help="Why; history shows it.")


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL|@TIMESTAMP]", shell_complete=_published)
@click.option("--channel", required=True, metavar="NAME", help="The channel that names it then.")
@_REASON
@click.option(
    "--require",
    type=GATES,
    default=(),
    metavar="GATE,...",
    help="Refuse a version without these: signature (give --key or --identity), boot-test.",
)
@TRUST
@_PLACE
def promote(**given: Any) -> int:
    """Let a channel name a version, and remember who did it, when and why."""
    return _run("promote", given)


@click.command(cls=Command)
@click.argument("name", metavar="TEMPLATE:CHANNEL", shell_complete=_published)
@_REASON
@_PLACE
def rollback(**given: Any) -> int:
    """Let a channel name again the good version that it named before."""
    return _run("rollback", given)


@click.command(cls=Command)
@click.argument("version", metavar="TEMPLATE@TIMESTAMP", shell_complete=_published)
@click.option("--reason", required=True, metavar="TEXT", help="Shown to whoever asks for it.")
@shared.WEBHOOK
@_PLACE
def revoke(**given: Any) -> int:
    """Take a version back: no name leads to it, pull and import refuse it.

    Its files stay until prune removes them; the revocation itself stays for good.
    """
    return _run("revoke", given)


@click.command(cls=Command)
@click.argument("version", metavar="TEMPLATE@TIMESTAMP", shell_complete=_published)
@click.option("--in", "in_s", type=DURATION, metavar="TIME", help="From now on: 90d, 12h.")
@click.option("--never", is_flag=True, help="The version has no end any more.")
@_REASON
@_PLACE
def expire(**given: Any) -> int:
    """Give a version an end; after it no name leads to it, and pull and import refuse it."""
    return _run("expire", given)


@click.command(cls=Command)
@click.argument("template", metavar="TEMPLATE[:CHANNEL]", shell_complete=_published)
@_PLACE
def history(**given: Any) -> int:
    """Show who moved the channels of TEMPLATE, when, from where to where, and why."""
    return _run("history", given)


@click.group()
def channel() -> None:
    """Name a version: TEMPLATE:stable then means it until the channel is set again."""


@channel.command("set", cls=Command)
@click.argument("name", metavar="TEMPLATE:CHANNEL", shell_complete=_published)
@click.argument("version", metavar="TIMESTAMP|CHANNEL|latest")
@_PLACE
def set_(**given: Any) -> int:
    """Let a channel name the version of TIMESTAMP, of another channel, or the latest."""
    return _run("set_channel", given)


@channel.command("unset", cls=Command)
@click.argument("name", metavar="TEMPLATE:CHANNEL", shell_complete=_published)
@_PLACE
def unset(**given: Any) -> int:
    """Remove a channel; the version stays."""
    return _run("unset_channel", given)


@channel.command("list", cls=Command)
@click.argument("template", required=False, shell_complete=_published)
@_PLACE
def list_channels(**given: Any) -> int:
    """List channels and what they name."""
    return _run("list_channels", given)


@click.command(cls=Command)
@click.argument("template", required=False, shell_complete=_published)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    required=True,
    metavar="N",
    help="Versions of each template that stay.",
)
@click.option(
    "--older-than", "older_than_s", type=DURATION, metavar="TIME", help="Younger ones stay too."
)
@click.option("--yes", is_flag=True, help="Remove them; without it they are only shown.")
@_PLACE
def prune(**given: Any) -> int:
    """Remove old versions of TEMPLATE or of all; what latest or a channel names stays."""
    return _run("prune", given)


@click.command(cls=Command)
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="FILE",
    help="Where to; - is stdout [catalogue.html].",
)
@click.option(
    "--publish",
    is_flag=True,
    help="Write it to the destination, as index.html beside templates/.",
)
@click.option(
    "--base-url",
    metavar="URL",
    help="Where browsers reach the destination: links in FILE lead there.",
)
@_PLACE
def page(**given: Any) -> int:
    """Write the catalogue as one HTML file for people: no server, nothing loaded from elsewhere.

    A published page is written again by builds with --page, and by each command that changes what
    it shows: promote, rollback, revoke, expire, channel, prune, index.
    """
    return _run("page", given)


@click.group()
def index() -> None:
    """The catalogue, templates/index.json."""


@index.command("rebuild", cls=Command)
@_PLACE
def rebuild(**given: Any) -> int:
    """Rebuild the index from what is published."""
    return _run("rebuild_index", given)


@index.command("repair", cls=Command)
@_PLACE
def repair(**given: Any) -> int:
    """Repair the index and damaged or missing latest.json, from what is published and good.

    Reads only what differs, where rebuild reads the metadata of every version.
    """
    return _run("repair_index", given)


@index.command("streams", cls=Command)
@_PLACE
def streams(**given: Any) -> int:
    """Write the simplestreams view, streams/v1/: the newest 100 good versions of each template.

    A published view is written again by builds with --simplestreams, and by each command that
    changes what it shows: promote, rollback, revoke, expire, channel, prune, index.
    """
    return _run("streams", given)
