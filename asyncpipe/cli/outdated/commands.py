"""``asyncpipe outdated``: which published templates have a reason to be built again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from asyncpipe.cli import step
from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command
from asyncpipe.cli.outdated.asked import INDEXES, OLDER_THAN, Asked, asked_of
from asyncpipe.errors import EXIT_NOT_JUDGED, EXIT_OUTDATED, ObjectMissingError

if TYPE_CHECKING:
    from asyncpipe.cli.outdated.examine import Examined
    from asyncpipe.settings import Settings

_SHOWN: Final = 12  # packages of a template in the table; --json has them all


def _published(ctx: click.Context, parameter: click.Parameter, typed: str) -> Any:
    from asyncpipe.cli.completion import published

    return published(ctx, parameter, typed)


@click.command(cls=Command)
@click.argument(
    "template",
    required=False,
    metavar="[TEMPLATE[:CHANNEL|@TIMESTAMP]]",
    shell_complete=_published,
)
@click.option("--security", is_flag=True, help="Of the updates only those that fix security.")
@OLDER_THAN
@INDEXES
@shared.AS_JSON
@shared.DESTINATION
@shared.STORE
def outdated(template: str | None, *, as_json: bool, **given: Any) -> int:
    """Say which published templates lack updates, and why one would build them again.

    Compares the packages that the build recorded with the distribution's signed indexes of now:
    Debian, Ubuntu, AlmaLinux, Rocky Linux, CentOS Stream. In a checkout of the templates, what
    changed since the recorded commit is a reason too.

    list and page show the answer, with its day, until a later one.

    Exit code 0: no reason. 65: at least one template has a reason to be built again. 66: none has,
    but one could not be judged.
    """
    import anyio

    from asyncpipe.cli.outdated.examine import is_outdated
    from asyncpipe.settings import Settings

    asked = asked_of(given)
    settings = Settings.of(given, environment=dict(os.environ))
    found = anyio.run(_examine, template, asked, settings)
    exit_code = EXIT_NOT_JUDGED if any(one.problem for one in found) else 0
    exit_code = EXIT_OUTDATED if any(map(is_outdated, found)) else exit_code
    rows = [_document(one) for one in found]
    if as_json:
        document = {"schema_version": 1, "exit_code": exit_code, "templates": rows}
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo("\n".join(map(_text, rows)) or "Nothing is published.")
    names = [row["template"] for row in rows if row["outdated"]]
    step.hand_on({"exit-code": str(exit_code), "outdated": json.dumps(names)})
    return exit_code


async def _examine(template: str | None, asked: Asked, settings: Settings) -> list[Examined]:
    from asyncpipe.cli.catalog.listed import meant
    from asyncpipe.cli.outdated.examine import examine
    from asyncpipe.stores.open import open_store

    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        try:
            found = await examine(store, asked, settings, Path.cwd(), name=template)
        except ObjectMissingError as error:
            error.hint = (await meant(store, template) if template else "") or error.hint
            raise
        _keep(store.url, found, asked)
        return found


def _keep(store_url: str, found: list[Examined], asked: Asked) -> None:
    """Let ``list`` and page show what was found; that nothing more was asked for proves nothing."""
    from asyncpipe.cli.outdated.kept import keep

    whole = [one for one in found if one.reasons or not (one.problem or asked.security_only)]
    reasons = {one.entry.folder_key: [_plain(why.text) for why in one.reasons] for one in whole}
    if problem := keep(store_url, reasons, datetime.now(UTC)):
        click.echo(f"asyncpipe: list and page will not show this: {problem}", err=True)


def _document(one: Examined) -> dict[str, Any]:
    from msgspec import to_builtins

    from asyncpipe.cli.outdated.examine import is_outdated

    lacking = one.lacking
    return {
        "template": one.entry.short_id,
        "timestamp": one.entry.timestamp,
        "outdated": is_outdated(one),
        "reasons": [{"kind": str(why.kind), "text": _plain(why.text)} for why in one.reasons],
        "notes": [_plain(note) for note in one.notes],
        "problem": _plain(one.problem) or None,
        "packages": [to_builtins(package) for package in lacking.packages] if lacking else None,
        "not_indexed": lacking.not_indexed if lacking else None,
    }


def _plain(text: str) -> str:
    from asyncpipe.text.safe import printable, without_userinfo

    return printable(without_userinfo(text), 1000)


def _text(row: Mapping[str, Any]) -> str:
    state = "outdated" if row["outdated"] else "unknown" if row["problem"] else "current"
    lines = [f"{state:<8}  {row['template']}@{row['timestamp']}"]
    lines += [f"{'':<8}  {why['text']}" for why in row["reasons"]]
    packages = row["packages"] or []
    lines += [
        f"{'':<10}  {one['name']} {one['installed']} -> {one['available']}  {one['origin']}"
        for one in packages[:_SHOWN]
    ]
    if len(packages) > _SHOWN:
        lines.append(f"{'':<10}  and {len(packages) - _SHOWN} more: --json has them all")
    lines += [f"{'':<8}  note: {note}" for note in row["notes"]]
    return "\n".join([*lines, *([f"{'':<8}  {row['problem']}"] if row["problem"] else [])])
