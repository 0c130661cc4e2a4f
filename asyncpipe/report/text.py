"""Untrusted lines and places, as a person reads them."""

from __future__ import annotations

import re
import unicodedata

# CSI, OSC (ended by BEL or ST) and two-character escapes, ECMA-48; C1 forms too.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|[\x1b\x9d]\]?[^\x07\x1b\x9c\n]{0,2048}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[PX^_][^\x1b\n]{0,2048}\x1b\\"
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# Drawn as nothing though they are letters or marks: comparisons that follow a culture skip them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")


def clean(text: str, *, limit: int = 8192) -> str:
    """Return one harmless line: no escapes, no control or invisible characters, bounded.

    A tab becomes four blanks, every other line or paragraph break one blank.
    """
    text = text[: 4 * limit]  # bounded work too, with room for what will be taken out
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_visible, _ESCAPES.sub("", text)))
    return bounded(text, limit)


def bounded(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters; the cut is shown."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


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
