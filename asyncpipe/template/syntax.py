"""HCL text -> syntax tree. The only importer of python-hcl2, whose parse tree is walked here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, cast

from asyncpipe.errors import TemplateError
from asyncpipe.template.nodes import (
    Attribute,
    Binary,
    Block,
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
    Unsupported,
)
from asyncpipe.text.safe import printable

if TYPE_CHECKING:
    from lark import Token, Tree

    Leaf = Tree[Token] | Token

_DEEP: Final = "The nesting is too deep to be read."
_SKIPPED = frozenset({"new_line_or_comment", "NL_OR_COMMENT"})
_ESCAPE = re.compile(r'\\(n|r|t|"|\\|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|\$\$\{|%%\{')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HEREDOC = re.compile(r"<<(-?)[^\r\n]*\r?\n(.*?)[ \t]*[A-Za-z][A-Za-z0-9._-]*\r?\n\Z", re.DOTALL)


def parse(text: str, file: str) -> Block:
    """Parse a whole HCL file into one body.

    Raises:
        TemplateError: broken HCL, with file and line.
    """
    tree = _tree(text, file)
    try:
        return _Walker(file).body(tree.children[0], "", (), 0)
    except RecursionError:
        raise TemplateError(f"{file}: {_DEEP}", file=file) from None


def parse_expression(text: str, file: str) -> Node:
    """Parse one expression, as ``PKR_VAR_x`` and ``-var`` hold for lists and maps.

    Raises:
        TemplateError: not an expression.
    """
    body = parse(f"x = {text}", file)
    if list(body.attributes) != ["x"] or body.blocks:
        raise TemplateError(f"{file}: not one HCL expression.", file=file)
    return body.attributes["x"].expression


def parse_text(text: str, file: str) -> Node:
    """Parse the inside of a string, with its interpolations but without escapes.

    Used for heredocs and for the strings of ``.pkr.json``; what cannot be parsed is unknown.
    """
    if "${" not in text and "%{" not in text:
        return Literal(text)
    quoted = _INTERPOLATION.sub(_quoted_outside, text)
    try:
        return parse_expression(f'"{quoted}"', file)
    except TemplateError:
        return Unsupported()


# An interpolation up to its closing brace (two levels of braces inside), or a char to escape.
_INTERPOLATION = re.compile(
    r'(?P<inner>(?:\$\$|%%)\{|[$%]\{(?:[^{}"]|"(?:[^"\\]|\\.)*"|\{[^{}]*\})*\})|(?P<char>["\\\n\r\t])'
)
_TO_ESCAPE = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _quoted_outside(match: re.Match[str]) -> str:
    return match["inner"] or _TO_ESCAPE[match["char"]]


def _tree(text: str, file: str) -> Tree[Token]:
    import hcl2  # noqa: PLC0415 -- 0.2 s that JSON templates and ISO names need not pay
    from lark.exceptions import LarkError, UnexpectedInput  # noqa: PLC0415

    try:
        return hcl2.parses_to_tree(text)
    except UnexpectedInput as error:
        # The end of the file has no line of its own in the error.
        line = error.line if int(error.line or 0) > 0 else text.count("\n") + 1
        raise TemplateError(
            f"{file}:{line}: this is not valid HCL{_near(text, line)}.", file=file, line=line
        ) from error
    except LarkError as error:
        raise TemplateError(f"{file}: this is not valid HCL.", file=file) from error
    except RecursionError:
        raise TemplateError(f"{file}: {_DEEP}", file=file) from None


def _near(text: str, line: int) -> str:
    lines = text.split("\n", line)
    shown = lines[line - 1].strip() if line <= len(lines) else ""
    return f" near {printable(shown, 80)!r}" if shown else " (it ends too early)"


def _parts(tree: Leaf) -> list[Leaf]:
    children: list[Leaf] = getattr(tree, "children", [])
    return [child for child in children if _name(child) not in _SKIPPED]


def _name(leaf: Leaf) -> str:
    return str(getattr(leaf, "data", "") or getattr(leaf, "type", ""))


def _trees(leaves: Iterable[Leaf]) -> list[Tree[Token]]:
    return [cast("Tree[Token]", leaf) for leaf in leaves if hasattr(leaf, "children")]


def _word(leaf: Leaf) -> str:
    while hasattr(leaf, "children"):
        leaf = leaf.children[0]
    return str(leaf).strip()


class _Walker:
    """Turns the parse tree of one file into nodes; each rule of the grammar has its method."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._rules: dict[str, Callable[[list[Leaf]], Node]] = {
            "expr_term": self._term,
            "conditional": self._conditional,
            "binary_op": self._binary,
            "unary_op": lambda p: Unary(_word(p[0]), self.node(p[1])),
            "int_lit": lambda p: Literal(_number(str(p[0]))),
            "float_lit": lambda p: Literal(_number(str(p[0]))),
            "literal_value": lambda p: Literal({"true": True, "false": False}.get(str(p[0]))),
            "identifier": lambda p: Root(str(p[0])),
            "keyword": lambda p: Root(str(p[0])),
            "string": self._string,
            "template_string": lambda _: Unsupported(),
            "heredoc_template": lambda p: self._heredoc(str(p[0])),
            "heredoc_template_trim": lambda p: self._heredoc(str(p[0])),
            "tuple": lambda p: TupleOf(tuple(map(self.node, _trees(p)))),
            "object": self._object,
            "function_call": self._call,
            "index_expr_term": lambda p: Index(self.node(p[0]), self._key(p[1])),
            "get_attr_expr_term": lambda p: Index(self.node(p[0]), self._key(p[1])),
            "attr_splat_expr_term": self._splat,
            "full_splat_expr_term": self._splat,
            "for_tuple_expr": self._for,
            "for_object_expr": self._for,
        }

    def body(self, tree: Leaf, type_: str, labels: tuple[str, ...], line: int) -> Block:
        """Read a body: attributes in order (the last of a name wins) and blocks."""
        attributes: dict[str, Attribute] = {}
        blocks = []
        for child in _trees(_parts(tree)):
            if child.data == "attribute":
                name, expression = _word(child.children[0]), child.children[-1]
                attributes[name] = Attribute(
                    name=name, expression=self.node(expression), line=child.meta.line
                )
            elif child.data == "block":
                blocks.append(self._block(child))
        return Block(
            type=type_,
            labels=labels,
            file=self._file,
            line=line,
            attributes=attributes,
            blocks=tuple(blocks),
        )

    def _block(self, tree: Tree[Token]) -> Block:
        parts = _trees(_parts(tree))
        words = [self._label(part) for part in parts[:-1]]
        return self.body(parts[-1], words[0], tuple(words[1:]), tree.meta.line)

    def _label(self, tree: Tree[Token]) -> str:
        if tree.data != "string":
            return _word(tree)
        node = self._string(_parts(tree))
        return node.value if isinstance(node, Literal) and isinstance(node.value, str) else ""

    def node(self, leaf: Leaf) -> Node:
        """Return the node of an expression's tree."""
        rule = self._rules.get(_name(leaf))
        return rule(_parts(leaf)) if rule else Unsupported()

    def _term(self, parts: list[Leaf]) -> Node:
        inner = _trees(parts)
        return self.node(inner[0]) if inner else Unsupported()

    def _conditional(self, parts: list[Leaf]) -> Node:
        return Conditional(*map(self.node, _trees(parts)[:3]))

    def _binary(self, parts: list[Leaf]) -> Node:
        operator, right = _trees(_parts(parts[1]))[:2]
        return Binary(_word(operator).split()[-1], self.node(parts[0]), self.node(right))

    def _string(self, parts: list[Leaf]) -> Node:
        pieces: list[Node] = []
        for part in _trees(parts):
            piece = part.children[0]
            if _name(piece) == "interpolation":
                pieces.append(self.node(_trees(_parts(piece))[0]))
            elif hasattr(piece, "children"):  # %{ if ... }
                pieces.append(Unsupported())
            else:
                pieces.append(Literal(_unescaped(str(piece))))
        if not pieces:
            return Literal("")
        if len(pieces) == 1 and isinstance(pieces[0], Literal) and isinstance(pieces[0].value, str):
            return pieces[0]
        return Text(tuple(pieces))

    def _heredoc(self, token: str) -> Node:
        match = _HEREDOC.fullmatch(token if token.endswith("\n") else token + "\n")
        if match is None:
            return Unsupported()
        content = match[2].replace("\r\n", "\n")
        if match[1]:
            lines = content.split("\n")
            margins = [len(ln) - len(ln.lstrip(" \t")) for ln in lines if ln.strip()]
            content = "\n".join(ln[min(margins, default=0) :] for ln in lines)
        return parse_text(content, self._file)

    def _object(self, parts: list[Leaf]) -> Node:
        pairs = []
        for element in _trees(parts):
            key, value = _trees(_parts(element))[:2]
            pairs.append((self._object_key(key), self.node(value)))
        return ObjectOf(tuple(pairs))

    def _object_key(self, tree: Tree[Token]) -> Node:
        term: Leaf = tree.children[0]
        inner = _parts(term)
        bare = len(inner) == 1 or _name(term) in {"identifier", "keyword"}
        node = self.node(term)
        return Literal(node.name) if bare and isinstance(node, Root) else node

    def _call(self, parts: list[Leaf]) -> Node:
        name = "::".join(_word(part) for part in parts if _name(part) == "identifier")
        arguments = next((part for part in parts if _name(part) == "arguments"), None)
        if arguments is None:
            return Call(name, ())
        inner = _parts(arguments)
        expand = any(_name(part) == "ELLIPSIS" for part in inner)
        return Call(name, tuple(map(self.node, _trees(inner))), expand)

    def _splat(self, parts: list[Leaf]) -> Node:
        return Splat(self.node(parts[0]), tuple(map(self._key, _trees(_parts(parts[1])))))

    def _key(self, tree: Leaf) -> Node:
        last = _parts(tree)[-2 if _name(tree) == "braces_index" else -1]
        if _name(tree) == "braces_index":
            return self.node(last)
        if _name(tree) == "short_index":
            return Literal(int(_word(last)))
        return Literal(_word(last))

    def _for(self, parts: list[Leaf]) -> Node:
        intro = next(part for part in parts if _name(part) == "for_intro")
        test = next((part for part in parts if _name(part) == "for_cond"), None)
        words = _trees(_parts(intro))
        bodies = [t for t in _trees(parts) if t is not intro and t is not test]
        values = [self.node(tree) for tree in bodies]
        return For(
            names=tuple(_word(word) for word in words[:-1]),
            collection=self.node(words[-1]),
            value=values[-1],
            key=values[0] if len(values) > 1 else None,
            test=self.node(_trees(_parts(test))[-1]) if test is not None else None,
            grouped=any(_name(part) == "ELLIPSIS" for part in parts),
        )


def _number(text: str) -> int | float | None:
    try:
        return int(text[:4000])
    except ValueError:
        return float(text)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_unescape, text) if "\\" in text or "{" in text else text


def _unescape(match: re.Match[str]) -> str:
    code: Any = match[1]
    if code is None:
        return match[0][1:]
    if code[0] in "uU":
        number = int(code[1:], 16)
        return chr(number) if number < 0x110000 else "\ufffd"
    return _ESCAPED[code]
