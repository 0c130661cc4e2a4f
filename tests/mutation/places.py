"""Where in a module a mutant lies (pure): its statement's lines, and the function it belongs to."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import CodeType

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``lines`` of the statement; ``function`` is the outermost one round it.

    ``function`` is its qualified name and the first line of its code, decorators included; None
    if the code runs at import: constants, defaults, bodies of classes.
    """

    lines: range
    function: tuple[str, int] | None


NOWHERE = Place(lines=range(0), function=None)


def place_of(tree: ast.Module, node: ast.expr | ast.stmt) -> Place:
    """Find where ``node`` of ``tree`` lies."""
    around = _way_to(tree, node)
    statement = next(one for one in reversed(around) if isinstance(one, ast.stmt))
    last = statement.end_lineno or statement.lineno
    if isinstance(statement, ast.Match):
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    elif body := getattr(statement, "body", None):
        lines = range(statement.lineno, max(body[0].lineno, statement.lineno + 1))
    else:
        lines = range(statement.lineno, last + 1)
    return Place(lines=lines, function=_function(around))


def codes_of(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """Every code object of a module by qualified name and first line."""
    found = {(code.co_qualname, code.co_firstlineno): code}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= codes_of(constant)
    return found


def _function(around: list[ast.AST]) -> tuple[str, int] | None:
    names: list[str] = []
    for outer, inner in zip(around, [*around[1:], None], strict=True):
        if isinstance(outer, ast.ClassDef):
            names.append(outer.name)
        if isinstance(outer, _FUNCTIONS):
            first = min(one.lineno for one in (outer, *outer.decorator_list))
            return (".".join([*names, outer.name]), first) if inner in outer.body else None
        if isinstance(outer, ast.Lambda):
            return None
    return None


def _way_to(tree: ast.AST, node: ast.AST) -> list[ast.AST]:
    """The nodes from the module down to ``node``."""
    if tree is node:
        return [tree]
    for child in ast.iter_child_nodes(tree):
        if below := _way_to(child, node):
            return [tree, *below]
    return []
