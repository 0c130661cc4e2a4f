"""Typed values as go-cty has them (https://github.com/zclconf/go-cty).

A value is its type and a raw content: ``None`` is null, ``UNKNOWN`` is unknown, otherwise ``str``,
``bool``, ``Fraction``, a tuple of values (list, set, tuple) or a dict of values in key order
(map, object).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from asyncpipe.model.template import UNKNOWN, Value


class Failed(Exception):  # noqa: N818 -- a signal inside the evaluation that try() catches
    """Packer reports an error for this expression; ``of`` is the type it would have had."""

    def __init__(self, message: str = "", of: Type | None = None) -> None:
        super().__init__(message)
        self.of = of or ANY


@dataclass(frozen=True, slots=True)
class Type:
    """``of``: the element's type, a tuple's types, or an object's (name, type) pairs by name."""

    kind: str
    of: Any = None
    optional: frozenset[str] = frozenset()  # attributes that an object may lack

    @property
    def attributes(self) -> dict[str, Type]:
        """An object's attributes by name."""
        return dict(self.of)


STRING: Final = Type("string")
NUMBER: Final = Type("number")
BOOL: Final = Type("bool")
ANY: Final = Type("any")
PRIMITIVE: Final = (STRING, NUMBER, BOOL)
SEQUENCES: Final = frozenset({"list", "set", "tuple"})
MAPPINGS: Final = frozenset({"map", "object"})


@dataclass(frozen=True, slots=True, eq=False)
class Val:
    """One value; compare with ``equal``."""

    type: Type
    raw: Any
    filled: bool = False  # of an unknown text: it will not be empty

    @property
    def known(self) -> bool:
        """Whether it is known at the top; elements may still be unknown."""
        return self.raw is not UNKNOWN

    def elements(self) -> list[tuple[Val, Val]]:
        """Return keys and values in cty's order.

        Raises:
            Failed: not a collection, or null.
        """
        if isinstance(self.raw, dict):
            return [(Val(STRING, key), value) for key, value in self.raw.items()]
        if isinstance(self.raw, tuple):
            if self.type.kind == "set":
                return [(one, one) for one in self.raw]
            return [(integer(i), one) for i, one in enumerate(self.raw)]
        raise Failed("this value has no elements")


NULL: Final = Val(ANY, None)
TRUE: Final = Val(BOOL, True)  # noqa: FBT003 -- the content of a value
FALSE: Final = Val(BOOL, False)  # noqa: FBT003


def unknown(of: Type = ANY) -> Val:
    """Return the unknown value of a type."""
    return Val(of, UNKNOWN)


def text(content: str) -> Val:
    """Return a string; cty keeps all strings in NFC."""
    return Val(STRING, content if content.isascii() else unicodedata.normalize("NFC", content))


def integer(content: int) -> Val:
    """Return a whole number."""
    if isinstance(content, float):
        return Val(NUMBER, Fraction(repr(content))) if math.isfinite(content) else unknown(NUMBER)
    return Val(NUMBER, Fraction(content))


def tuple_of(values: Iterable[Val]) -> Val:
    """Return a tuple, whose elements keep their types."""
    content = tuple(values)
    return Val(Type("tuple", tuple(one.type for one in content)), content)


def object_of(values: Mapping[str, Val]) -> Val:
    """Return an object, whose attributes keep their types."""
    content = dict(sorted(values.items()))
    return Val(Type("object", tuple((name, one.type) for name, one in content.items())), content)


def wholly_known(value: Val) -> bool:
    """Whether nothing inside is unknown."""
    if isinstance(value.raw, tuple | dict):
        inner = value.raw.values() if isinstance(value.raw, dict) else value.raw
        return all(map(wholly_known, inner))
    return value.known


def equal(a: Val, b: Val) -> bool | None:
    """Compare as ``==`` does: no conversion; None where the answer is unknown."""
    if a.raw is None or b.raw is None:
        if not a.known or not b.known:
            return None
        return a.raw is None and b.raw is None
    if (a.filled and b.raw == "") or (b.filled and a.raw == ""):
        return False
    if not (wholly_known(a) and wholly_known(b)):
        return None
    return a.type == b.type and _same(a, b)


def _same(a: Val, b: Val) -> bool:
    if isinstance(a.raw, dict | tuple) and isinstance(b.raw, dict | tuple):
        if len(a.raw) != len(b.raw):
            return False
        if isinstance(a.raw, dict) and isinstance(b.raw, dict) and a.raw.keys() != b.raw.keys():
            return False
        pairs = zip(a.elements(), b.elements(), strict=True)
        return all(equal(one, two) for (_, one), (_, two) in pairs)
    return bool(a.raw == b.raw)


def plain(value: Val) -> Value:
    """Return a value as the rest of the program knows it: whole numbers are ``int``."""
    raw = value.raw
    if isinstance(raw, dict):
        return {name: plain(one) for name, one in raw.items()}
    if isinstance(raw, tuple):
        return [plain(one) for one in raw]
    if isinstance(raw, Fraction):
        return raw.numerator if raw.denominator == 1 else float(raw)
    result: Value = raw
    return result


def from_json(content: Any) -> Val:
    """Return decoded JSON as objects and tuples."""
    if isinstance(content, dict):
        return object_of({text(name).raw: from_json(one) for name, one in content.items()})
    if isinstance(content, list):
        return tuple_of(map(from_json, content))
    if isinstance(content, str):
        return text(content)
    if isinstance(content, bool) or content is None:
        return NULL if content is None else TRUE if content else FALSE
    if isinstance(content, float):
        return Val(NUMBER, Fraction(repr(content))) if math.isfinite(content) else unknown(NUMBER)
    return Val(NUMBER, Fraction(content))
