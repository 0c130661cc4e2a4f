"""Values of options and ``ASYNCPIPE_*`` variables: text -> a typed value, or why not."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from asyncpipe.errors import UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.transfer import ZSTD_LEVELS, Zstd

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+~-]*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """``"16MiB"`` -> 16777216 bytes; plain numbers are bytes, K/M/G/T count in 1024 unless "kB".

    Raises:
        UsageError: not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size.", hint="Write for example 16MiB or 4GiB.")
    number, unit, suffix = match.groups()
    base = 1000 if unit and suffix.lower() == "b" else 1024
    factor: int = base ** _POWER[unit.lower()]
    return round(float(number) * factor)


def parse_duration(text: str) -> float:
    """``"1h30m"`` -> 5400.0 seconds; a plain number is seconds.

    Raises:
        UsageError: not a duration.
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise UsageError(f"{text!r} is not a duration.", hint="Write for example 90s, 45m or 2h.")
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)


def parse_variable(assignment: str) -> tuple[str, str]:
    """``"name=value"`` -> (name, value).

    Raises:
        UsageError: no ``=``.
    """
    name, equals, value = assignment.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{name!r} has no value.", hint="Write name=value.")
    return name.strip(), value


def parse_compression(text: str) -> Zstd | None:
    """``"zstd:9"`` -> how to compress; ``"none"`` -> None.

    Raises:
        UsageError: neither, or a level that zstd does not have.
    """
    name, colon, level = text.strip().lower().partition(":")
    if name == "none" and not colon:
        return None
    known = level.isascii() and level.isdigit() and int(level) in ZSTD_LEVELS
    if name != "zstd" or (colon and not known):
        most = max(ZSTD_LEVELS)
        raise UsageError(
            f"{text[:80]!r} is not a compression.",
            hint=f"Write none, zstd or zstd:LEVEL, with a level from 1 to {most}.",
        )
    return Zstd(level=int(level)) if colon else Zstd()


def _moment(text: str) -> str:
    """A moment with its time zone, as S3 wants it."""
    try:
        has_zone = datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        has_zone = False
    if not has_zone:
        raise UsageError(
            f"{text[:80]!r} is not a moment in UTC.", hint="Write for example 2027-12-31T00:00:00Z."
        )
    return text.strip()


def _version(text: str) -> str:
    """A system's version; anything else is refused, since it would be dropped silently later."""
    if text.strip() and not _VERSION.fullmatch(text.strip()):
        raise UsageError(f"{text[:80]!r} is not a version.", hint="Write for example 12 or 24.04.")
    return text.strip()


def _variant(text: str) -> str:
    """A variant as a name of a place has it; "" for none, whatever the template says."""
    if text.strip() and not store_keys.is_variant(text.strip()):
        raise UsageError(f"{text[:80]!r} is not a variant: {store_keys.VARIANT_RULE}.")
    return text.strip()


def _words(text: str) -> list[str]:
    """A shell's words, or the texts of a JSON array, which no quoting can go wrong in."""
    listed = _array(text)
    if listed is not None:
        return listed
    try:
        return shlex.split(text, comments=False)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} cannot be split into words: {error}.") from None


def _lines(text: str) -> list[str]:
    listed = _array(text)
    if listed is not None:
        return listed
    return [line.strip() for line in text.splitlines() if line.strip()]


def _array(text: str) -> list[str] | None:
    """The texts of a JSON array; None if ``text`` is not one (a glob may begin with a bracket)."""
    if not text.lstrip().startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_texts = isinstance(found, list) and all(isinstance(one, str) for one in found)
    return found if is_texts else None


class Parsed(click.ParamType[Any]):
    """A value read by ``parse``, which raises UsageError; ``split`` takes a variable apart."""

    def __init__(
        self,
        name: str,
        parse: Callable[[str], Any],
        *,
        split: Callable[[str], list[str]] = _words,
    ) -> None:
        self.name = name
        self._parse = parse
        self._split = split

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text, or fail with the parser's message and hint."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except UsageError as error:
            self.fail(f"{error.message} {error.hint}".strip(), param, ctx)

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Split the variable of an option that may be repeated."""
        return self._split(rv)


class Paths(click.Path):
    """Paths; a variable holds several as a shell's words."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Split the variable of an option that may be repeated."""
        return _words(rv)


class OneOf(click.Choice[str]):
    """One value of an enumeration, upper and lower case alike."""

    def __init__(self, kind: type[StrEnum]) -> None:
        self._kind = kind
        super().__init__([str(one) for one in kind], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the member of the enumeration."""
        return self._kind(super().convert(value, param, ctx))


def _gates(text: str) -> tuple[str, ...]:
    """What a version must have before a channel names it."""
    named = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in named:
        if name not in KNOWN_GATES:
            raise UsageError(f"{name[:80]!r} is not a gate.", hint="Write boot-test, signature.")
    return named


KNOWN_GATES = ("boot-test", "signature")
GATES = Parsed("gates", _gates)
TEXT = Parsed("text", str)
GLOB = Parsed("glob", str)
PATH = Paths(path_type=Path)
SIZE = Parsed("size", parse_size)
DURATION = Parsed("duration", parse_duration)
VARIABLE = Parsed("variable", parse_variable, split=_lines)
MOMENT = Parsed("moment", _moment)
VERSION = Parsed("version", _version)
VARIANT = Parsed("variant", _variant)
COMPRESSION = Parsed("compression", parse_compression)


def shown_size(size_bytes: int) -> str:
    """134217728 -> ``"128MiB"``, as ``parse_size`` reads it."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size_bytes and size_bytes % 1024**power == 0:
            return f"{size_bytes // 1024**power}{unit}"
    return str(size_bytes)


def shown_duration(duration_s: float) -> str:
    """120.0 -> ``"2m"``, as ``parse_duration`` reads it."""
    for unit in ("d", "h", "m"):
        if duration_s and duration_s % _SECONDS[unit] == 0:
            return f"{duration_s / _SECONDS[unit]:g}{unit}"
    return f"{duration_s:g}s"
