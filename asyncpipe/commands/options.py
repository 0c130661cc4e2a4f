"""Types of options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from asyncpipe.errors import UsageError


class Parsed(click.ParamType):
    """An option read by a function of ``settings``."""

    def __init__(self, name: str, function_name: str) -> None:
        self.name = name
        self._function_name = function_name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text, or fail with its words."""
        if not isinstance(value, str):
            return value
        from asyncpipe import settings  # noqa: PLC0415 - keeps --help quick

        parse: Callable[[str], Any] = getattr(settings, self._function_name)
        try:
            return parse(value)
        except UsageError as error:
            self.fail(f"{error.message} {error.hint}".strip(), param, ctx)


SIZE = Parsed("size", "parse_size")
DURATION = Parsed("duration", "parse_duration")
VARIABLES = Parsed("variable", "parse_variable")
