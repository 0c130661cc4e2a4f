r"""Workflow commands of ours, and none of anybody else's.

The runner (actions/runner, ``ActionCommand.cs``) looks for ``::name k=v::data`` at the start of a
line after trimming, and for the older ``##[name k=v]data`` anywhere in it. It splits lines at CR,
LF and CRLF and compares as its culture does: characters that draw nothing are skipped. A guest's
line is therefore cleaned first, then broken up visibly, and all of it stands between
``::stop-commands::TOKEN`` and ``::TOKEN::``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping

from asyncpipe.text.safe import clean, is_printable_ascii

# With their look-alikes: no comparison that folds width or composition finds more than these.
_LEADING = re.compile(r"^(\s*)(?=[:\uff1a\ufe55\ufe13\u2236]{2}|[\u2237\u2a74])")
_LEGACY = re.compile(r"([#\uff03\ufe5f]{2})([\[\uff3b])")
_MIN_MASK_CHARACTERS = 6  # a shorter one would shred every line of the log
_MAX_MASKS = 1000


def neutralised(text: str) -> str:
    r"""Return one line that the runner takes for text.

    ``##[x]`` becomes ``##\[x]`` wherever it stands, a leading ``::`` becomes ``\::``.
    """
    return _LEADING.sub(r"\1\\", without_legacy(clean(text)))


def without_legacy(text: str) -> str:
    r"""Return ``text`` with each ``##[`` broken up as ``##\[``."""
    return _LEGACY.sub(r"\1\\\2", text)


def command(name: str, data: str, properties: Mapping[str, str] | None = None) -> str:
    """One workflow command without newline; data and properties escaped as the runner unescapes."""
    words = [f"{key}={_property(value)}" for key, value in (properties or {}).items() if value]
    return f"::{name}{' ' + ','.join(words) if words else ''}::{_data(data)}"


def mask_commands(values: Iterable[str]) -> tuple[str, ...]:
    """``::add-mask::`` for each secret, each of its lines alone too; short ones are left out.

    A log line never holds more than one line of a secret, and escaping or quoting may be on the
    way, so the value is masked as it is and stripped.
    """
    lines: dict[str, None] = {}
    for value in values:
        for line in re.split(r"[\r\n]+", value):
            for form in (line, line.strip()):
                if len(form.strip()) >= _MIN_MASK_CHARACTERS:
                    lines[form] = None
    return tuple(command("add-mask", line) for line in list(lines)[:_MAX_MASKS])


class Shield:
    """Brackets a guest's lines; commands of ours go outside, each new bracket has a new token.

    The caller writes every returned text in order to one stream, and ``finish()`` last whatever
    happens: commands are then enabled again.
    """

    def __init__(self, token: Callable[[], str] = lambda: secrets.token_hex(32)) -> None:
        self._new_token = token
        self._token: str | None = None

    def guest(self, lines: str, *, prefix: str = "") -> str:
        """Untrusted lines, inside a bracket, with their newlines."""
        opening = ""
        if self._token is None:
            self._token = self._new_token()
            opening = f"::stop-commands::{self._token}\n"
        if all(_acts_nowhere(text) for text in (prefix, lines)):
            return opening + prefix + lines.replace("\n", f"\n{prefix}") + "\n"
        safe = (neutralised(prefix + line) for line in lines.split("\n"))
        return opening + "".join(f"{line}\n" for line in safe)

    def own(self, line: str) -> str:
        """One command of ours, outside any bracket, with its newline."""
        return f"{self.finish()}{line}\n"

    def finish(self) -> str:
        """Enable commands again; "" when they are."""
        if self._token is None:
            return ""
        closing, self._token = f"::{self._token}::\n", None
        return closing


def _acts_nowhere(lines: str) -> bool:
    return is_printable_ascii(lines) and "##[" not in lines and "::" not in lines


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
