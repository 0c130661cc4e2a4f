"""Untrusted lines and places, as a person reads them."""

from __future__ import annotations

import unicodedata

from asyncpipe.text.safe import bounded, without_escapes

# Drawn as nothing though they are letters or marks: comparisons that follow a culture skip them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")


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
