"""Version constraints as Packer reads them (pure).

Semantics: https://github.com/hashicorp/go-version, constraint.go. A pre-release counts as the
version that it leads to, as it does for Packer and its plugins.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Version = tuple[int, ...]

_ONE: Final = re.compile(r"\s*(=|!=|>=|<=|>|<|~>|)\s*v?(\d{1,9}(?:\.\d{1,9})*)(?:[-+][\w.+-]*)?\s*")
_WIDTH: Final = 8


def version_of(text: str) -> Version:
    """The numbers of a version, ``v1.16.0-dev`` too; () when it is none."""
    match = re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)(?!\d)", text.strip())
    return tuple(map(int, match[1].split("."))) if match else ()


def allows(constraint: str, version: Version) -> bool | None:
    """Whether ``version`` is what ``>= 1.7, < 2.0`` or ``~> 0.11.4`` asks for; None: unreadable."""
    answers = []
    for part in constraint.split(",") if constraint.strip() else []:
        match = _ONE.fullmatch(part)
        if match is None:
            return None
        wanted = version_of(match[2])
        answers.append(_OPERATORS[match[1]](_padded(version), wanted))
    return all(answers)


def _padded(version: Version) -> Version:
    return (*version, *[0] * (_WIDTH - len(version)))


def _is_of_series(version: Version, wanted: Version) -> bool:
    """``~> 1.2.3``: from there on, as long as only the last number grows."""
    fixed = len(wanted) - 1
    return version[:fixed] == wanted[:fixed] and version >= _padded(wanted)


_OPERATORS: Final[dict[str, Callable[[Version, Version], bool]]] = {
    "": lambda version, wanted: version == _padded(wanted),
    "=": lambda version, wanted: version == _padded(wanted),
    "!=": lambda version, wanted: version != _padded(wanted),
    ">": lambda version, wanted: version > _padded(wanted),
    ">=": lambda version, wanted: version >= _padded(wanted),
    "<": lambda version, wanted: version < _padded(wanted),
    "<=": lambda version, wanted: version <= _padded(wanted),
    "~>": _is_of_series,
}
