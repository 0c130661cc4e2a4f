"""``asyncpipe mirror``: copy what is published to another destination."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import PREFIX, Command
from asyncpipe.cli.options.values import DURATION

if TYPE_CHECKING:
    from asyncpipe.catalog.mirror.passing import Mirrored
    from asyncpipe.catalog.mirror.selection import Wanted
    from asyncpipe.settings import Settings

_SOURCE: Final = f"{PREFIX}SOURCE_AWS_"


@click.command(cls=Command)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option("--channel", metavar="NAME", help="Only the versions that this channel names.")
@click.option(
    "--os",
    "systems",
    multiple=True,
    metavar="NAME",
    help="Only this system: debian, debian12, or the name of a template as list shows it.",
)
@click.option(
    "--prune", is_flag=True, help="Remove at DST what SRC does not have, or does not send."
)
@click.option("--follow", is_flag=True, help="Go on: look again and again, until it is stopped.")
@click.option(
    "--every",
    "every_s",
    type=DURATION,
    default=300.0,
    show_default="5m",
    metavar="TIME",
    help="The pause between two passes of --follow.",
)
@shared.AS_JSON
@shared.STORE
def mirror(
    source: str,
    target: str,
    *,
    channel: str | None,
    systems: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> int:
    """Copy what is published at SRC to DST: s3://bucket/prefix or a folder, each.

    Every byte is compared with the SHA-256 of its version on the way. What is visible at DST is
    whole at any moment: revocations come first, what names a version last. An interrupted mirror
    goes on where it stopped; a second one copies only what is new. Nothing is removed without
    --prune. Failed builds stay behind.

    Credentials and endpoint are those of the AWS tools for both; variables that begin with
    ASYNCPIPE_SOURCE_AWS_ stand for AWS_ at SRC, for another account, region or server.
    """
    import anyio

    from asyncpipe.catalog.mirror.selection import Wanted
    from asyncpipe.settings import Settings

    how = {name: given.pop(name) for name in ("prune", "follow", "every_s")}
    settings = Settings.of({**given, "destination": target}, environment=dict(os.environ))
    wanted = Wanted(systems=systems, channel=channel)
    anyio.run(partial(_mirror, source, settings, wanted, how, as_json=as_json))
    return 0


async def _mirror(
    source: str, settings: Settings, wanted: Wanted, how: Mapping[str, Any], *, as_json: bool
) -> None:
    import anyio

    from asyncpipe.catalog.mirror.uploads import Way
    from asyncpipe.errors import UploadError, UsageError
    from asyncpipe.model.transfer import TransferOptions
    from asyncpipe.stores.open import open_store

    async with (
        _opened_source(source, settings) as opened,
        open_store(
            settings.destination, environment=settings.environment, options=settings.store
        ) as target,
    ):
        if opened.url == target.url and not _is_apart(settings.environment):
            raise UsageError(f"SRC and DST are one destination: {target.url}.")
        await target.probe()  # finds out what the store honours
        way = Way(source=opened, target=target, options=TransferOptions())
        while True:
            try:
                await _pass(way, wanted, how, as_json=as_json)
            except UploadError as error:
                if not how["follow"]:
                    raise
                click.echo(f"asyncpipe: {error.message} The next pass goes on.", err=True)
            if not how["follow"]:
                return
            await anyio.sleep(how["every_s"])


def _opened_source(url: str, settings: Settings) -> Any:
    """Open SRC; with settings of its own none of DST's reach it."""
    from asyncpipe.model.store import StoreOptions
    from asyncpipe.stores.open import open_store

    environment, options = settings.environment, settings.store
    if _is_apart(environment):
        own = {
            f"AWS_{name.removeprefix(_SOURCE)}": value
            for name, value in environment.items()
            if name.startswith(_SOURCE)
        }
        others = {name: text for name, text in environment.items() if not name.startswith("AWS_")}
        environment, options = {**others, **own}, StoreOptions(ca_bundle=options.ca_bundle)
    return open_store(url, environment=environment, options=options)


def _is_apart(environment: Mapping[str, str]) -> bool:
    return any(name.startswith(_SOURCE) for name in environment)


async def _pass(way: Any, wanted: Wanted, how: Mapping[str, Any], *, as_json: bool) -> None:
    from asyncpipe.catalog.mirror.passing import mirror as one_pass
    from asyncpipe.cli.progress import Progress

    progress = Progress("mirror", unit="versions")
    try:
        done = await one_pass(way, wanted, prune=how["prune"], on_version=progress.update_of)
    finally:
        progress.clear()
    for warning in done.warnings:
        click.echo(f"asyncpipe: {warning}", err=True)
    click.echo(json.dumps(_document(done)) if as_json else _text(done, way.target.url))


def _document(done: Mirrored) -> dict[str, object]:
    return {
        "schema_version": 1,
        "versions": sorted(done.versions),
        "objects": done.objects,
        "copied_bytes": done.copied_bytes,
        "revocations": done.revocations,
        "pointers": sorted(done.pointers),
        "removed": sorted(done.removed),
        "extra": done.extra,
    }


def _text(done: Mirrored, url: str) -> str:
    from asyncpipe.text.format import counted, size_text

    lines = [f"copied: {folder.removeprefix('templates/')}" for folder in sorted(done.versions)]
    lines += [f"removed: {key.removeprefix('templates/')}" for key in sorted(done.removed)]
    extra = done.extra and not done.removed
    kept = f"; {counted(done.extra, 'version')} more stay there: --prune removes them"
    lines.append(
        f"{url}: {counted(len(done.versions), 'version')} copied, "
        f"{size_text(done.copied_bytes)}, {counted(len(done.pointers), 'name')} moved, "
        f"{counted(done.revocations, 'revocation')}" + (kept if extra else "")
    )
    return "\n".join(lines)
