"""What HCL's operators, indexes and conditions do with values that are there."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final

from asyncpipe.template.values import cty, number
from asyncpipe.template.values.convert import convert, unify
from asyncpipe.template.values.cty import ANY, BOOL, NUMBER, STRING, Failed, Type, Val
from asyncpipe.template.values.number import NotKnown

MAX_TEXT_CHARS: Final = 1_000_000
MAX_ITEMS: Final = 20_000
_ORDERS: Final[dict[str, Callable[[Fraction, Fraction], bool]]] = {
    "<": Fraction.__lt__,
    ">": Fraction.__gt__,
    "<=": Fraction.__le__,
    ">=": Fraction.__ge__,
}
_ARITHMETIC: Final[dict[str, Callable[[Fraction, Fraction], Fraction]]] = {
    "+": lambda a, b: number.rounded(a + b),
    "-": lambda a, b: number.rounded(a - b),
    "*": lambda a, b: number.rounded(a * b),
    "/": lambda a, b: number.rounded(a / b),
    "%": number.remainder,
}


def common_type(yes: Val, no: Val) -> Type:
    """The type that both results of a condition get; that of the other where one is null.

    Raises:
        Failed: the types have no common one.
    """
    for one, other in ((yes, no), (no, yes)):
        if one.raw is None and one.type == ANY:
            return other.type
    found = ANY if ANY in {yes.type, no.type} else unify([yes.type, no.type])
    if found is None:
        raise Failed("both results of a condition must have one type")
    return found


def mapping(found: list[tuple[str, Val]], *, grouped: bool) -> Val:
    """Return the object that a loop yields; ``grouped``: each key has a tuple of values."""
    groups: dict[str, list[Val]] = {}
    for name, value in found:
        groups.setdefault(name, []).append(value)
    if grouped:
        return cty.object_of({name: cty.tuple_of(group) for name, group in groups.items()})
    if len(groups) != len(found):
        raise Failed("two items of a loop have the same key")
    return cty.object_of(dict(found))


def converted(value: Val, to: Type, of: Type) -> Val:
    """Convert, with a failure that has the type ``of``."""
    try:
        return convert(value, to)
    except Failed as error:
        raise Failed(str(error), of) from None


def operation(
    operator: str, left: tuple[Val, Failed | None], right: tuple[Val, Failed | None]
) -> Val:
    """Apply an operator to two operands, each a value and the error it has.

    Raises:
        Failed: Packer would report an error; ``&&`` and ``||`` forgive one that does not matter.
        NotKnown: infinite, or too large for us.
    """
    of = NUMBER if operator in _ARITHMETIC else BOOL
    if operator in {"==", "!="}:
        _raise(left[1] or right[1], BOOL)
        same = cty.equal(left[0], right[0])
        return cty.unknown(BOOL) if same is None else Val(BOOL, same == (operator == "=="))
    wanted = BOOL if operator in {"&&", "||"} else NUMBER
    a, b = converted(left[0], wanted, of), converted(right[0], wanted, of)
    for one, error in ((a, left[1]), (b, right[1])):
        if wanted == BOOL and error is None and one.raw is (operator == "||"):
            return one
    _raise(left[1] or right[1], of)
    if a.raw is None or b.raw is None:
        raise Failed("an operand is null", of)
    if not (a.known and b.known):
        return cty.unknown(of)
    return Val(of, operator == "&&" if wanted == BOOL else _calculated(operator, a.raw, b.raw))


def _calculated(operator: str, a: Fraction, b: Fraction) -> Fraction | bool:
    if operator in _ORDERS:
        return _ORDERS[operator](a, b)
    if operator == "/" and b == 0:
        if a == 0:
            raise Failed("zero divided by zero", NUMBER)
        raise NotKnown  # infinity
    return _ARITHMETIC[operator](a, b)


def _raise(error: Failed | None, of: Type) -> None:
    if error is not None:
        raise Failed(str(error), of)


def element(base: Val, key: Val, *, is_name: bool) -> Val:
    """``base[key]`` or, for ``is_name``, ``base.key``, which only maps and objects have."""
    if base.raw is None or key.raw is None:
        raise Failed("null has no elements")
    kind = base.type.kind
    if not base.known or not key.known:
        return cty.unknown(base.type.of if kind in {"list", "map"} else ANY)
    if isinstance(base.raw, dict):
        name = convert(key, STRING).raw
        if name not in base.raw:
            raise Failed(f"there is no element {name!r}")
        found: Val = base.raw[name]
        return found
    if kind not in {"list", "tuple"} or is_name:
        raise Failed("this value has no such element")
    position = convert(key, NUMBER).raw
    if position.denominator != 1 or not 0 <= position < len(base.raw):
        raise Failed("there is no such element")
    result: Val = base.raw[int(position)]
    return result


def size_of(value: Val) -> int:
    """Count the values inside; stops soon after the bound, whatever is shared inside."""
    pending, count = [value], 0
    while pending and count <= MAX_ITEMS:
        raw = pending.pop().raw
        count += 1 + (len(raw) // 256 if isinstance(raw, str) else 0)
        if isinstance(raw, dict | tuple):
            pending.extend(raw.values() if isinstance(raw, dict) else raw)
    return count


def within_bounds(value: Val) -> bool:
    """Whether a result is small enough to go on with."""
    if isinstance(value.raw, str):
        return len(value.raw) <= MAX_TEXT_CHARS
    return not isinstance(value.raw, dict | tuple) or len(value.raw) <= MAX_ITEMS
