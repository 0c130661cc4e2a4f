"""``${{ }}`` as GitHub evaluates it, as far as our workflows use it.

https://docs.github.com/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_WHOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>==|!=|&&|\|\||[!().,\[\]]))"
)
Contexts = Mapping[str, Any]


def value_of(text: object, contexts: Contexts) -> Any:
    """Evaluate a YAML value: one expression keeps its type, several make a text."""
    if not isinstance(text, str):
        return text
    whole = _WHOLE.fullmatch(text.strip())
    if whole and "${{" not in whole[1]:
        return evaluate(whole[1], contexts)
    return _WHOLE.sub(lambda found: as_text(evaluate(found[1], contexts)), text)


def evaluate(expression: str, contexts: Contexts) -> Any:
    """Evaluate what stands between the braces."""
    reader = _Reader(expression, contexts)
    value = reader.either()
    assert reader.at == len(reader.tokens), f"not understood: {expression}"
    return value


def as_text(value: Any) -> str:
    """A value as a runner writes it into a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def is_true(value: Any) -> bool:
    """Truthiness: objects are true even when empty."""
    return isinstance(value, dict | list) or bool(value)


class _Reader:
    def __init__(self, expression: str, contexts: Contexts) -> None:
        self.tokens = _tokens(expression)
        self.contexts = contexts
        self.at = 0

    def _next(self, sign: str = "") -> tuple[str, str] | None:
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if token is None or (sign and token != ("sign", sign)):
            return None
        self.at += 1
        return token

    def either(self) -> Any:
        value = self.both()
        while self._next("||"):
            other = self.both()
            value = value if is_true(value) else other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self._next("&&"):
            other = self.compared()
            value = other if is_true(value) else value
        return value

    def compared(self) -> Any:
        value = self.one()
        for sign in ("==", "!="):
            if self._next(sign):
                same = _same(value, self.one())
                return same if sign == "==" else not same
        return value

    def one(self) -> Any:
        if self._next("!"):
            return not is_true(self.one())
        if self._next("("):
            value = self.either()
            assert self._next(")")
            return value
        token = self._next()
        assert token is not None
        kind, text = token
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return json.loads(text)
        assert kind == "name", text
        if self._next("("):
            return self._call(text)
        return self._found(text)

    def _call(self, name: str) -> Any:
        arguments: list[Any] = []
        while not self._next(")"):
            arguments.append(self.either())
            self._next(",")
        functions: Mapping[str, Callable[..., Any]] = {
            "fromJSON": lambda text: json.loads(as_text(text)),
            "toJSON": lambda value: json.dumps(value, indent=2),
            "format": _format,
            **self.contexts.get("functions", {}),
        }
        return functions[name](*arguments)

    def _found(self, name: str) -> Any:
        if name in {"true", "false", "null"}:
            return json.loads(name)
        value: Any = self.contexts[name]  # a context that is not there is a mistake
        while self._next("."):
            token = self._next()
            assert token is not None
            value = value.get(token[1]) if isinstance(value, Mapping) else None
        return value


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, at = [], 0
    expression = expression.rstrip()
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        assert match, f"not understood: {expression[at:]}"
        kind = match.lastgroup
        assert kind
        found.append((kind, match[kind]))
        at = match.end()
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    if type(one) is type(other):
        return bool(one == other)
    return _number(one) == _number(other)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _format(text: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: as_text(values[int(found[1])]), text)


def names_in(text: str) -> Sequence[str]:
    """The expressions within a text."""
    return [found[1].strip() for found in _WHOLE.finditer(text)]
