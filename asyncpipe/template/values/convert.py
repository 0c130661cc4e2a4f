"""Conversion and unification of cty's types, and the collections whose elements have one type.

Follows github.com/zclconf/go-cty/cty/convert, the unsafe conversions, which HCL uses throughout.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from asyncpipe.model.template import UNKNOWN
from asyncpipe.template.values import number
from asyncpipe.template.values.cty import (
    ANY,
    FALSE,
    MAPPINGS,
    NUMBER,
    PRIMITIVE,
    SEQUENCES,
    STRING,
    TRUE,
    Failed,
    Type,
    Val,
    object_of,
    text,
    tuple_of,
)


def collection(kind: str, values: Iterable[Val], element: Type = ANY) -> Val:
    """Return a list or set of values that have, or are converted to, one type.

    Raises:
        Failed: they have no common type.
    """
    content = tuple(values)
    if content:
        element = _common([one.type for one in content])
        content = tuple(convert(one, element) for one in content)
    return Val(Type(kind, element), _unique(content, element) if kind == "set" else content)


def map_of(values: Mapping[str, Val], element: Type = ANY) -> Val:
    """Return a map of values that have, or are converted to, one type; raises likewise."""
    if values:
        element = _common([one.type for one in values.values()])
    content = {name: convert(one, element) for name, one in sorted(values.items())}
    return Val(Type("map", element), content)


def _common(types: Sequence[Type]) -> Type:
    if all(one == types[0] for one in types):
        return types[0]
    common = unify(types)
    if common is None:
        raise Failed("the elements have no common type")
    return common


def _unique(values: Sequence[Val], element: Type) -> tuple[Val, ...]:
    keep: dict[str, Val] = {}
    for one in values:
        keep.setdefault(key_of(one), one)
    if element == NUMBER:
        return tuple(sorted(keep.values(), key=lambda one: (one.raw is None, one.raw)))
    if element == STRING:
        return tuple(sorted(keep.values(), key=lambda one: (one.raw is None, str(one.raw))))
    return tuple(keep[name] for name in sorted(keep))


def key_of(value: Val) -> str:
    """How cty writes a value to order and compare the elements of a set."""
    raw = value.raw
    if raw is UNKNOWN or raw is None:
        return "~" if raw is None else f"?{id(value)}"
    if isinstance(raw, str):
        return json.dumps(raw, ensure_ascii=False)
    if isinstance(raw, bool):
        return "T" if raw else "F"
    if isinstance(raw, Fraction):
        return number.text(raw)
    if value.type.kind == "map":
        return "{" + "".join(f"{json.dumps(k)}:{key_of(v)};" for k, v in raw.items()) + "}"
    inner = "".join(f"{key_of(one)};" for _, one in value.elements())
    return f"[{inner}]" if value.type.kind in {"list", "set"} else f"<{inner}>"


def convert(value: Val, to: Type) -> Val:
    """Convert a value, deeply.

    Raises:
        Failed: there is no such conversion, or not of this value.
        NotKnown: a number that is too large for us.
    """
    if to in {value.type, ANY}:
        return value
    if not convertible(value.type, to):
        raise Failed(f"a value of another type is required: {to.kind}")
    if value.raw is None or not value.known:
        return Val(settled(value.type, to), value.raw)
    if to in PRIMITIVE or to.kind == "object":
        return _primitive(value, to) if to in PRIMITIVE else _to_object(value, to)
    if to.kind == "tuple":
        return tuple_of(convert(one, of) for one, of in zip(value.raw, to.of, strict=True))
    return _to_collection(value, to)


def _to_collection(value: Val, to: Type) -> Val:
    inner = _element_type(value.type, to)
    found = [(key.raw, convert(one, inner)) for key, one in value.elements()]
    if to.kind == "map":
        return map_of(dict(found), settled(ANY, inner))
    return collection(to.kind, [one for _, one in found], settled(ANY, inner))


def _to_object(value: Val, to: Type) -> Val:
    found: dict[str, Val] = {}
    for name, of in to.of:
        if name in value.raw:
            found[name] = convert(value.raw[name], of)
        elif name in to.optional:
            found[name] = Val(settled(ANY, of), None)
        else:
            raise Failed(f"attribute {name!r} is required")
    return object_of(found)


def _element_type(source: Type, to: Type) -> Type:
    """The type that elements get: of ``list(any)`` what the elements have in common."""
    inner: Type = to.of
    types = _inner_types(source)
    return (unify(types) or ANY) if inner == ANY and types else inner


def _inner_types(of: Type) -> list[Type]:
    if of.kind == "tuple":
        return list(of.of)
    return list(of.attributes.values()) if of.kind == "object" else [of.of]


def settled(source: Type, to: Type) -> Type:
    """Return ``to`` without its optional marks; where it says ``any``, the source's type."""
    if to == ANY:
        return source
    if to.kind in {"list", "set", "map"}:
        inner = source.of if source.kind == to.kind else ANY
        return Type(to.kind, settled(inner, to.of))
    if to.kind == "tuple":
        return Type("tuple", tuple(settled(ANY, one) for one in to.of))
    if to.kind == "object":
        return Type("object", tuple((name, settled(ANY, one)) for name, one in to.of))
    return to


