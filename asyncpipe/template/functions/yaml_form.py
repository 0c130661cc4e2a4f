"""YAML as go-cty-yaml reads and writes it: YAML 1.1's words, numbers as decimals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import yaml

from asyncpipe.template.values import cty, number
from asyncpipe.template.values.cty import Failed, Val
from asyncpipe.template.values.number import NotKnown

_MAX_NODES: Final = 20_000
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), cty.NULL),
    **{
        w: cty.TRUE
        for word in ("y", "yes", "true", "on")
        for w in (word, word.title(), word.upper())
    },
    **{
        w: cty.FALSE
        for word in ("n", "no", "false", "off")
        for w in (word, word.title(), word.upper())
    },
}
_INTEGER = re.compile(r"(-?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+)")
_DATE = re.compile(r"([0-9]{4})-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_PLAIN: Final = "plain"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes and leaves what a plain word means to us."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of a node without one."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)


def yaml_value(text: str) -> Val:
    """Read one YAML document.

    Raises:
        Failed: not one document of YAML.
        NotKnown: larger than we read.
    """
    try:
        node = yaml.compose(text, _Loader)
        return cty.NULL if node is None else _Reader().value(node)
    except yaml.YAMLError:
        raise Failed("this is not YAML") from None
    except RecursionError:
        raise NotKnown from None


class _Reader:
    def __init__(self) -> None:
        self._left = _MAX_NODES

    def value(self, node: Any) -> Val:
        self._left -= 1
        if self._left < 0:
            raise NotKnown
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return cty.tuple_of([self.value(one) for one in node.value])
        found: dict[str, Val] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged = self.value(value_node)
                if merged.type.kind != "object":
                    raise Failed("only a mapping can be merged")
                found.update(merged.raw)
                continue
            key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else cty.NULL
            found[_key(key)] = self.value(value_node)
        return cty.object_of(found)


def _key(key: Val) -> str:
    if isinstance(key.raw, Fraction):
        return number.text(key.raw)
    if key.raw is None:
        raise Failed("a key must be text")
    return key.raw if isinstance(key.raw, str) else str(key.raw).lower()


def _scalar(node: Any) -> Val:
    text: str = node.value
    if node.tag != _PLAIN:
        if node.tag != "tag:yaml.org,2002:str":
            raise NotKnown
        return cty.text(text)
    if text in _WORDS:
        return _WORDS[text]
    if not text[0].isdigit() and text[0] not in "+-.":
        return cty.text(text)
    if _DATE.fullmatch(text) or ".nan" in text.lower() or ".inf" in text.lower():
        raise NotKnown
    plain = text.replace("_", "") if text[0] != "." else text
    found = number.parse(plain)
    if found is not None:
        return Val(cty.NUMBER, found)
    match = _INTEGER.fullmatch(plain)
    if match is not None and match[2][:2].lower() == "0b":
        return cty.integer(int(plain, 2))
    return cty.text(text)


def yaml_of(value: Val) -> str:
    """Write a value as ``yamlencode`` does."""
    first, *rest = _written(value, 0)
    if isinstance(value.raw, str):
        rest = [f"  {line}" if line else "" for line in rest]
    plain = value.raw is None or isinstance(value.raw, bool | Fraction)
    return "\n".join([first, *rest, *(["..."] if plain else [])]) + "\n"


def _written(value: Val, depth: int) -> Iterator[str]:
    if depth > 50:
        raise NotKnown
    if not isinstance(value.raw, dict | tuple) or not value.raw:
        yield from _word(value).split("\n")
        return
    for key, one in value.elements():
        head = f"{_quoted(key.raw)}:" if isinstance(value.raw, dict) else "-"
        lines = list(_written(one, depth + 1))
        if not isinstance(one.raw, dict | tuple) or not one.raw:
            yield f"{head} {lines[0]}"
            yield from (f"  {line}" if line else "" for line in lines[1:])
        elif head == "-":
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
        else:
            yield head
            indent = "" if isinstance(one.raw, tuple) else "  "
            yield from (f"{indent}{line}" for line in lines)


def _word(value: Val) -> str:
    raw = value.raw
    if raw is None or isinstance(raw, bool):
        return "null" if raw is None else str(raw).lower()
    if isinstance(raw, Fraction):
        return number.text(raw)
    if isinstance(raw, str):
        return _quoted(raw)
    return "{}" if isinstance(raw, dict) else "[]"


def _quoted(text: str) -> str:
    if not (text.replace("\n", "").isprintable() and text.isascii()):
        raise NotKnown  # go-cty-yaml escapes such texts in ways of its own
    if "\n" in text:
        if text[0] in " \n" or " \n" in text or text.endswith((" ", "\n\n")):
            raise NotKnown
        return f"|{'' if text.endswith(chr(10)) else '-'}\n{text.removesuffix(chr(10))}"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
