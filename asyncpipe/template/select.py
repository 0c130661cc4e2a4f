"""Which builds ``-only`` and ``-except`` leave, by Packer's globs (those of gobwas/glob)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


def chooser(only: Sequence[str], except_: Sequence[str]) -> Callable[[str], bool]:
    """Return the test for a build's full name: ``type.label`` or ``build.type.label``."""
    wanted, unwanted = _patterns(only), _patterns(except_)

    def chosen(name: str) -> bool:
        if wanted and not any(pattern.fullmatch(name) for pattern in wanted):
            return False
        return not any(pattern.fullmatch(name) for pattern in unwanted)

    return chosen


def _patterns(globs: Sequence[str]) -> list[re.Pattern[str]]:
    names = [name.strip() for glob in globs for name in glob.split(",")]
    return [re.compile(_regex(name), re.DOTALL) for name in names if name]


def _regex(glob: str) -> str:
    """``*`` is any text, ``?`` one character, ``[a-c]`` and ``[!a-c]`` a class."""
    pieces = re.findall(r"\[!?[^\[\]]+\]|\*+|\\.|.", glob, re.DOTALL)
    return "".join(map(_piece, pieces))


def _piece(piece: str) -> str:
    if piece[0] == "*":
        return ".*"
    if piece == "?":
        return "."
    if piece[0] == "[" and len(piece) > 2:
        return _class(piece)
    if piece[0] == "\\" and len(piece) == 2:
        return re.escape(piece[1])
    return re.escape(piece)


def _class(piece: str) -> str:
    negated = piece[1] == "!"
    content = piece[2 if negated else 1 : -1]
    span = re.fullmatch(r"(.)-(.)", content, re.DOTALL)
    if span is not None:
        low, high = sorted((span[1], span[2]))
        inner = f"{re.escape(low)}-{re.escape(high)}"
    else:
        inner = "".join(map(re.escape, content))
    return f"[{'^' if negated else ''}{inner}]"
