"""HCL text -> blocks and attributes. The only importer of python-hcl2.

python-hcl2 takes 1.5 s for 100 kB. So our own reader takes the attributes with their expressions
out first and leaves one numbered attribute in the place of each run of them; python-hcl2 reads
the blocks and labels, and which run belongs to which.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from asyncpipe.errors import TemplateError
from asyncpipe.template.syntax import strings
from asyncpipe.template.syntax.expressions import Parser, SyntaxFault
from asyncpipe.template.syntax.nodes import Attribute, Block, Node
from asyncpipe.text.safe import printable

if TYPE_CHECKING:
    from lark import Token, Tree

    Leaf = Tree[Token] | Token

_SKIPPED: Final = frozenset({"new_line_or_comment", "NL_OR_COMMENT"})
_LABEL = re.compile(r'"(?:[^"\\\n]|\\.)*"')


@lru_cache(maxsize=16)  # the sources of one template are often read one by one
def parse(text: str, file: str) -> Block:
    """Parse a whole HCL file into one body.

    Raises:
        TemplateError: broken HCL, with file and line.
    """
    try:
        skeleton = _Skeleton(text)
    except SyntaxFault as fault:
        raise _error(fault, text, file) from None
    tree = _tree(skeleton, text, file)
    return _Walker(file, skeleton).body(tree.children[0], "", (), 0)


def parse_expression(text: str, file: str) -> Node:
    """Parse one expression, as ``PKR_VAR_x`` and ``-var`` hold for lists and maps.

    Raises:
        TemplateError: not an expression.
    """
    parser = Parser(text)
    try:
        node = parser.expression()
        while parser.take("\n"):
            pass
        parser.end()
    except SyntaxFault as fault:
        raise _error(fault, text, file) from None
    return node


def parse_text(text: str, file: str) -> Node:
    """Parse a text with interpolations but without escapes: a JSON string, a template file.

    Raises:
        TemplateError: a broken interpolation.
    """
    try:
        return strings.bare(Parser(text))
    except SyntaxFault as fault:
        raise _error(fault, text, file) from None


def _error(fault: SyntaxFault, text: str, file: str) -> TemplateError:
    if fault.position < 0:
        return TemplateError(f"{file}: {fault}", file=file)
    line = text.count("\n", 0, fault.position) + 1
    return TemplateError(f"{file}:{line}: {fault}{_near(text, line, file)}.", file=file, line=line)


def _near(text: str, line: int, file: str) -> str:
    if Path(file).is_symlink():  # it may show what its reader should not see
        return ""
    lines = text.split("\n", line)
    shown = lines[line - 1].strip() if line <= len(lines) else ""
    return f" near {printable(shown, 80)!r}" if shown else " (it ends too early)"


class _Skeleton:
    """A file's text with ``a = N`` for the Nth run of attributes, and without empty lines."""

    def __init__(self, text: str) -> None:
        self.runs: list[list[Attribute]] = []
        self.names: dict[str, str] = {}  # python-hcl2 knows ASCII names only
        self._parser = Parser(text)
        self._pieces: list[str] = []
        self.lines = [1]  # for each line of the skeleton, where the original is
        self._line = 1
        self._in_run = False
        while self._next():
            pass
        self.text = "".join(self._pieces)

    def _next(self) -> bool:
        parser = self._parser
        before = parser.position
        kind, found = parser.peek()
        self._count_lines(before)
        if kind == "word":
            parser.position += len(found)
            if parser.peek()[1] == "=":
                self._attribute(found)
            else:
                self._put(f" {self._name(found)} ")
        elif kind == '"' and (label := _LABEL.match(parser.text, parser.position)):
            parser.position = label.end()
            self._put(label[0])
        elif kind == "\n":
            parser.position += 1
            self._count_lines(parser.position - 1)
        elif kind in {"{", "}"}:
            parser.position += 1
            self._put(found)
        elif found:
            raise SyntaxFault("this is not valid HCL", parser.position)
        return bool(found)

    def _put(self, piece: str) -> None:
        self._pieces.append(piece)
        self._in_run = False

    def _count_lines(self, start: int) -> None:
        lines = self._parser.text.count("\n", start, self._parser.position)
        self._line += lines
        if lines and self._pieces[-1:] != ["\n"]:
            self._pieces.append("\n")
            self.lines.append(self._line)
        self.lines[-1] = self._line

    def _attribute(self, name: str) -> None:
        parser, line = self._parser, self._line
        parser.take("=")
        start = parser.position
        node = parser.expression()
        if not self._in_run:
            self._put(f"a = {len(self.runs)}")
            self._in_run = True
            self.runs.append([])
        self.runs[-1].append(Attribute(name=name, expression=node, line=line))
        if parser.peek()[1] not in {"\n", "}"}:
            parser.end()
        self._count_lines(start)

    def _name(self, name: str) -> str:
        if name.isascii():
            return name
        coded = f"u_{name.encode().hex()}"
        self.names[coded] = name
        return coded


def _tree(skeleton: _Skeleton, text: str, file: str) -> Tree[Token]:
    import hcl2  # noqa: PLC0415 -- 0.2 s that JSON templates and ISO names need not pay
    from lark.exceptions import LarkError, UnexpectedInput  # noqa: PLC0415

    try:
        return hcl2.parses_to_tree(skeleton.text)
    except UnexpectedInput as error:
        # The end of the file has no line of its own in the error.
        found = int(error.line or 0)
        line = (
            skeleton.lines[found - 1] if 0 < found <= len(skeleton.lines) else text.count("\n") + 1
        )
        raise TemplateError(
            f"{file}:{line}: this is not valid HCL{_near(text, line, file)}.", file=file, line=line
        ) from error
    except (LarkError, RecursionError) as error:
        raise TemplateError(f"{file}: this is not valid HCL.", file=file) from error


class _Walker:
    """Turns the parse tree of one skeleton into blocks with their attributes."""

    def __init__(self, file: str, skeleton: _Skeleton) -> None:
        self._file = file
        self._skeleton = skeleton

    def body(self, tree: Leaf, type_: str, labels: tuple[str, ...], line: int) -> Block:
        """Read a body: attributes in order (the last of a name wins) and blocks."""
        attributes: dict[str, Attribute] = {}
        blocks = []
        for child in _trees(tree):
            if child.data == "attribute":
                run = self._skeleton.runs[int(self._word(child.children[-1]))]
                attributes.update({one.name: one for one in run})
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
        parts = _trees(tree)
        words = [self._label(part) for part in parts[:-1]]
        return self.body(
            parts[-1], words[0], tuple(words[1:]), self._skeleton.lines[tree.meta.line - 1]
        )

    def _label(self, tree: Tree[Token]) -> str:
        if tree.data != "string":
            return self._word(tree)
        return "".join(map(self._word, _trees(tree)))

    def _word(self, leaf: Leaf) -> str:
        while hasattr(leaf, "children"):
            leaf = leaf.children[0]
        word = str(leaf).strip()
        return self._skeleton.names.get(word, word)


def _trees(tree: Leaf) -> list[Tree[Token]]:
    children: list[Leaf] = getattr(tree, "children", [])
    trees = [cast("Tree[Token]", child) for child in children if hasattr(child, "children")]
    return [tree for tree in trees if tree.data not in _SKIPPED]
