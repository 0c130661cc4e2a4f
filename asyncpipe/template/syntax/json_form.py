"""JSON text -> values with their lines, and ``.pkr.json`` -> the same syntax tree as HCL.

HCL's JSON form: https://github.com/hashicorp/hcl/blob/main/json/spec.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from asyncpipe.errors import TemplateError
from asyncpipe.model.template import Location
from asyncpipe.template.syntax.blocks import parse_text
from asyncpipe.template.syntax.nodes import Attribute, Block, Call, Literal, Node, ObjectOf, TupleOf
from asyncpipe.template.values import cty

_LABELS: Final = {  # of the blocks that a template's top level and build block know
    "variable": 1,
    "variables": 0,
    "locals": 0,
    "local": 1,
    "source": 2,
    "data": 2,
    "build": 0,
    "packer": 0,
    "required_plugins": 0,
    "provisioner": 1,
    "error-cleanup-provisioner": 1,
    "post-processor": 1,
    "post-processors": 0,
}
_NESTING: Final = frozenset({"", "build", "packer", "post-processors"})
_SOURCE_IN_BUILD: Final = 1
_MAX_LEVELS: Final = 100


class Mapped(dict[str, Any]):
    """A JSON object that knows on which line each of its keys stands."""

    lines: dict[str, int]


def load(text: str, file: str) -> Mapped:
    """Read one JSON object.

    Raises:
        TemplateError: not JSON, or not an object; with file and line.
    """
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
        mapped = _mapped(pairs, _key_lines(text), 0)
    except json.JSONDecodeError as error:
        raise TemplateError(
            f"{file}:{error.lineno}: this is not valid JSON ({error.msg}).",
            file=file,
            line=error.lineno,
        ) from error
    except (RecursionError, ValueError) as error:
        raise TemplateError(f"{file}: this JSON cannot be read.", file=file) from error
    if not isinstance(mapped, Mapped):
        raise TemplateError(f"{file}: this JSON is not an object.", file=file)
    return mapped


def parse(text: str, file: str) -> Block:
    """Read a ``.pkr.json``: objects named like blocks are blocks."""
    return _body(load(text, file), "", (), Location(file=file))


class _Pairs(list[tuple[str, Any]]):
    """An object's pairs in the order in which the text has them, duplicates included."""


_STRING = r'"(?:[^"\\]|\\.)*"'
_KEY_OR_NEWLINE = re.compile(rf"\n|{_STRING}(?P<colon>\s*:)?", re.DOTALL)


def _key_lines(text: str) -> Iterator[int]:
    """Yield the line of every object key, in the order of the text."""
    line = 1
    for match in _KEY_OR_NEWLINE.finditer(text):
        found = match[0]
        if match["colon"] is not None:
            yield line
        line += found.count("\n")


def _mapped(value: Any, lines: Iterator[int], level: int) -> Any:
    if level > _MAX_LEVELS:
        raise ValueError("too deep")
    if isinstance(value, _Pairs):
        mapped = Mapped()
        mapped.lines = {}
        for key, inner in value:
            mapped.lines[key] = next(lines, 0)
            mapped[key] = _mapped(inner, lines, level + 1)
        return mapped
    if isinstance(value, list):
        return [_mapped(inner, lines, level + 1) for inner in value]
    return value


def _body(content: Mapped, type_: str, labels: tuple[str, ...], place: Location) -> Block:
    attributes: dict[str, Attribute] = {}
    blocks: list[Block] = []
    for key, value in content.items():
        key_line = content.lines.get(key, 0)
        wanted = _SOURCE_IN_BUILD if (type_, key) == ("build", "source") else _LABELS.get(key)
        if type_ in _NESTING and wanted is not None and isinstance(value, list | Mapped):
            blocks.extend(_blocks(key, value, wanted, Location(file=place.file, line=key_line)))
        elif key != "//":
            attributes[key] = Attribute(
                name=key, expression=_node(value, place.file), line=key_line
            )
    return Block(
        type=type_,
        labels=labels,
        file=place.file,
        line=place.line,
        attributes=attributes,
        blocks=tuple(blocks),
    )


def _blocks(
    type_: str, value: Any, wanted: int, place: Location, labels: tuple[str, ...] = ()
) -> Iterator[Block]:
    if isinstance(value, list):
        for inner in value:
            yield from _blocks(type_, inner, wanted, place, labels)
    elif isinstance(value, Mapped) and len(labels) < wanted:
        for label, inner in value.items():
            line = value.lines.get(label, place.line)
            inner_place = Location(file=place.file, line=line)
            yield from _blocks(type_, inner, wanted, inner_place, (*labels, label))
    elif isinstance(value, Mapped):
        yield _body(value, type_, labels, place)


def _node(value: Any, file: str) -> Node:
    if isinstance(value, str):
        try:
            return parse_text(value, file)
        except TemplateError:
            return Call("a broken interpolation", ())  # an error where it is evaluated
    if isinstance(value, Mapping):
        return ObjectOf(
            tuple((_node(key, file), _node(inner, file)) for key, inner in value.items())
        )
    if isinstance(value, list):
        return TupleOf(tuple(_node(inner, file) for inner in value))
    return Literal(cty.from_json(value))
