"""Type constraints of variables: ``list(object({ name = string, size = optional(number, 10) }))``.

Follows github.com/hashicorp/hcl/v2/ext/typeexpr.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from asyncpipe.template.syntax.nodes import Call, Literal, Node, ObjectOf, Root, TupleOf
from asyncpipe.template.values import cty
from asyncpipe.template.values.convert import collection, convert, map_of
from asyncpipe.template.values.cty import ANY, BOOL, NUMBER, STRING, Failed, Type, Val

if TYPE_CHECKING:
    from asyncpipe.template.evaluate import Evaluator

Fill = Callable[[Val], Val]  # puts the defaults of optional attributes into a value
_WORDS = {"string": STRING, "number": NUMBER, "bool": BOOL, "any": ANY}


def constraint(node: Node, evaluator: Evaluator) -> tuple[Type, Fill]:
    """Read a type; apply the second part of the answer to a value before it is converted.

    Raises:
        Failed: not a type.
    """
    if isinstance(node, Literal) and node.value.raw in _WORDS:  # type = "string", as of old
        return _WORDS[node.value.raw], _nothing
    if isinstance(node, Root) and node.name in _WORDS:
        return _WORDS[node.name], _nothing
    if not isinstance(node, Call) or len(node.arguments) != 1:
        raise Failed("this is not a type")
    inner = node.arguments[0]
    if node.name in {"list", "set", "map"}:
        of, fill = constraint(inner, evaluator)
        return Type(node.name, of), fill if fill is _nothing else lambda value: _each(value, fill)
    if node.name == "tuple" and isinstance(inner, TupleOf):
        parts = [constraint(one, evaluator) for one in inner.items]
        return Type("tuple", tuple(of for of, _ in parts)), _tuple([fill for _, fill in parts])
    if node.name == "object" and isinstance(inner, ObjectOf):
        return _object(inner, evaluator)
    raise Failed("this is not a type")


def _nothing(value: Val) -> Val:
    return value


def _object(node: ObjectOf, evaluator: Evaluator) -> tuple[Type, Fill]:
    types: dict[str, Type] = {}
    optional: set[str] = set()
    defaults: dict[str, Val] = {}
    fills: dict[str, Fill] = {}
    for key, value in node.items:
        name = key.value.raw if isinstance(key, Literal) else None
        if not isinstance(name, str):
            raise Failed("this is not an attribute's name")
        if isinstance(value, Call) and value.name == "optional" and value.arguments:
            optional.add(name)
            types[name], fills[name] = constraint(value.arguments[0], evaluator)
            if len(value.arguments) > 1:
                given = evaluator.typed(value.arguments[1])
                defaults[name] = convert(given, types[name])
        else:
            types[name], fills[name] = constraint(value, evaluator)
    of = Type("object", tuple(sorted(types.items())), frozenset(optional))

    def fill(value: Val) -> Val:
        if value.type.kind not in cty.MAPPINGS or not isinstance(value.raw, dict):
            return value
        found = {name: fills.get(name, _nothing)(one) for name, one in value.raw.items()}
        for name, default in defaults.items():
            if name not in found or found[name].raw is None:
                found[name] = fills[name](default)
        return _again(value, found)

    return of, fill


def _tuple(fills: list[Fill]) -> Fill:
    def fill(value: Val) -> Val:
        if value.type.kind != "tuple" or not isinstance(value.raw, tuple):
            return value
        padded = [*fills, *[_nothing] * len(value.raw)]
        return cty.tuple_of(one_fill(one) for one_fill, one in zip(padded, value.raw, strict=False))

    return fill


def _each(value: Val, fill: Fill) -> Val:
    if isinstance(value.raw, dict):
        return _again(value, {name: fill(one) for name, one in value.raw.items()})
    if isinstance(value.raw, tuple):
        return _again(value, [fill(one) for one in value.raw])
    return value


def _again(value: Val, inner: dict[str, Val] | list[Val]) -> Val:
    """The same kind of value with other elements; what has no common type gets none."""
    kind = value.type.kind
    try:
        if isinstance(inner, dict):
            return map_of(inner, value.type.of) if kind == "map" else cty.object_of(inner)
        if kind in {"list", "set"}:
            return collection(kind, inner, value.type.of)
    except Failed:
        return cty.object_of(inner) if isinstance(inner, dict) else cty.tuple_of(inner)
    return cty.tuple_of(inner)
