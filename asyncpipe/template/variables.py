"""Declarations + var files + -var + PKR_VAR_* -> the value of every variable, as Packer has it.

Precedence, lowest first: default, PKR_VAR_<name>, ``*.auto.pkrvars``, ``-var-file``, ``-var``
(https://developer.hashicorp.com/packer/docs/templates/hcl_templates/variables).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from asyncpipe.errors import TemplateError
from asyncpipe.model.template import Location, Variable
from asyncpipe.template.evaluate import Evaluator
from asyncpipe.template.files import SourceFile
from asyncpipe.template.functions.spec import on_text
from asyncpipe.template.syntax import blocks, json_form
from asyncpipe.template.syntax.nodes import Attribute, Block, Literal
from asyncpipe.template.values import cty
from asyncpipe.template.values.constraints import Fill, constraint
from asyncpipe.template.values.convert import convert
from asyncpipe.template.values.cty import ANY, NUMBER, STRING, Failed, Type, Val


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Where values may come from, besides the defaults."""

    auto_var_files: Iterable[SourceFile] = ()
    var_files: Iterable[SourceFile] = ()
    variables: Mapping[str, str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Every declared variable, its typed value, and warnings about undeclared ones."""

    variables: dict[str, Variable]
    values: dict[str, Val]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Given:
    value: Val | str  # a text is still to be read by the variable's type
    origin: str
    location: Location | None = None


_BARE = Evaluator({}, functions={})  # var files and -var know neither names nor functions


def resolve(body: Iterable[Block], inputs: Inputs) -> Resolved:
    """Give every declared variable its value.

    Raises:
        TemplateError: a var file is broken.
    """
    environment = inputs.environment
    defaults = Evaluator({}, functions={"env": on_text(lambda name: environment.get(name, ""))})
    declarations = _declarations(body)
    given = dict(_from_files([*inputs.auto_var_files, *inputs.var_files]))
    variables: dict[str, Variable] = {}
    values: dict[str, Val] = {}
    for name, block in declarations.items():
        declared = _Declaration(block, defaults)
        one = declared.default()
        if f"PKR_VAR_{name}" in environment:
            one = _Given(environment[f"PKR_VAR_{name}"], f"PKR_VAR_{name}")
        one = given.get(name, one)
        if name in inputs.variables:
            one = _Given(inputs.variables[name], "-var")
        values[name] = declared.value(one)
        variables[name] = declared.variable(one, values[name])
    undeclared = [
        f"{origin}: variable {name!r} is not declared by the template"
        for name, origin in _origins(given, inputs.variables)
        if name not in declarations
    ]
    return Resolved(variables=variables, values=values, warnings=undeclared)


def _origins(given: Mapping[str, _Given], variables: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, one.origin) for name, one in given.items()] + [(n, "-var") for n in variables]


def _declarations(body: Iterable[Block]) -> dict[str, Block]:
    found: dict[str, Block] = {}
    for block in body:
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


class _Declaration:
    """One ``variable`` block: its type, which a default may give, and its default."""

    def __init__(self, block: Block, evaluator: Evaluator) -> None:
        self._block = block
        self._type: Type = ANY
        self._fill: Fill = lambda value: value
        self._default: Val | None = None
        if "type" in block.attributes:
            self._read_type(block.attributes["type"], evaluator)
        if "default" in block.attributes:
            value = evaluator.typed(block.attributes["default"].expression)
            self._default = self._converted(value)
            if self._type == ANY and self._default.raw not in ((), {}):
                self._type = self._default.type
        sensitive = block.attributes.get("sensitive")
        self._sensitive = sensitive is not None and evaluator.value(sensitive.expression) is True

    def _read_type(self, attribute: Attribute, evaluator: Evaluator) -> None:
        node = attribute.expression
        if isinstance(node, Literal) and isinstance(node.value.raw, str):  # JSON has it as text
            node = blocks.parse_expression(node.value.raw, self._block.file)
        try:
            self._type, self._fill = constraint(node, evaluator)
        except Failed:
            self._type, self._fill = ANY, lambda _: cty.unknown()

    def default(self) -> _Given:
        """The value without any other."""
        if self._default is None:
            return _Given(cty.unknown(self._type), "unset")
        line = self._block.attributes["default"].line
        return _Given(self._default, "default", Location(file=self._block.file, line=line))

    def value(self, given: _Given) -> Val:
        """Return a given value as this variable has it; unknown where Packer refuses it."""
        if isinstance(given.value, Val):
            return self._converted(given.value)
        if self._type in {STRING, NUMBER, ANY}:
            return self._converted(cty.text(given.value))
        try:
            node = blocks.parse_expression(given.value, given.origin)
        except TemplateError:
            return cty.unknown(self._type)
        return self._converted(_BARE.typed(node))

    def variable(self, given: _Given, value: Val) -> Variable:
        """Return what the rest of the program knows of the variable."""
        block = self._block
        return Variable(
            name=block.labels[0],
            value=cty.plain(value) if given.origin != "unset" else None,
            sensitive=self._sensitive,
            is_set=given.origin != "unset",
            origin=given.origin,
            location=given.location or Location(file=block.file, line=block.line),
        )

    def _converted(self, value: Val) -> Val:
        try:
            return convert(value if value.raw is None else self._fill(value), self._type)
        except Failed:
            return cty.unknown(self._type)


def _from_files(files: Iterable[SourceFile]) -> Iterator[tuple[str, _Given]]:
    for file in files:
        path = str(file.path)
        if file.is_json:
            found = json_form.load(file.text, path)
            pairs = [(n, cty.from_json(v), found.lines.get(n, 0)) for n, v in found.items()]
        else:
            body = blocks.parse(file.text, path)
            _refuse_blocks(body.blocks, path)
            attributes = body.attributes
            pairs = [(n, _BARE.typed(a.expression), a.line) for n, a in attributes.items()]
        for name, value, line in pairs:
            yield name, _Given(value, file.path.name, Location(file=path, line=line))


def _refuse_blocks(found: Iterable[Block], path: str) -> None:
    for block in found:
        raise TemplateError(
            f"{path}:{block.line}: a file of variables holds assignments (name = value); "
            f"this is a {block.type} block.",
            hint="A template's own .pkr.hcl files are read with its folder: leave out -var-file, "
            "or write the values into a .pkrvars.hcl file.",
            file=path,
            line=block.line,
        )
