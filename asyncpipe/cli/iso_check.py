"""``asyncpipe iso-check``: is each template's ISO the vendor's current one?"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from asyncpipe.cli import step
from asyncpipe.cli.options import shared
from asyncpipe.cli.options.command import Command, setting
from asyncpipe.cli.options.values import PATH
from asyncpipe.errors import UsageError

if TYPE_CHECKING:
    from asyncpipe.preflight import iso
    from asyncpipe.settings import Settings

_AT_ONCE: Final = 4


@click.command("iso-check", cls=Command)
@shared.templates()
@shared.VARIABLES
@shared.VAR_FILES
@click.option("--update", is_flag=True, help="Write newer ISOs and their sums into the templates.")
@setting(
    "keyrings",
    "--keyring",
    variable="KEYRINGS",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Keys that may sign the lists of sums, in place of the vendors' that are installed.",
)
@shared.AS_JSON
def iso_check(*, update: bool, as_json: bool, keyrings: tuple[Path, ...], **given: Any) -> int:
    """Compare the ISOs of TEMPLATEs [default: templates] with what their vendors publish.

    Knows newer images of Debian, Ubuntu, AlmaLinux, Rocky Linux and CentOS Stream; of others it
    compares the sum. Exit code 0: all are current. 60: a newer one is published, 61: one is gone,
    62: its sum or size changed, 63: a list of sums is wrongly signed, 64: an image or a list could
    not be reached; of several the gravest: 63, 62, 61, 64, 60. What --update has written counts as
    current.
    """
    import anyio

    from asyncpipe.preflight import iso
    from asyncpipe.settings import Settings

    for path in keyrings:
        if not path.is_file():
            raise UsageError(f"{path}: no such keyring.")
    given["templates"] = given["templates"] or ("templates",)
    settings = Settings.of(given, environment=dict(os.environ))
    keys = iso.Keys(gpgv=shutil.which("gpgv"), keyrings=tuple(keyrings))
    results = anyio.run(_check, _media(settings), keys)
    written = {number: _update(one) for number, one in enumerate(results)} if update else {}
    left = [one for number, one in enumerate(results) if not written.get(number)]
    exit_code = iso.exit_code_of(left)
    _show(results, written, exit_code, as_json=as_json)
    _tell_step(left, written, exit_code)
    return exit_code


def _media(settings: Settings) -> list[iso.Medium]:
    from asyncpipe.preflight import iso
    from asyncpipe.run.units import discover, load

    paths = discover.discover(settings.templates, Path.cwd())
    return [
        medium
        for template in load.read_templates(settings, paths)
        for medium in iso.media_of(template)
    ]


async def _check(media: Sequence[iso.Medium], keys: iso.Keys) -> list[iso.IsoResult]:
    import anyio

    from asyncpipe.cli.run.mirrors import HttpMirrors
    from asyncpipe.preflight import iso
    from asyncpipe.system.process import SystemProcessRunner

    checker = iso.Checker(HttpMirrors(), SystemProcessRunner(), keys)
    found: dict[int, iso.IsoResult] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def check(number: int, medium: iso.Medium) -> None:
        async with limiter:
            found[number] = await checker.check(medium)

    async with anyio.create_task_group() as tasks:
        for number, medium in enumerate(media):
            tasks.start_soon(check, number, medium)
    return [found[number] for number in sorted(found)]


def _update(result: iso.IsoResult) -> list[str]:
    """Write what is newer or has moved; a changed sum only if the vendor's signature proves it."""
    from asyncpipe.preflight import iso
    from asyncpipe.preflight.iso.signed import Signed

    is_proved = result.state is not iso.IsoState.CHANGED or result.signed is Signed.GOOD
    return iso.update(result) if result.newer_url and is_proved else []


def _show(
    results: Sequence[iso.IsoResult],
    written: Mapping[int, Sequence[str]],
    exit_code: int,
    *,
    as_json: bool,
) -> None:
    rows = [_document(one, written.get(number, ())) for number, one in enumerate(results)]
    if as_json:
        document = {"schema_version": 1, "exit_code": exit_code, "isos": rows}
        click.echo(json.dumps(document, indent=2))
        return
    if not rows:
        click.echo("No template names an ISO by an http(s) URL.")
    for row in rows:
        click.echo(f"{row['state']:<14}  {row['template']}  {row['name']}: {row['message']}")
        for place in row["written"]:
            click.echo(f"{'':<14}  written: {place}")


def _document(result: iso.IsoResult, written: Sequence[str]) -> dict[str, Any]:
    from asyncpipe.text.safe import printable, without_userinfo

    medium = result.medium
    return {
        "template": str(medium.template.path),
        "name": printable(medium.name, 200),
        "url": printable(without_userinfo(medium.url), 500),
        "vendor": result.vendor or None,
        "state": str(result.state),
        "signed": str(result.signed),
        "message": printable(without_userinfo(result.message), 1000),
        "newer_url": printable(without_userinfo(result.newer_url), 500) or None,
        "written": list(written),
    }


def _tell_step(
    left: Iterable[iso.IsoResult], written: Mapping[int, Sequence[str]], exit_code: int
) -> None:
    """Annotate the line of each ISO that needs a person; outputs for the steps that follow."""
    if not step.is_step():
        return
    from asyncpipe.preflight.iso.judge import EXIT_CODES, IsoState
    from asyncpipe.report import github

    mild = {IsoState.NEWER, IsoState.UNREACHABLE}
    step.annotate(
        github.annotation(
            github.ISO_WARNED if one.state in mild else github.ISO_FAILED,
            f"{one.medium.name}: {one.message}",
            names={"state": one.state},
            file=one.medium.location.file,
            line=one.medium.location.line or None,
            workspace=os.environ.get("GITHUB_WORKSPACE", ""),
        )
        for one in left
        if one.state in EXIT_CODES
    )
    step.hand_on({"exit-code": str(exit_code), "updated": str(sum(map(bool, written.values())))})
