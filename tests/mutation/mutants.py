"""Small changes of the code that a test has to notice (pure): comparisons, conditions, calls.

A mutant is one replaced piece of one module. Docstrings, annotations, messages, assertions and
log calls are left alone: nobody promised those.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.places import NOWHERE, Place, place_of

_SWAPPED: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.FloorDiv: "*",
}
_SILENT = ("logger.", "self._warn", "warn(", "report.", "super().__init__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: the bytes from ``start`` to ``end`` of the file become ``text``."""

    path: Path
    line: int
    start: int
    end: int
    text: str
    before: str
    column: int = 0
    place: Place = NOWHERE

    @property
    def name(self) -> str:
        """Where it is and what it does."""
        where = f"{self.path}:{self.line}:{self.column}"
        return f"{where}: {_short(self.before)} -> {_short(self.text)}"

    def applied(self, source: bytes) -> bytes:
        """Return the changed source."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def module_of(path: Path) -> str:
    """The dotted name of a module of the repository."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def mutants_of(path: Path, source: bytes) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines; each one compiles."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    found = []
    tree = ast.parse(source)
    for node, text in _changes(tree):
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before = source[start:end].decode()
        mutant = Mutant(
            path=path,
            line=node.lineno,
            column=node.col_offset,
            start=start,
            end=end,
            text=text,
            before=before,
            place=place_of(tree, node),
        )
        if _compiles(mutant.applied(source)):
            found.append(mutant)
    return sorted(found, key=lambda one: (one.start, one.text))


def _changes(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    for node in _walk(tree):
        if isinstance(node, ast.stmt):
            yield from _statement(node)
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            yield from _condition(node.test)
        if isinstance(node, ast.expr):
            yield from _expression(node)


def _statement(node: ast.stmt) -> Iterator[tuple[ast.stmt, str]]:
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
    if call and not _text(node).removeprefix("await ").startswith(_SILENT):
        yield node, "pass"
    if isinstance(node, ast.Raise | ast.Continue | ast.Break):
        yield node, "pass"


def _condition(test: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    if not isinstance(test, ast.Compare | ast.Constant | ast.UnaryOp):
        yield test, f"(not ({_text(test)}))"


def _expression(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            yield node, f"({_text(left)} {_SWAPPED[type(operator)]} {_text(right)})"
        case ast.BoolOp(op=operator, values=values):
            other = " or " if isinstance(operator, ast.And) else " and "
            yield node, "(" + other.join(f"({_text(value)})" for value in values) + ")"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, f"({_text(operand)})"
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
            if not any(isinstance(side, ast.JoinedStr) for side in (left, right)):
                changed = _ARITHMETIC[type(operator)]
                yield node, f"(({_text(left)}) {changed} ({_text(right)}))"
        case ast.Constant(value=bool(value)):
            yield node, str(not value)
        case ast.Constant(value=int(value)):
            yield node, str(value + 1)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that is worth a change."""
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr | ast.Assert):
                continue
            yield child
            if not isinstance(child, ast.Raise):
                yield from _walk(child)


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _short(text: str) -> str:
    return " ".join(text.split())[:70]
