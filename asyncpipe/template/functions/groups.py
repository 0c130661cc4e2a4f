"""Functions of lists, sets, maps and objects, and of numbers."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

from asyncpipe.template.functions.spec import (
    DOUBLE,
    INT,
    STRINGS,
    Function,
    items,
    rebuilt,
)
from asyncpipe.template.functions.text import clusters
from asyncpipe.template.values import cty, number
from asyncpipe.template.values.convert import collection, convert, key_of, map_of, unify
from asyncpipe.template.values.cty import ANY, BOOL, NUMBER, STRING, Failed, Type, Val
from asyncpipe.template.values.number import NotKnown

_MAX_RANGE: Final = 1024  # cty's own bound
_MAX_ITEMS: Final = 20_000
_LIST = Type("list", ANY)
_SET = Type("set", ANY)


def _chunks(source: Val, size: int) -> Val:
    if size < 0:
        raise Failed("the size is negative")
    found = items(source)
    step = size or max(len(found), 1)
    parts = (collection("list", found[i : i + step]) for i in range(0, len(found), step))
    return collection("list", parts, source.type)


def _coalesce(*values: Val) -> Val:
    common = unify([one.type for one in values])
    if common is None:
        raise Failed("the arguments have different types")
    for value in values:
        found = convert(value, common)
        if not found.known:
            raise NotKnown
        if found.raw is not None and not (common == STRING and found.raw == ""):
            return found
    raise Failed("all arguments are null or empty")


def _coalescelist(*lists: Val) -> Val:
    if any(one.type.kind not in {"list", "tuple"} for one in lists):
        raise Failed("lists are required")
    for one in lists:
        if one.raw:
            return one
    raise Failed("all lists are empty")


def _compact(strings: Val) -> list[str]:
    return [one.raw for one in items(strings) if one.raw]


def _concat(*lists: Val) -> Val:
    if not lists:
        raise Failed("at least one list is required")
    parts = [one for each in lists for one in items(each)]
    common = (
        unify([one.type for one in lists])
        if all(one.type.kind == "list" for one in lists)
        else None
    )
    return collection("list", parts, common.of) if common else cty.tuple_of(parts)


def _contains(source: Val, value: Val) -> bool:
    return any(cty.equal(one, value) for one in items(source, "list", "tuple", "set"))


def _distinct(source: Val) -> Val:
    keep: list[Val] = []
    if len(source.raw) > 2000:
        raise NotKnown
    for one in items(source):
        if not any(cty.equal(one, other) for other in keep):
            keep.append(one)
    return collection("list", keep, source.type.of)


def _at(source: Val, index: int) -> Val:
    if index < 0 or not (found := items(source)):
        raise Failed("there is no such element")
    return found[index % len(found)]


def _flatten(source: Val) -> Val:
    return cty.tuple_of(_flat(source, 0))


def _flat(source: Val, level: int) -> list[Val]:
    found: list[Val] = []
    for one in items(source, "list", "tuple", "set"):
        if not one.known or level > 50 or len(found) > _MAX_ITEMS:
            raise NotKnown
        nested = one.type.kind in cty.SEQUENCES and one.raw is not None
        found += _flat(one, level + 1) if nested else [one]
    return found


def _index(source: Val, value: Val) -> int:
    for i, one in enumerate(items(source)):
        if cty.equal(one, value):
            return i
    raise Failed("the list does not have it")


def _keys(source: Val) -> Val:
    if source.type.kind not in cty.MAPPINGS:
        raise Failed("a map is required")
    names = [key for key, _ in source.elements()]
    return collection("list", names, STRING) if source.type.kind == "map" else cty.tuple_of(names)


def _length(value: Val) -> int:
    if value.type == STRING:
        return len(clusters(value.raw))
    return len(value.elements())


def _lookup(source: Val, key: str, default: Val) -> Val:
    if source.type.kind == "map":
        default = convert(default, source.type.of)
    elif source.type.kind != "object":
        raise Failed("a map is required")
    found: Val = source.raw.get(key, default)
    return found


def _merge(*maps: Val) -> Val:
    types = [one.type for one in maps]
    for one in types:
        if one.kind not in cty.MAPPINGS and one != ANY:
            raise Failed("maps are required")
    found = {key.raw: value for one in maps if one.raw is not None for key, value in one.elements()}
    same = bool(types) and all(one == types[0] for one in types)
    return map_of(found, types[0].of) if same and types[0].kind == "map" else cty.object_of(found)


def _range(*bounds: Fraction) -> Val:
    if not 1 <= len(bounds) <= 3:
        raise Failed("one, two or three numbers are required")
    start, end = (Fraction(0), bounds[0]) if len(bounds) == 1 else bounds[:2]
    step = bounds[2] if len(bounds) == 3 else Fraction(-1 if end < start else 1)
    if (end - start) * step < 0 or (step == 0 and start != end):
        raise Failed("the step does not lead to the end")
    count = math.ceil((end - start) / step) if step else 0
    if count > _MAX_RANGE:
        raise Failed("more than 1024 numbers")
    found = (Val(NUMBER, number.rounded(start + step * i)) for i in range(count))
    return collection("list", found, NUMBER)


def _reverse(source: Val) -> Val:
    return rebuilt(source, reversed(items(source, "list", "tuple", "set")))


def _setproduct(*sources: Val) -> Val:
    if len(sources) < 2:
        raise Failed("at least two arguments are required")
    columns, types = [], []
    for one in sources:
        found = items(one, "list", "tuple", "set")
        of = unify([v.type for v in found]) if one.type.kind == "tuple" and found else None
        if one.type.kind == "tuple" and found and of is None:
            raise Failed("the elements have no common type")
        types.append(of or (ANY if one.type.kind == "tuple" else one.type.of))
        columns.append(found)
    if math.prod(map(len, columns)) > _MAX_ITEMS:
        raise NotKnown
    kind = "list" if all(one.type.kind != "set" for one in sources) else "set"
    rows = itertools.product(*columns)
    found_rows = [
        cty.tuple_of(convert(v, of) for v, of in zip(row, types, strict=True)) for row in rows
    ]
    return collection(kind, found_rows, Type("tuple", tuple(types)))


def _sets(keep: Callable[[list[list[str]]], set[str]]) -> Callable[..., Val]:
    def call(*sets: Val) -> Val:
        types = [one.type.of for one in sets if one.raw or one.type.of != ANY]
        common = (unify(types) or None) if types else ANY
        if common is None:
            raise Failed("the sets have no common type")
        converted = [convert(one, Type("set", common)) for one in sets]
        names = [[key_of(one) for one in items(each, "set")] for each in converted]
        wanted, seen = keep(names), {}
        for each in converted:
            seen.update({key_of(one): one for one in items(each, "set")})
        return collection("set", [one for key, one in seen.items() if key in wanted], common)

    return call


def _slice(source: Val, start: int, end: int) -> Val:
    found = items(source)
    if not 0 <= start <= end <= len(found):
        raise Failed("there is no such part of the list")
    return rebuilt(source, found[start:end])


def _values(source: Val) -> Val:
    if source.type.kind not in cty.MAPPINGS:
        raise Failed("a map is required")
    found = [value for _, value in source.elements()]
    is_map = source.type.kind == "map"
    return collection("list", found, source.type.of) if is_map else cty.tuple_of(found)


def _zipmap(keys: Val, values: Val) -> Val:
    names, found = [one.raw for one in items(keys)], items(values)
    if len(names) != len(found) or None in names:
        raise Failed("as many values as keys are required")
    pairs = dict(zip(names, found, strict=True))
    return map_of(pairs, values.type.of) if values.type.kind == "list" else cty.object_of(pairs)


def _sum(source: Val) -> Fraction:
    found = items(source, "list", "tuple", "set")
    if not found or any(one.raw is None for one in found):
        raise Failed("numbers are required")
    total = Fraction(0)
    for one in found:
        total = number.rounded(total + convert(one, NUMBER).raw)
    return total


def _extreme(pick: Callable[..., Fraction]) -> Callable[..., Fraction]:
    def call(*numbers: Fraction) -> Fraction:
        if not numbers:
            raise Failed("at least one number is required")
        return pick(numbers)

    return call


def _log(value: float, base: float) -> Fraction:
    try:
        return number.double(math.log(value) / math.log(base))
    except (ValueError, ArithmeticError):
        raise NotKnown from None


def _pow(base: float, power: float) -> Fraction:
    try:
        return number.double(math.pow(base, power))
    except (ValueError, ArithmeticError):
        raise NotKnown from None


_DIGITS: Final = string.digits + string.ascii_lowercase + string.ascii_uppercase


def _parseint(source: Val, base: int) -> int:
    if source.type != STRING or not 2 <= base <= 62:
        raise Failed("a string and a base from 2 to 62 are required")
    text = source.raw[1:] if source.raw[:1] in {"-", "+"} else source.raw
    text = text.lower() if base <= 36 else text
    places = [_DIGITS.find(one) for one in text]
    if not places or not all(0 <= one < base for one in places):
        raise Failed("this is not a number of that base")
    if len(places) > 1000:
        raise NotKnown
    total = 0
    for one in places:
        total = total * base + one
    return -total if source.raw.startswith("-") else total


def _any_of(values: Sequence[Val]) -> bool:
    return any(one.raw is True for one in values)


def _on(
    call: Callable[..., object], *takes: Type, returns: Type = ANY, shallow: bool = True
) -> Function:
    return Function(call=call, takes=takes, returns=returns, shallow=shallow)


FUNCTIONS: Final = {
    "abs": _on(abs, NUMBER, returns=NUMBER),
    "alltrue": _on(
        lambda found: all(one.raw is True for one in items(found)),
        Type("list", BOOL),
        returns=BOOL,
        shallow=False,
    ),
    "anytrue": _on(
        lambda found: _any_of(items(found)), Type("list", BOOL), returns=BOOL, shallow=False
    ),
    "ceil": _on(math.ceil, NUMBER, returns=NUMBER),
    "chunklist": _on(_chunks, _LIST, INT),
    "coalesce": Function(call=_coalesce, rest=ANY, shallow=True, nulls=True),
    "coalescelist": Function(call=_coalescelist, rest=ANY, shallow=True, nulls=True),
    "compact": _on(_compact, STRINGS, returns=STRINGS, shallow=False),
    "concat": Function(call=_concat, rest=ANY, shallow=True),
    "contains": _on(_contains, ANY, ANY, returns=BOOL, shallow=False),
    "distinct": _on(_distinct, _LIST, shallow=False),
    "element": _on(_at, ANY, INT),
    "flatten": _on(_flatten, ANY),
    "floor": _on(math.floor, NUMBER, returns=NUMBER),
    "index": _on(_index, ANY, ANY, returns=NUMBER, shallow=False),
    "keys": _on(_keys, ANY),
    "length": _on(_length, ANY, returns=NUMBER),
    "log": _on(_log, DOUBLE, DOUBLE, returns=NUMBER),
    "lookup": _on(_lookup, ANY, STRING, ANY),
    "max": Function(call=_extreme(max), rest=NUMBER, returns=NUMBER),
    "merge": Function(call=_merge, rest=ANY, shallow=True, nulls=True),
    "min": Function(call=_extreme(min), rest=NUMBER, returns=NUMBER),
    "parseint": _on(_parseint, ANY, INT, returns=NUMBER),
    "pow": _on(_pow, DOUBLE, DOUBLE, returns=NUMBER),
    "range": Function(call=_range, rest=NUMBER, returns=Type("list", NUMBER)),
    "reverse": _on(_reverse, ANY),
    "setintersection": Function(
        call=_sets(lambda names: set(names[0]).intersection(*names)), takes=(_SET,), rest=_SET
    ),
    "setproduct": Function(call=_setproduct, rest=ANY, shallow=True),
    "setunion": Function(call=_sets(lambda names: set().union(*names)), takes=(_SET,), rest=_SET),
    "signum": _on(lambda value: (value > 0) - (value < 0), INT, returns=NUMBER),
    "slice": _on(_slice, ANY, INT, INT),
    "sum": _on(_sum, ANY, returns=NUMBER, shallow=False),
    "values": _on(_values, ANY),
    "zipmap": _on(_zipmap, STRINGS, ANY),
}
