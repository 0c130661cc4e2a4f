"""Text from outside made fit to be stored and shown: bounded, one line, nothing that acts."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s@]*(?::[^/?#\s]*)?@")


def printable(text: str, limit: int = 2000) -> str:
    """Return ``text`` with every unprintable character escaped, at most ``limit`` characters.

    Newlines, ANSI escapes, bidirectional overrides and lone surrogates are escaped as Python
    writes them in a literal; what was cut is told by an ellipsis.
    """
    bounded = text[: limit + 1]
    if bounded.isprintable() and len(bounded) <= limit:
        return bounded
    escaped = "".join(char if char.isprintable() else _escape(char) for char in bounded)
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def without_userinfo(text: str) -> str:
    """Return ``text`` with ``user:password@`` of every URL in it removed."""
    return _USERINFO.sub(r"\g<scheme>", text) if "@" in text else text


def _escape(char: str) -> str:
    if 0xD800 <= ord(char) <= 0xDFFF:
        return f"\\u{ord(char):04x}"
    return char.encode("unicode_escape").decode("ascii")
