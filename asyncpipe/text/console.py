r"""Output of a build made fit for a file and for a console: nothing in it acts on a terminal.

In a file everything is kept: what would act is written ``\xNN`` or ``\uNNNN``, long runs counted.
On a console it is dropped: escape sequences, NULs, and what a carriage return overwrote.
"""

from __future__ import annotations

import re
from typing import Final

from asyncpipe.text.safe import bounded, without_escapes

# C0 without tab and newline, DEL, C1, zero-width and bidirectional marks, line separators.
_ACTIVE: Final = "\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
_RUN: Final = re.compile(rf"([{_ACTIVE}])\1*")
_DROPPED: Final = re.compile(rf"[{_ACTIVE}]")
_LONGEST_PLAIN_RUN: Final = 3


def escaped(text: str) -> str:
    """Return ``text`` with everything that acts written out; tabs and newlines stay."""
    return text if _is_plain(text) else _RUN.sub(_written_out, text)


def for_console(line: str, limit_chars: int) -> str:
    """Return one line as a person should see it, at most ``limit_chars`` long.

    Escape sequences and control characters are dropped, a tab stays, and of a line that repaints
    itself by carriage returns the last text remains.
    """
    if not _is_plain(line):
        line = without_escapes(line[: 8 * limit_chars])
        painted = [part for part in line.split("\r") if part.strip("\0 \t")]
        line = _DROPPED.sub("", painted[-1] if painted else "")
    return bounded(line, limit_chars)


def _is_plain(text: str) -> bool:
    return (text.isascii() and text.isprintable()) or _DROPPED.search(text) is None


def _written_out(match: re.Match[str]) -> str:
    char, count = match.group(1), len(match.group())
    code = ord(char)
    written = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return written * count if count <= _LONGEST_PLAIN_RUN else f"{written}{{{count}}}"
