"""Text from outside made fit to be stored and shown: bounded, one line, nothing that acts.

What all need is here. ``text.console`` shows a build's output with it, ``text.line`` a line
of a report, ``report.github`` what a runner or Markdown would take for its own.
"""

from __future__ import annotations

import re

# ECMA-48, 7 and 8 bits: CSI sequences; OSC, DCS, SOS, PM and APC strings; two-character escapes.
# A string without its end is no sequence: it hides nothing of what follows.
_ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,4096}+(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s@]*(?::[^/?#\s]*)?@")


def printable(text: str, limit: int = 2000) -> str:
    """Return ``text`` with every unprintable character escaped, at most ``limit`` characters.

    Newlines, ANSI escapes, bidirectional overrides and lone surrogates are escaped as Python
    writes them in a literal; what was cut is told by an ellipsis.
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
