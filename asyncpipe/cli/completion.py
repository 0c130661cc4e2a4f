"""Completion in bash, zsh and fish: commands, options, template folders, published versions."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

VARIABLE = "_ASYNCPIPE_COMPLETE"  # click's name for a program called asyncpipe
_STORE_S = 2.0

# As click's, but the line instead of bash's words, which bash breaks at ":" and "@".
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' completion type value
    COMPREPLY=()
    for completion in $(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1"); do
        IFS=',' read -r type value <<<"$completion"
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""  # noqa: E501 - one command of the script


class _Bash(BashComplete):
    source_template: ClassVar[str] = _BASH
    _typed = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        self._typed = "" if line[-1:].isspace() or not words else words.pop()
        return words, self._typed

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Leave out what stands before the last character that bash breaks words at."""
        broken = re.match(r".*[:@=]", self._typed)
        value = item.value[broken.end() :] if broken else item.value
        return f"{item.type},{value}"


add_completion_class(_Bash, "bash")


_HELP = """Print the completion script of a shell.

\b
bash: asyncpipe completion bash >~/.local/share/bash-completion/completions/asyncpipe
zsh:  asyncpipe completion zsh >~/.zfunc/_asyncpipe   (with ~/.zfunc in fpath)
fish: asyncpipe completion fish >~/.config/fish/completions/asyncpipe.fish
"""


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from asyncpipe.cli.main import asyncpipe

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(asyncpipe, {}, "asyncpipe", VARIABLE).source(), nl=False)


def template_folders(
    _ctx: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem[str]]:
    """Folders with a template, or files where none begins so."""
    from asyncpipe.run.selection import template_folders as folders_below

    start = Path(typed if typed.endswith("/") else os.path.dirname(typed) or ".")  # noqa: PTH120 - "" stays ""
    found = (os.path.normpath(start / folder) for folder in folders_below(start))
    matching = [CompletionItem(name) for name in found if name.startswith(typed.rstrip("/"))]
    return matching or [CompletionItem(typed, type="file")]


def published(
    ctx: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem[str]]:
    """Names of published templates; after ``@`` their versions, after ``:`` their channels."""
    import anyio

    from asyncpipe.errors import AsyncpipeError

    async def ask() -> list[str]:
        with anyio.move_on_after(_STORE_S):
            return await _published(ctx, typed)
        return []

    try:
        return [CompletionItem(name) for name in anyio.run(ask) if name.startswith(typed)]
    except (AsyncpipeError, OSError, ExceptionGroup):
        return []  # a completion has nowhere to say why


async def _published(ctx: click.Context, typed: str) -> list[str]:
    from asyncpipe import catalog
    from asyncpipe.settings import Settings
    from asyncpipe.stores.open import open_store

    names = ("destination", "profile", "endpoint_url", "addressing", "ca_bundle")
    given = {name: ctx.params[name] for name in names if ctx.params.get(name) is not None}
    settings = Settings.of(given, environment=dict(os.environ))
    async with open_store(
        settings.destination, environment=settings.environment, options=settings.store
    ) as store:
        if ":" in typed:
            short_id = typed.partition(":")[0]
            found = await catalog.channels(store, short_id)
            return [f"{one.short_id}:{one.name}" for one in found.found]
        versions = (await catalog.list_versions(store)).versions
    if "@" in typed:
        return [f"{entry.short_id}@{entry.timestamp}" for entry in versions]
    return sorted({entry.short_id for entry in versions})
