r"""Text from outside made fit to be stored and shown: bounded, and nothing in it acts.

``escaped`` keeps everything (build.log): what would act is written ``\xNN`` or ``\uNNNN``, long
runs counted. ``for_console`` drops it. ``clean`` makes one harmless line of anything,
``printable`` one that shows what it was. ``report.github`` adds what a runner or Markdown would
take for its own.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# ECMA-48, 7 and 8 bits: CSI sequences; OSC, DCS, SOS, PM and APC strings; two-character escapes.
# A string without its end is not a sequence: it hides nothing of what follows. It holds no control,
# so that each character is read twice at most, whatever introducers follow one another.
_ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*+(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_USERINFO = re.compile(
    r"(?P<scheme>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s@]*(?::[^/?#\s]*)?@"
)
# C0 without tab and newline, DEL, C1, what draws nothing, bidirectional marks, line separators.
_ACTIVE: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_RUN: Final = re.compile(rf"([{_ACTIVE}])\1*")
_DROPPED: Final = re.compile(rf"[{_ACTIVE}]")
_LONGEST_PLAIN_RUN: Final = 3
# Drawn as nothing though they are letters or marks: comparisons that follow a culture skip them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")


def printable(text: str, limit: int = 2000) -> str:
    """Return ``text`` with every unprintable character escaped, at most ``limit`` characters.

    Newlines, ANSI escapes, bidirectional overrides and lone surrogates are escaped as Python
    writes them in a literal; an ellipsis shows where text was cut.
    """
    text = text[: limit + 1]  # bounded work too
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    return bounded(text, limit)


def bounded(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters; the cut is shown by an ellipsis."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def without_escapes(text: str) -> str:
    """Return ``text`` without the escape sequences of terminals; a lone control stays."""
    return text if text.isprintable() else _ESCAPE_SEQUENCES.sub("", text)


def without_userinfo(text: str) -> str:
    """Return ``text`` with ``user:password@`` of every URL in it removed."""
    return _USERINFO.sub(r"\g<scheme>", text) if "@" in text else text


def _escape(char: str) -> str:
    if 0xD800 <= ord(char) <= 0xDFFF:
        return f"\\u{ord(char):04x}"
    return char.encode("unicode_escape").decode("ascii")


def escaped(text: str) -> str:
    """Return ``text`` with everything that acts written out; tabs and newlines stay."""
    return text if is_plain(text) else _RUN.sub(_written_out, text)


def for_console(line: str, limit_chars: int) -> str:
    """Return one line as a person should see it, at most ``limit_chars`` long.

    Escape sequences and control characters are dropped, a tab stays, and of a line that repaints
    itself by carriage returns the last text remains.
    """
    if not is_plain(line):
        line = without_escapes(line[: 8 * limit_chars])
        painted = [part for part in line.split("\r") if part.strip("\0 \t")]
        line = _DROPPED.sub("", painted[-1] if painted else "")
    return bounded(line, limit_chars)


def is_plain(text: str) -> bool:
    """Whether nothing in ``text`` acts; newlines and tabs may be there."""
    return (text.isascii() and text.isprintable()) or _DROPPED.search(text) is None


def _written_out(match: re.Match[str]) -> str:
    char, count = match.group(1), len(match.group())
    code = ord(char)
    width = 2 if code < 0x100 else 4 if code < 0x10000 else 8
    written = f"\\{'xuU'[width // 4]}{code:0{width}x}"
    return written * count if count <= _LONGEST_PLAIN_RUN else f"{written}{{{count}}}"


def clean(text: str, *, limit: int = 8192) -> str:
    """Return one harmless line: no escapes, no control or invisible characters, bounded.

    A tab becomes four blanks, every other line or paragraph break one blank.
    """
    text = text[: 4 * limit]  # bounded work too, with room for what will be taken out
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_visible, without_escapes(text)))
    return bounded(text, limit)


def _visible(character: str) -> str:
    if " " <= character < "\x7f":
        return character
    if character == "\t":
        return "    "
    if character in "\r\n\v\f\x85\u2028\u2029":
        return " "
    if character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f":
        return ""
    if "\U000e0100" <= character <= "\U000e01ef":  # variation selectors supplement
        return ""
    return "" if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"} else character


def place_text(destination: str) -> str:
    """``./published`` for a relative folder, so that it reads as a place; a URL as it is."""
    is_plain = "://" in destination or destination.startswith(("/", ".", "~"))
    return destination if is_plain else f"./{destination}"
