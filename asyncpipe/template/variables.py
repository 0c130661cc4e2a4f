"""Declarations + var files + -var + PKR_VAR_* -> the value of every variable, as Packer has it.

Precedence, lowest first: default, PKR_VAR_<name>, ``*.auto.pkrvars``, ``-var-file``, ``-var``
(https://developer.hashicorp.com/packer/docs/templates/hcl_templates/variables).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from asyncpipe.errors import TemplateError
from asyncpipe.model.template import UNKNOWN, Location, Value, Variable
from asyncpipe.template import json_syntax, syntax
from asyncpipe.template.evaluate import Evaluator
from asyncpipe.template.files import SourceFile
from asyncpipe.template.functions import Failed, as_text
from asyncpipe.template.nodes import Attribute, Block, Call, Literal, Node, Root


@dataclass(frozen=True, slots=True)
class _Given:
    value: Value
    origin: str
    location: Location | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Where values may come from, besides the defaults."""

    auto_var_files: Iterable[SourceFile] = ()
    var_files: Iterable[SourceFile] = ()
    variables: Mapping[str, str]
    environment: Mapping[str, str]


def resolve(body: Iterable[Block], inputs: Inputs) -> tuple[dict[str, Variable], list[str]]:
    """Return every declared variable with its value, and warnings about undeclared ones.

    Raises:
        TemplateError: a var file is broken.
    """
    environment = inputs.environment
    evaluator = Evaluator({}, functions={"env": lambda name: environment.get(name, "")})
    declarations = _declarations(body)
    given = {
        **_from_files(inputs.auto_var_files, evaluator),
        **_from_files(inputs.var_files, evaluator),
    }
    result = {
        name: _variable(block, inputs, given, evaluator) for name, block in declarations.items()
    }
    undeclared = [
        f"{origin}: variable {name!r} is not declared by the template"
        for name, origin in _origins(given, inputs.variables)
        if name not in declarations
    ]
    return result, undeclared


def _origins(given: Mapping[str, _Given], variables: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, one.origin) for name, one in given.items()] + [(n, "-var") for n in variables]


def _declarations(blocks: Iterable[Block]) -> dict[str, Block]:
    found: dict[str, Block] = {}
    for block in blocks:
        if block.type == "variable" and block.labels:
            found[block.labels[0]] = block
        elif block.type == "variables":
            for name, one in block.attributes.items():
                default = Attribute(name="default", expression=one.expression, line=one.line)
                found[name] = Block(
                    type="variable",
                    labels=(name,),
                    file=block.file,
                    line=one.line,
                    attributes={"default": default},
                )
    return found


def _variable(
    block: Block, inputs: Inputs, from_files: Mapping[str, _Given], evaluator: Evaluator
) -> Variable:
    name, attributes = block.labels[0], block.attributes
    kind = _kind(attributes, evaluator)
    sensitive = attributes.get("sensitive")
    given = _Given(None, "unset")
    if "default" in attributes:
        default = attributes["default"]
        given = _Given(
            evaluator.value(default.expression),
            "default",
            Location(file=block.file, line=default.line),
        )
    if f"PKR_VAR_{name}" in inputs.environment:
        origin = f"PKR_VAR_{name}"
        given = _Given(_from_text(inputs.environment[origin], kind, evaluator), origin)
    given = from_files.get(name, given)
    if name in inputs.variables:
        given = _Given(_from_text(inputs.variables[name], kind, evaluator), "-var")
    return Variable(
        name=name,
        value=_converted(given.value, kind),
        sensitive=sensitive is not None and evaluator.value(sensitive.expression) is True,
        is_set=given.origin != "unset",
        origin=given.origin,
        location=given.location or Location(file=block.file, line=block.line),
    )


def _kind(attributes: Mapping[str, Attribute], evaluator: Evaluator) -> str:
    """``string``, ``number``, ``bool`` or ``complex``; from the default where no type stands."""
    if "type" in attributes:
        return _kind_of_type(attributes["type"].expression)
    if "default" not in attributes:
        return "string"
    default = evaluator.value(attributes["default"].expression)
    if isinstance(default, bool):
        return "bool"
    if isinstance(default, int | float):
        return "number"
    return "complex" if isinstance(default, list | dict) else "string"


def _kind_of_type(node: Node) -> str:
    if isinstance(node, Root):
        return node.name if node.name in {"string", "number", "bool"} else "complex"
    if isinstance(node, Literal):  # "string", as old templates and JSON have it
        name = node.value
        return name if isinstance(name, str) and name in {"string", "number", "bool"} else "complex"
    return "complex" if isinstance(node, Call) else "string"


def _from_text(text: str, kind: str, evaluator: Evaluator) -> Value:
    if kind != "complex":
        return text
    try:
        return evaluator.value(syntax.parse_expression(text, "value"))
    except TemplateError:
        return UNKNOWN


def _converted(value: Value, kind: str) -> Value:
    try:
        if kind == "string" and isinstance(value, int | float):
            return as_text(value)
        if kind == "number" and isinstance(value, str):
            return float(value) if any(char in value for char in ".eE") else int(value)
        if kind == "bool" and isinstance(value, str):
            return {"true": True, "false": False, "1": True, "0": False}[value.lower()]
    except (ValueError, KeyError, Failed):
        return UNKNOWN
    return value


def _from_files(files: Iterable[SourceFile], evaluator: Evaluator) -> dict[str, _Given]:
    found: dict[str, _Given] = {}
    for file in files:
        parse: Callable[[str, str], Block] = json_syntax.flat if file.is_json else syntax.parse
        for name, attribute in parse(file.text, str(file.path)).attributes.items():
            found[name] = _Given(
                evaluator.value(attribute.expression),
                file.path.name,
                Location(file=str(file.path), line=attribute.line),
            )
    return found
