"""Syntax tree + names -> value. What cannot be known before the build is UNKNOWN, never an error.

Work and results are bounded, so that a template cannot make the evaluation run away.
"""

from __future__ import annotations

import math
import operator as op
from collections.abc import Callable, Mapping
from typing import Any, Final

from asyncpipe.model.template import UNKNOWN, Value
from asyncpipe.template.functions import FUNCTIONS, Failed, as_text
from asyncpipe.template.nodes import (
    Binary,
    Call,
    Conditional,
    For,
    Index,
    Literal,
    Node,
    ObjectOf,
    Root,
    Splat,
    Text,
    TupleOf,
    Unary,
)

HOLE: Final = "\ufffc"  # stands for an unknown part where a partial text is asked for
MAX_STEPS: Final = 400_000  # of one template, about half a second
MAX_TEXT_CHARS: Final = 1_000_000
MAX_ITEMS: Final = 20_000

Scope = Mapping[str, Value]
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": op.lt,
    ">": op.gt,
    "<=": op.le,
    ">=": op.ge,
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": op.add,
    "-": op.sub,
    "*": op.mul,
    "/": op.truediv,
    "%": op.mod,
}


class Evaluator:
    """Evaluates expressions against ``names`` (``var``, ``path`` ...) and lazily found locals.

    ``local`` returns the value of one local; ``files`` the functions that read files.
    """

    def __init__(
        self,
        names: Scope,
        local: Callable[[str], Value] | None = None,
        functions: Mapping[str, Callable[..., Value]] | None = None,
    ) -> None:
        self._names = names
        self._local = local
        self._functions = functions or {}
        self._steps = 0
        self._holes = False
        self._rules: dict[type[Node], Callable[[Any, Scope], Value]] = {
            Literal: lambda node, _: node.value,
            Text: self._text,
            Root: lambda node, scope: self._root(node.name, scope),
            Index: self._index,
            Call: self._call,
            Conditional: self._conditional,
            TupleOf: lambda node, scope: [self._eval(item, scope) for item in node.items],
            ObjectOf: self._object,
            Binary: self._binary,
            Unary: lambda node, scope: _unary(node.operator, self._eval(node.operand, scope)),
            Splat: self._splat,
            For: self._for,
        }

    @property
    def exhausted(self) -> bool:
        """Whether the bound on work was reached: everything after it is unknown."""
        return self._steps > MAX_STEPS

    def value(self, node: Node, scope: Scope | None = None) -> Value:
        """Return the value of an expression, UNKNOWN for whatever goes wrong."""
        try:
            value = self._eval(node, scope or {})
            size = _size(value)
        except (Failed, RecursionError):
            return UNKNOWN
        self._steps += size
        return value if size <= MAX_ITEMS else UNKNOWN

    def partial_text(self, node: Node) -> str | None:
        """Return a string template with HOLE for its unknown parts; None if nothing is known."""
        self._holes = True
        try:
            value = self.value(node)
        finally:
            self._holes = False
        return value if isinstance(value, str) and value.strip(HOLE) else None

    def _eval(self, node: Node, scope: Scope) -> Value:
        self._steps += 1
        if self._steps > MAX_STEPS:
            return UNKNOWN
        rule = self._rules.get(type(node))
        return UNKNOWN if rule is None else rule(node, scope)

    def _text(self, node: Text, scope: Scope) -> Value:
        values = [self._part(part, scope) for part in node.parts]
        if len(values) == 1 and not self._holes:
            return values[0]  # "${x}" keeps the type of x
        if any(value is UNKNOWN for value in values):
            if not self._holes:
                return UNKNOWN
            values = [HOLE if value is UNKNOWN else value for value in values]
        return _bounded("".join(map(as_text, values)))

    def _part(self, part: Node, scope: Scope) -> Value:
        if not self._holes:
            return self._eval(part, scope)
        try:
            return self._eval(part, scope)
        except Failed:
            return UNKNOWN

    def _root(self, name: str, scope: Scope) -> Value:
        if name in scope:
            return scope[name]
        return self._names.get(name, UNKNOWN)

    def _index(self, node: Index, scope: Scope) -> Value:
        key = self._eval(node.key, scope)
        base = node.base
        if isinstance(base, Root) and base.name in {"local", "data"} and base.name not in scope:
            if base.name == "local" and self._local is not None and isinstance(key, str):
                return self._local(key)
            return UNKNOWN
        return _element(self._eval(base, scope), key)

    def _call(self, node: Call, scope: Scope) -> Value:
        if node.name in {"try", "can"}:
            return self._try(node, scope)
        arguments = [self._eval(argument, scope) for argument in node.arguments]
        if node.expand and arguments:
            last = arguments.pop()
            if not isinstance(last, list):
                return UNKNOWN
            arguments += last
        function = self._functions.get(node.name) or FUNCTIONS.get(node.name)
        if function is None or any(argument is UNKNOWN for argument in arguments):
            return UNKNOWN
        try:
            return _bounded(function(*arguments))
        except (TypeError, ValueError, IndexError, KeyError, ArithmeticError, AttributeError):
            raise Failed from None

    def _try(self, node: Call, scope: Scope) -> Value:
        for argument in node.arguments:
            try:
                value = self._eval(argument, scope)
            except Failed:
                continue
            if node.name == "can":
                return UNKNOWN if value is UNKNOWN else True
            return value
        if node.name == "can":
            return False
        raise Failed

    def _conditional(self, node: Conditional, scope: Scope) -> Value:
        test = _truth(self._eval(node.test, scope))
        if test is None:
            return UNKNOWN
        return self._eval(node.yes if test else node.no, scope)

    def _object(self, node: ObjectOf, scope: Scope) -> Value:
        result: dict[str, Value] = {}
        for key_node, value_node in node.items:
            key = self._eval(key_node, scope)
            if key is UNKNOWN:
                return UNKNOWN
            result[as_text(key)] = self._eval(value_node, scope)
        return result

    def _binary(self, node: Binary, scope: Scope) -> Value:
        left = self._eval(node.left, scope)
        if node.operator in {"&&", "||"}:
            return self._logic(node, left, scope)
        right = self._eval(node.right, scope)
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if node.operator in {"==", "!="}:
            return _same(left, right) == (node.operator == "==")
        a, b = _as_number(left), _as_number(right)
        if node.operator in _COMPARE:
            return _COMPARE[node.operator](a, b)
        try:
            result = _ARITHMETIC[node.operator](a, b)
        except (ArithmeticError, KeyError):
            raise Failed from None
        return int(result) if result == int(result) else result

    def _logic(self, node: Binary, first: Value, scope: Scope) -> Value:
        decisive = node.operator == "||"
        left = _truth(first)
        if left is decisive:
            return decisive
        right = _truth(self._eval(node.right, scope))
        if right is decisive:
            return decisive
        return UNKNOWN if left is None or right is None else not decisive

    def _splat(self, node: Splat, scope: Scope) -> Value:
        base = self._eval(node.base, scope)
        if base is UNKNOWN:
            return UNKNOWN
        items = base if isinstance(base, list) else [] if base is None else [base]
        results: list[Value] = []
        for item in items[:MAX_ITEMS]:
            self._steps += 1
            value = item
            for key in node.keys:
                value = _element(value, self._eval(key, scope))
            results.append(value)
        return results

    def _for(self, node: For, scope: Scope) -> Value:
        collection = self._eval(node.collection, scope)
        if isinstance(collection, dict):
            pairs: list[tuple[Value, Value]] = [(key, collection[key]) for key in collection]
        elif isinstance(collection, list):
            pairs = list(enumerate(collection))
        else:
            return UNKNOWN
        items: list[Value] = []
        mapping: dict[str, Value] = {}
        for key, value in pairs[:MAX_ITEMS]:
            inner = {**scope, node.names[-1]: value}
            if len(node.names) > 1:
                inner[node.names[0]] = key
            chosen = True if node.test is None else _truth(self._eval(node.test, inner))
            if chosen is None:
                return UNKNOWN
            if chosen:
                self._add(node, inner, items, mapping)
        return items if node.key is None else mapping

    def _add(self, node: For, scope: Scope, items: list[Value], mapping: dict[str, Value]) -> None:
        value = self._eval(node.value, scope)
        if node.key is None:
            items.append(value)
            return
        key = self._eval(node.key, scope)
        if key is UNKNOWN:
            raise Failed
        if not node.grouped:
            mapping[as_text(key)] = value
            return
        group = mapping.setdefault(as_text(key), [])
        assert isinstance(group, list)
        group.append(value)


