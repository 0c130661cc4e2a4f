"""How our commands and options behave on click: variables, sections of --help, old spellings."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import click

from asyncpipe import settings
from asyncpipe.cli.options.values import DURATION, SIZE, shown_duration, shown_size

Decorator = Callable[[Any], Any]
PREFIX: Final = "ASYNCPIPE_"

# Spellings of former versions -> ours.
RENAMED: Final = {
    "--only-source": "--only",
    "--except-source": "--except",
    "ASYNCPIPE_ONLY_UNITS": "ASYNCPIPE_ONLY",
}


class Option(click.Option):
    """An option that names its section of --help; a blank variable counts as unset."""

    def __init__(self, *args: Any, section: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """An input of an action that nobody gave is an empty variable."""
        text = super().resolve_envvar_value(ctx)
        return text if text and text.strip() else None

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """A default in our own words stands without click's parentheses."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


class Argument(click.Argument):
    """Arguments that a variable can give; a blank variable counts as unset."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """An input of an action that nobody gave is an empty variable."""
        text = super().resolve_envvar_value(ctx)
        return text if text and text.strip() else None


class Command(click.Command):
    """A command whose --help lists its own options first, then the shared ones by section."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse spellings of former versions with the new one."""
        for old, new in RENAMED.items():
            if old in os.environ and any(new in _names(one) for one in self.params):
                raise click.UsageError(f"{old} is now called {new}.", ctx)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in RENAMED:
                text = f"{error.option_name} is now called {RENAMED[error.option_name]}."
                raise click.UsageError(text, ctx) from None
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list per section."""
        sections: dict[str, list[tuple[str, str]]] = {"": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", ""), []).append(record)
        for name, records in sections.items():
            with formatter.section(name or "Options"):
                formatter.write_dl(records)


def setting(name: str, *flags: str, variable: str = "", **attributes: Any) -> Decorator:
    """Define the option of one setting, whose default it takes.

    Args:
        name: the setting's field.
        flags: as written on the command line.
        variable: ``ASYNCPIPE_`` and this; the first long flag in upper case when empty.
        attributes: click's own, and ``section``.
    """
    flag = next(flag for flag in flags if flag.startswith("--")).split("/", maxsplit=1)[0]
    variable = variable or flag.removeprefix("--").replace("-", "_").upper()
    default = attributes.setdefault("default", settings.default_of(name))
    if attributes.get("multiple"):
        del attributes["default"]
    elif default is not None and default is not False and not callable(default):
        attributes.setdefault("show_default", _shown(default, attributes.get("type")))
    attributes.setdefault("envvar", f"{PREFIX}{variable}")
    decorator: Decorator = click.option(name, *flags, cls=Option, show_envvar=True, **attributes)
    return decorator


def _names(parameter: click.Parameter) -> list[str]:
    names = parameter.envvar or []
    return [names] if isinstance(names, str) else list(names)


def _shown(default: Any, kind: Any) -> str:
    if kind is SIZE:
        return shown_size(default)
    return shown_duration(default) if kind is DURATION else str(default)


def options(*decorators: Decorator) -> Decorator:
    """One decorator of many, in the order in which --help shows them."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate
