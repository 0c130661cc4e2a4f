"""``asyncpipe init`` and ``asyncpipe update``: templates of ours in a repository of yours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from asyncpipe.cli.options.command import Command, Option


def _names(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> Any:
    from asyncpipe.starter import available

    return [name for name in available() if name.startswith(typed)]


@click.command(cls=Command)
@click.option(
    "--from",
    "templates",
    cls=Option,
    multiple=True,
    metavar="NAME",
    default=["debian/12"],
    show_default="debian/12",
    shell_complete=_names,
    help="A template to begin with, beside the demo; may be given several times.",
)
@click.option(
    "--ci",
    cls=Option,
    type=click.Choice(["github", "gitlab", "forgejo", "gitea", "jenkins", "cron", "none"]),
    default="github",
    show_default=True,
    help="The system that shall build them.",
)
@click.option("--keep", is_flag=True, cls=Option, help="Leave what is there, write the rest.")
def init(templates: tuple[str, ...], ci: str, keep: bool) -> int:  # noqa: FBT001 - click's
    """Lay templates, provisioning scripts and a CI workflow into the current folder.

    They are yours then: change them as you like. Nothing that is there is overwritten; where names
    collide nothing is written, and the names are listed. .asyncpipe-files.json notes what was laid,
    so that `asyncpipe update` can show what a newer version changes.
    """
    from asyncpipe import __version__, starter
    from asyncpipe.errors import UsageError
    from asyncpipe.starter.files import DEMO

    root = Path.cwd()
    known = starter.read_record(root)
    chosen = sorted({*(known.templates if known else ()), DEMO, *templates})
    files = starter.files_of(chosen, ci, __version__)
    laid = dict(known.files) if known else {}
    taken = starter.collisions(root, files, laid)
    if taken and not keep:
        raise UsageError(
            f"Nothing was written. These are there already: {_listed(taken)}.",
            hint="Move them away, go to another folder, or add --keep to write only the rest.",
        )
    made = starter.lay(root, files)
    record = starter.Record(
        version=__version__,
        templates=chosen,
        ci=ci,
        files=laid | {path: files[path].sha256_hex for path in made},
    )
    starter.written_record(root, record)
    for path in made:
        click.echo(path)
    click.echo(
        f"Laid {len(made)} files for {', '.join(chosen)}. Next: asyncpipe build templates/demo"
    )
    return 0


@click.command(cls=Command)
@click.option("--apply", "do_apply", is_flag=True, cls=Option, help="Make these changes.")
def update(do_apply: bool) -> int:  # noqa: FBT001 - click's
    """Show as a diff what this version of asyncpipe would change in the files that `init` laid.

    Files that you changed are shown, but --apply leaves them alone; `git apply` takes the diff.
    """
    from asyncpipe import __version__, starter
    from asyncpipe.errors import UsageError
    from asyncpipe.starter.update import Kind

    root = Path.cwd()
    known = starter.read_record(root)
    if known is None:
        raise UsageError(
            f"There is no {starter.RECORD} here.",
            hint="Go to the repository's top folder, or lay the files with: asyncpipe init",
        )
    there = [name for name in known.templates if name in starter.available()]
    files = starter.files_of(there, known.ci, __version__)
    found = list(starter.changes(root, files, known.files))
    for one in found:
        if one.kind is Kind.EDITED:
            click.echo(f"# You changed {one.path}: --apply leaves it alone.")
        click.echo(one.diff(), nl=False)
    if not found:
        click.echo(f"Nothing to change: the files are those of asyncpipe {__version__}.")
    if do_apply:
        starter.apply(root, found)
        done = [one for one in found if one.kind is not Kind.EDITED]
        left = {p: d for p, d in known.files.items() if p in files}
        new = {one.path: one.file.sha256_hex for one in done if one.file is not None}
        record = starter.Record(
            version=__version__, templates=known.templates, ci=known.ci, files=left | new
        )
        starter.written_record(root, record)
        click.echo(f"Changed {len(done)} of {len(found)} files.", err=True)
    return 0


def _listed(paths: list[str]) -> str:
    shown = ", ".join(paths[:20])
    return shown if len(paths) <= 20 else f"{shown} and {len(paths) - 20} more"
