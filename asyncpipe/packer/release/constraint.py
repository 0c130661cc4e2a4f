"""Version constraints as Packer reads them (go-version): ``>= 1.8.0, < 2``, ``~> 1.1``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Final

Numbers = tuple[int, ...]

_TERM: Final = re.compile(r"(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+)*)(-[0-9A-Za-z.~-]+)?")
_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+)*)(-[0-9A-Za-z.~-]+)?(?:\+[0-9A-Za-z.-]+)?")
_LENGTH: Final = 4
_TESTS: Final[dict[str, Callable[[Numbers, Numbers], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def parsed(version: str) -> Numbers | None:
    """``1.6.6`` -> (1, 6, 6, 0); None if that is no version; a pre-release's numbers alone."""
    match = _VERSION.fullmatch(version.strip())
    return _numbers(match[1]) if match else None


def satisfies(version: str, constraint: str) -> bool:
    """Whether ``version`` meets every term of ``constraint``.

    A constraint that cannot be read is left to Packer, which refuses it with file and line. As in
    go-version, a pre-release meets only terms that name one.
    """
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        return False
    terms = [_TERM.fullmatch(term.strip()) for term in constraint.split(",") if term.strip()]
    if None in terms:
        return True
    numbers, is_pre = _numbers(match[1]), match[2] is not None
    return all(
        _meets(numbers, term[1] or "=", term[2]) and (not is_pre or term[3] is not None)
        for term in terms
        if term
    )


def _meets(numbers: Numbers, sign: str, wanted: str) -> bool:
    floor = _numbers(wanted)
    if sign != "~>":
        return _TESTS[sign](numbers, floor)
    kept = max(1, wanted.count("."))  # ~> 1.2.3 keeps 1.2, ~> 1.2 keeps 1
    return numbers >= floor and ("." not in wanted or numbers[:kept] == floor[:kept])


def _numbers(text: str) -> Numbers:
    found = [int(number) for number in text.split(".")]
    return tuple(found + [0] * (_LENGTH - len(found)))
