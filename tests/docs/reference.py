"""Writes docs/options.md from the commands themselves: ``python -m tests.docs.reference``.

``python -m tests.docs.reference --man DIR`` writes man pages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from asyncpipe import __version__
from asyncpipe.cli.main import COMMANDS, asyncpipe
from tests.docs import actions

PAGE = Path(__file__).parents[2] / "docs/options.md"
HEAD = """# Commands, options and variables

Written by `python -m tests.docs.reference` from the commands themselves;
`asyncpipe COMMAND --help` says the same.

A value on the command line wins over the variable, the variable over the default. An empty variable
counts as unset. A variable holds several values as a shell's words or as a JSON array of texts;
`ASYNCPIPE_VARIABLES` and `ASYNCPIPE_S3_TAGS` hold one per line or an array. S3 credentials come
from where the AWS tools look ([stores.md](stores.md)), Packer's secrets from `PKR_VAR_name`, the
password of a host from `ASYNCPIPE_HOST_PASSWORD` ([hosts.md](hosts.md)), a key that signs from
`ASYNCPIPE_SIGNING_KEY` or a file, its password from `ASYNCPIPE_SIGNING_KEY_PASSWORD`
([signatures.md](signatures.md)). `ASYNCPIPE_DEBUG=1` is
`--debug`; `ASYNCPIPE_VENV` names the environment that `bin/` makes.
"""


def page() -> str:
    """The whole page."""
    # with -h as well: click remembers the names that a command's help had first
    root = click.Context(asyncpipe, info_name="asyncpipe", **asyncpipe.context_settings)
    parts = [HEAD]
    for name in COMMANDS:
        command = asyncpipe.get_command(root, name)
        assert command is not None
        parts += _sections(command, f"asyncpipe {name}", root)
    return "\n".join(parts)


def _sections(command: click.Command, path: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, parent=parent, info_name=path.rsplit(maxsplit=1)[-1])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _sections(inner, f"{path} {name}", context)
        return
    words = " ".join(command.collect_usage_pieces(context)[1:])
    yield f"## `{path}{' ' + words if words else ''}`\n\n{_prose(command)}\n"
    yield "| option | variable | default | |\n|---|---|---|---|"
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    yield "\n".join(_row(option, context) for option in options) + "\n"


def _prose(command: click.Command) -> str:
    paragraphs = (command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    extra = option.get_help_extra(context)
    variables = ", ".join(f"`{name}`" for name in extra.get("envvars", ()))
    default = extra.get("default", "")
    flags = record[0].replace("|", "\\|")
    return f"| `{flags}` | {variables} | {default} | {option.help} |"


def write_man_pages(folder: Path) -> None:
    """Write asyncpipe.1 and a page for each command into ``folder``."""
    from click_man.core import write_man_pages as write  # noqa: PLC0415 - for this alone

    root = click.Context(asyncpipe, info_name="asyncpipe")
    found = {name: asyncpipe.get_command(root, name) for name in COMMANDS}
    commands = {name: command for name, command in found.items() if command is not None}
    # click-man reads the table of commands, which ours fills when one is called
    whole = click.Group("asyncpipe", commands, params=asyncpipe.params, help=asyncpipe.help)
    folder.mkdir(parents=True, exist_ok=True)
    write("asyncpipe", whole, version=__version__, target_dir=str(folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--man"]:
        write_man_pages(Path(sys.argv[2]))
    else:
        PAGE.write_text(page(), encoding="utf-8")
        actions.write()
