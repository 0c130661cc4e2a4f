r"""What every command prints, made safe where it leaves: no command can forget it.

Text of the store, of paths, templates and errors acts neither on a terminal nor, on GitHub
Actions, as a command for the runner. What we draw ourselves stays: colours, and a progress line
that returns to its beginning and erases itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, TextIO, cast

from asyncpipe.text.safe import escaped, is_plain

_OURS: Final = re.compile(r"(\A\r(?:\x1b\[K)?|\x1b\[K\Z|\x1b\[[0-9;]*m)")
_LEGACY: Final = "##["


class SafeStream:
    """A text stream in front of stdout or stderr; all but ``write`` is the stream's own."""

    def __init__(self, stream: TextIO, *, github: bool) -> None:
        self._stream = stream
        self._github = github
        self._at_start = True

    def write(self, text: str) -> int:
        """Write ``text`` with what acts in it written out."""
        safe = text if is_plain(text) else _escaped(text)
        if self._github and safe:
            safe = self._for_runner(safe)
        self._stream.write(safe.encode("utf-8", "backslashreplace").decode())
        return len(text)

    def command(self, line: str) -> None:
        """Write a workflow command of ours, which the runner shall obey, on its own line."""
        opening = "" if self._at_start else "\n"
        self._stream.write(f"{opening}{line}\n")
        self._at_start = True

    def _for_runner(self, text: str) -> str:
        from asyncpipe.report.github.shield import neutralised  # noqa: PLC0415 - only there

        if _LEGACY in text and _is_json(text):
            text = text.replace(_LEGACY, "#\\u0023[")
        first, *others = text.split("\n")
        lines = [neutralised(first) if self._at_start or _LEGACY in first else first]
        self._at_start = text.endswith("\n")
        return "\n".join([*lines, *map(neutralised, others)])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class ForgivingStream(SafeStream):
    """A safe stream for diagnostics: what cannot be written is lost, and nothing else fails."""

    def write(self, text: str) -> int:
        """Write ``text`` if the stream takes it."""
        with suppress(OSError, ValueError):  # a reader that went away, a full disk; a closed file
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what the stream takes."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def command(self, line: str) -> None:
        """Write a workflow command of ours if the stream takes it."""
        with suppress(OSError, ValueError):
            super().command(line)


def guarded(stream: TextIO, *, github: bool) -> TextIO:
    """Return ``stream`` behind a guard; it may stand for ``sys.stdout``."""
    return cast("TextIO", SafeStream(stream, github=github))


def wants_colour(environment: Mapping[str, str], stdout: TextIO) -> bool:
    """NO_COLOR wins, then FORCE_COLOR, then the terminal (no-color.org)."""
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or is_capable(environment, stdout)


def is_capable(environment: Mapping[str, str], stdout: TextIO) -> bool:
    """A terminal that knows colours and cursor movements; TERM=dumb knows neither."""
    return stdout.isatty() and environment.get("TERM") != "dumb"


def forgiving(stream: TextIO, *, github: bool) -> TextIO:
    """Return ``stream`` behind a guard that never raises; it may stand for ``sys.stderr``."""
    return cast("TextIO", ForgivingStream(stream, github=github))


def _escaped(text: str) -> str:
    parts = _OURS.split(text)
    return "".join(part if at % 2 else escaped(part) for at, part in enumerate(parts))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