def _primitive(value: Val, to: Type) -> Val:
    raw = value.raw
    if to == STRING:
        return text(number.text(raw) if isinstance(raw, Fraction) else "true" if raw else "false")
    if to == NUMBER:
        parsed = number.parse(raw)
        if parsed is None:
            raise Failed("a number is required")
        return Val(NUMBER, parsed)
    if raw not in {"true", "1", "false", "0"}:
        raise Failed("a bool is required")
    return TRUE if raw in {"true", "1"} else FALSE


def convertible(source: Type, to: Type) -> bool:
    """Whether values of one type may convert to another."""
    if ANY in {source, to} or source == to:
        return True
    if source in PRIMITIVE or to in PRIMITIVE:
        return source in PRIMITIVE and to in PRIMITIVE and STRING in {source, to}
    if to.kind == "object":
        return source.kind in MAPPINGS and _fits_object(source, to)
    if to.kind == "tuple":
        fits = source.kind == "tuple" and len(source.of) == len(to.of)
        return fits and all(map(convertible, source.of, to.of))
    same_kind = source.kind in (MAPPINGS if to.kind == "map" else SEQUENCES)
    return same_kind and _fits_collection(_inner_types(source), to.of)


def _fits_collection(types: Sequence[Type], inner: Type) -> bool:
    if inner == ANY and types:
        common = unify(types)
        if common is None or (common == ANY and any(one != ANY for one in types)):
            return False
        inner = common
    return all(convertible(one, inner) for one in types)


def _fits_object(source: Type, to: Type) -> bool:
    if source.kind == "map":
        return all(convertible(source.of, of) or name in to.optional for name, of in to.of)
    has = source.attributes
    return all(
        convertible(has[name], of) if name in has else name in to.optional for name, of in to.of
    )


def unify(types: Sequence[Type]) -> Type | None:
    """Return the one type that values of all these types convert to; None if they share none."""
    if not types:
        return None
    kinds = {one.kind for one in types}
    rest = kinds - {"any"}
    for kind, loose in (("map", "object"), ("list", "tuple"), ("set", "set")):
        if kind in kinds and rest <= {kind, loose}:
            found = _unify_collections(kind, types, dynamic="any" in kinds)
            if found is not None or rest == {kind}:
                return found
    if rest in ({"object"}, {"tuple"}):
        return ANY if "any" in kinds else _unify_structures(types)
    if {"object", "tuple"} <= kinds:
        return None
    ordered = sorted(types, key=lambda one: (one == ANY, one != STRING))
    return next((want for want in ordered if all(convertible(one, want) for one in types)), None)


def _unify_collections(kind: str, types: Sequence[Type], *, dynamic: bool) -> Type | None:
    if dynamic:
        return ANY if {one.kind for one in types} == {kind, "any"} else None
    loose = [inner for one in types if one.kind != kind for inner in _inner_types(one)]
    inner = [one.of for one in types if one.kind == kind]
    if loose:
        common = unify(loose)
        if common is None:
            return None
        inner.append(common)
    common = unify(inner)
    return None if common is None else Type(kind, common)


def _unify_structures(types: Sequence[Type]) -> Type | None:
    first = types[0]
    is_object = first.kind == "object"
    shapes = {tuple(one.attributes) if is_object else len(one.of) for one in types}
    if len(shapes) > 1:
        common = unify([inner for one in types for inner in _inner_types(one)])
        return None if common is None else Type("map" if is_object else "list", common)
    columns = zip(*map(_inner_types, types), strict=True)
    inner = [unify(column) for column in columns]
    if any(one is None for one in inner):
        return None
    return Type(
        first.kind, tuple(zip(first.attributes, inner, strict=True)) if is_object else tuple(inner)
    )