def _element(base: Value, key: Value) -> Value:
    if base is UNKNOWN or key is UNKNOWN:
        return UNKNOWN
    if isinstance(base, dict):
        name = as_text(key)
        if name not in base:
            raise Failed
        return base[name]
    if isinstance(base, list):
        number = _as_number(key)
        if number != int(number) or not 0 <= number < len(base):
            raise Failed
        return base[int(number)]
    raise Failed


def _truth(value: Value) -> bool | None:
    if value is UNKNOWN:
        return None
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise Failed


def _same(left: Value, right: Value) -> bool:
    comparable = type(left) is type(right) or (_is_number(left) and _is_number(right))
    return comparable and left == right


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_number(value: Value) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number: float = value
    elif isinstance(value, str):
        try:
            number = int(value[:40])
        except ValueError:
            try:
                number = float(value[:40])
            except ValueError:
                raise Failed from None
    else:
        raise Failed
    if abs(number) > 1e300 or math.isnan(number):
        raise Failed
    return number


def _unary(operator: str, value: Value) -> Value:
    if value is UNKNOWN:
        return UNKNOWN
    if operator == "!":
        return not _truth(value)
    number = -_as_number(value)
    return int(number) if number == int(number) else number


def _size(value: Value) -> int:
    """Count the values inside; stops soon after the bound, whatever is shared inside."""
    pending, count = [value], 0
    while pending and count <= MAX_ITEMS:
        inner = pending.pop()
        count += 1
        if isinstance(inner, dict):
            pending.extend(inner.values())
        elif isinstance(inner, list):
            pending.extend(inner)
    return count


def _bounded(value: Value) -> Value:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
        return UNKNOWN
    if isinstance(value, list | dict) and len(value) > MAX_ITEMS:
        return UNKNOWN
    return value
