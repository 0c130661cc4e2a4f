"""HCL expressions -> nodes, as HashiCorp's own parser reads them (hcl v2, ``hclsyntax``)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from asyncpipe.template.syntax import strings
from asyncpipe.template.syntax.nodes import (
    ITEM,
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
    TupleOf,
    Unary,
)
from asyncpipe.template.values import cty, number

MAX_DEPTH: Final = 90  # of brackets, interpolations and conditionals in one another
_BLANK = re.compile(r"(?:[ \t\r]+|(?:#|//)[^\n]*|/\*.*?\*/)*", re.DOTALL)
_BLANK_AND_LINES = re.compile(r"(?:\s+|(?:#|//)[^\n]*|/\*.*?\*/)*", re.DOTALL)
_TOKEN = re.compile(
    r"(?P<number>[0-9](?:[0-9]|\.(?=[0-9])|[eE][+-]?[0-9])*)|(?P<word>[^\W\d][\w-]*)"
    r'|<<-?(?=[^\W\d][\w-]*\r?\n)|==|!=|>=|<=|&&|\|\||::|\.\.\.|=>|~\}|[-+*/%!<>?:.,=()\[\]{}"\n]'
)
_LEVELS: Final = (
    ("||",),
    ("&&",),
    ("==", "!="),
    (">", "<", ">=", "<="),
    ("+", "-"),
    ("*", "/", "%"),
)
_BINDING: Final = {operator: level for level, row in enumerate(_LEVELS) for operator in row}


class SyntaxFault(Exception):  # noqa: N818 -- becomes a TemplateError with file and line
    """The text is not HCL; ``position`` counts characters."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class Parser:
    """Reads one expression at a time from ``text``, beginning at ``position``."""

    def __init__(self, text: str, position: int = 0) -> None:
        self.text = text
        self.position = position
        self._over_lines = False  # inside brackets a new line ends nothing
        self._depth = 0

    def expression(self) -> Node:
        """Read an expression; ``position`` then stands behind it.

        Raises:
            SyntaxFault: the expression is missing or malformed.
        """
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxFault("The nesting is too deep to be read.", -1)
        test = self._binary(0)
        if self.take("?"):
            yes = self.expression()
            self.expect(":")
            test = Conditional(test, yes, self.expression())
        self._depth -= 1
        return test

    def bracketed(self, inner: Callable[[], Node], *, over_lines: bool = True) -> Node:
        """Read something in which a new line ends nothing, or does so after all."""
        before, self._over_lines = self._over_lines, over_lines
        node = inner()
        self._over_lines = before
        return node

    def peek(self) -> tuple[str, str]:
        """Return the next token: (kind, text); kind is "number", "word" or the text itself."""
        blank = _BLANK_AND_LINES if self._over_lines else _BLANK
        self.position = blank.match(self.text, self.position).end()  # type: ignore[union-attr]
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            if self.position < len(self.text):
                raise SyntaxFault("this is not valid HCL", self.position)
            return "", ""
        return match.lastgroup or match[0], match[0]

    def take(self, *wanted: str) -> str:
        """Read the next token if it is one of these; "" otherwise."""
        _, found = self.peek()
        if found not in wanted or not found:
            return ""
        self.position += len(found)
        return found

    def expect(self, *wanted: str) -> str:
        """Read the next token, which must be one of these."""
        found = self.take(*wanted)
        if not found:
            raise SyntaxFault("this is not valid HCL", self.position)
        return found

    def end(self) -> None:
        """Raise unless the text ends here."""
        if self.peek()[1]:
            raise SyntaxFault("this is not valid HCL", self.position)

    def word(self) -> str:
        """Read a name."""
        kind, found = self.peek()
        if kind != "word":
            raise SyntaxFault("this is not valid HCL", self.position)
        self.position += len(found)
        return found

    def _binary(self, level: int) -> Node:
        left = self._postfixed()
        while True:
            _, operator = self.peek()
            binding = _BINDING.get(operator, -1)
            if binding < level:
                return left
            self.position += len(operator)
            left = Binary(operator, left, self._binary(binding + 1))

    def _postfixed(self) -> Node:
        return self._traversals(self._term())

    def _traversals(self, node: Node) -> Node:
        while True:
            if self.take("."):
                node = self._splat(node) if self.take("*") else self._step(node)
            elif self.take("["):
                if self.take("*"):
                    self.expect("]")
                    return Splat(node, self._traversals(ITEM))
                node = Index(node, self.bracketed(self._key))
            else:
                return node

    def _key(self) -> Node:
        key = self.expression()
        self.expect("]")
        return key

    def _step(self, node: Node) -> Node:
        kind, found = self.peek()
        if kind == "number" and found.isdigit():
            self.position += len(found)
            return Index(node, Literal(cty.integer(int(found))))
        return Index(node, Literal(cty.text(self.word())), is_name=True)

    def _splat(self, node: Node) -> Node:
        each: Node = ITEM
        while self.peek()[1] == ".":
            self.take(".")
            each = self._step(each)
        return Splat(node, each)

    def _term(self) -> Node:
        kind, found = self.peek()
        start = self.position
        self.position += len(found)
        if kind == "number":
            return _number(found, start)
        if kind == "word":
            return self._named(found)
        if kind in {"-", "!"}:
            return Unary(kind, self._postfixed())
        if kind == '"':
            return strings.quoted(self)
        if kind.startswith("<<"):
            return strings.heredoc(self, indented=kind == "<<-")
        rule = {"(": self._parenthesis, "[": self._tuple, "{": self._object}.get(kind)
        if rule is None:
            raise SyntaxFault("this is not valid HCL", start)
        return self.bracketed(rule)

    def _named(self, name: str) -> Node:
        if self.peek()[1] in {"(", "::"}:
            while self.take("::"):
                name = f"{name}::{self.word()}"
            self.expect("(")
            return self.bracketed(lambda: self._call(name))
        constant = {"true": cty.TRUE, "false": cty.FALSE, "null": cty.NULL}.get(name)
        return Root(name) if constant is None else Literal(constant)

    def _call(self, name: str) -> Node:
        arguments: list[Node] = []
        while not self.take(")"):
            arguments.append(self.expression())
            separator = self.expect(",", ")", "...")
            if separator == "...":
                self.expect(")")
                return Call(name, tuple(arguments), expand=True)
            if separator == ")":
                break
        return Call(name, tuple(arguments))

    def _parenthesis(self) -> Node:
        node = self.expression()
        self.expect(")")
        return node

    def _tuple(self) -> Node:
        if self.peek() == ("word", "for"):
            return self._for("]")
        items: list[Node] = []
        while not self.take("]"):
            items.append(self.expression())
            if self.expect(",", "]") == "]":
                break
        return TupleOf(tuple(items))

    def _object(self) -> Node:
        if self.peek() == ("word", "for"):
            return self._for("}")
        return self.bracketed(self._pairs, over_lines=False)

    def _pairs(self) -> Node:
        pairs: list[tuple[Node, Node]] = []
        while not self.take("}"):
            if self.take("\n"):
                continue
            computed = self.peek()[1] == "("
            key = self.expression()
            self.expect("=", ":")
            pairs.append((key if computed else _literal_key(key), self.expression()))
            if self.expect(",", "\n", "}") == "}":
                break
        return ObjectOf(tuple(pairs))

    def _for(self, end: str) -> Node:
        self.take("for")
        names, collection = self.loop()
        self.expect(":")
        value, key = self.expression(), None
        if self.take("=>"):
            key, value = value, self.expression()
        grouped = bool(self.take("..."))
        test = self.expression() if self.take("if") else None
        self.expect(end)
        if (end == "}") != (key is not None) or (grouped and key is None):
            raise SyntaxFault("this is not valid HCL", self.position)
        return For(names, collection, value, key, test, grouped)

    def loop(self) -> tuple[tuple[str, ...], Node]:
        """Read ``k, v in collection``."""
        names = [self.word()]
        if self.take(","):
            names.append(self.word())
        self.expect("in")
        return tuple(names), self.expression()


def _literal_key(key: Node) -> Node:
    if isinstance(key, Root):
        return Literal(cty.text(key.name))
    while isinstance(key, Index) and isinstance(key.base, Index):
        key = key.base
    if isinstance(key, Index) and isinstance(key.base, Root):
        return Call("an attribute's name without quotes or brackets", ())
    return key


def _number(found: str, start: int) -> Node:
    try:
        content = number.parse(found)
    except number.NotKnown:
        return Literal(cty.unknown(cty.NUMBER))
    if content is None:
        raise SyntaxFault("this is not a number", start)
    return Literal(cty.Val(cty.NUMBER, content))
