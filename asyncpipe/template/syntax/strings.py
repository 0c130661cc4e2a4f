"""HCL's templates: quoted strings, heredocs and whole files -> nodes.

A template is cut into tokens as HashiCorp's scanner cuts it, since ``~`` trims one token only and
``<<-`` measures them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from typing import Literal as OneOf

from asyncpipe.template.syntax.nodes import Conditional, For, Joined, Literal, Node, Text
from asyncpipe.template.values import cty

if TYPE_CHECKING:
    from asyncpipe.template.syntax.expressions import Parser

_QUOTED = re.compile(r'\$\$\{|%%\{|[$%](?!\{)|(?:\\[^\r\n]|[^"\\$%\r\n])+')
_BARE = re.compile(r"(?:\$\$\{|%%\{|[$%](?!\{)|[^$%\r\n]+)?(?:\r?\n|\r)?")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_MARKER = re.compile(r"([^\W\d][\w-]*)\r?\n")
_OPEN = re.compile(r"([$%])\{(~?)")


@dataclass(slots=True)
class _Piece:
    """``text``: literal; ``value``: ``${}``; else a directive with its words and expression."""

    kind: OneOf["text", "value", "if", "else", "endif", "for", "endfor"]
    text: str = ""
    node: Node | None = None
    names: tuple[str, ...] = ()


def quoted(parser: Parser) -> Node:
    """Read a string behind its opening quote."""
    pieces = _pieces(parser, _QUOTED, None)
    parser.expect('"')
    return _assembled(pieces, parser)


def bare(parser: Parser) -> Node:
    """Read the whole text as a template: a file of ``templatefile``, a string of JSON."""
    return _assembled(_pieces(parser, _BARE, None), parser)


def heredoc(parser: Parser, *, indented: bool) -> Node:
    """Read a heredoc behind its ``<<`` up to the line with its marker."""
    marker = _MARKER.match(parser.text, parser.position)
    assert marker is not None
    parser.position = marker.end()
    end = re.compile(rf"[^\S\n]*{re.escape(marker[1])}[^\S\n]*(?=\n)")
    pieces = _pieces(parser, _BARE, end)
    if indented:
        _unindent(pieces)
    return _assembled(pieces, parser)


def _pieces(parser: Parser, literal: re.Pattern[str], end: re.Pattern[str] | None) -> list[_Piece]:
    pieces: list[_Piece] = []
    trim, line_start = False, True
    while True:
        if end is not None and line_start and (stop := end.match(parser.text, parser.position)):
            parser.position = stop.end()
            return pieces
        opening = _OPEN.match(parser.text, parser.position)
        if opening is not None:
            parser.position = opening.end()
            if opening[2] and pieces and pieces[-1].kind == "text" and not trim:
                pieces[-1].text = pieces[-1].text.rstrip()
            pieces.append(_sequence(parser, opening[1]))
            trim, line_start = parser.text[parser.position - 2] == "~", False
            continue
        found = literal.match(parser.text, parser.position)
        if found is None or not found[0]:
            if end is not None:
                parser.position = len(parser.text)
                parser.expect("the heredoc's marker")
            return pieces
        parser.position = found.end()
        content = _unescaped(found[0], parser, is_quoted=literal is _QUOTED)
        pieces.append(_Piece("text", content.lstrip() if trim else content))
        trim, line_start = False, found[0].endswith("\n")


def _sequence(parser: Parser, sigil: str) -> _Piece:
    piece = _Piece("value")

    def inner() -> Node:
        if sigil == "$":
            piece.node = parser.expression()
        else:
            _directive(parser, piece)
        parser.expect("}", "~}")
        return piece.node or Literal(cty.NULL)

    parser.bracketed(inner)
    return piece


def _directive(parser: Parser, piece: _Piece) -> None:
    keyword = parser.expect("if", "else", "endif", "for", "endfor")
    piece.kind = keyword  # type: ignore[assignment]
    if keyword == "if":
        piece.node = parser.expression()
    elif keyword == "for":
        piece.names, piece.node = parser.loop()


def _unescaped(found: str, parser: Parser, *, is_quoted: bool) -> str:
    if found in {"$${", "%%{"}:
        return found[1:]
    if not is_quoted or "\\" not in found:
        return found

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code in _ESCAPED:
            return _ESCAPED[code]
        point = int(code[1:], 16) if len(code) > 1 else -1
        if not 0 <= point < 0x110000 or 0xD800 <= point < 0xE000:
            parser.expect("a valid escape sequence")
        return chr(point)

    return _ESCAPE.sub(replace, found)


def _unindent(pieces: list[_Piece]) -> None:
    """Take the smallest indentation off every line, as ``<<-`` asks for."""
    starts, margins, line_start = [], [], True
    for piece in pieces:
        if line_start:
            stripped = piece.text.lstrip()
            if piece.kind != "text":
                margins.append(0)
            elif stripped or not piece.text.endswith("\n"):
                margins.append(len(piece.text) - len(stripped))
                starts.append(piece)
        line_start = piece.kind == "text" and piece.text.endswith("\n")
    for piece in starts:
        piece.text = piece.text[min(margins) :]


def _assembled(pieces: list[_Piece], parser: Parser) -> Node:
    if len(pieces) == 1 and pieces[0].kind == "value" and pieces[0].node is not None:
        return pieces[0].node  # "${x}" keeps the type of x
    return _nodes(pieces, 0, (), parser)[1]


def _nodes(
    pieces: list[_Piece], position: int, ends: tuple[str, ...], parser: Parser
) -> tuple[int, Node]:
    """Put pieces together up to a directive that ends them: (its position, the node)."""
    parts: list[Node] = []
    while position < len(pieces) and pieces[position].kind not in ends:
        piece = pieces[position]
        position += 1
        if piece.kind == "text":
            parts.append(Literal(cty.text(piece.text)))
        elif piece.kind == "value" and piece.node is not None:
            parts.append(piece.node)
        elif piece.kind == "if" and piece.node is not None:
            position, yes = _nodes(pieces, position, ("else", "endif"), parser)
            no: Node = Literal(cty.text(""))
            if pieces[position].kind == "else":
                position, no = _nodes(pieces, position + 1, ("endif",), parser)
            parts.append(Conditional(piece.node, yes, no))
            position += 1
        elif piece.kind == "for" and piece.node is not None:
            position, body = _nodes(pieces, position, ("endfor",), parser)
            parts.append(Joined(For(piece.names, piece.node, body)))
            position += 1
        else:
            parser.expect("a directive that fits")
    if position == len(pieces) and ends:
        parser.expect(f"%{{ {ends[-1]} }}")
    return position, _melded(parts)


def _melded(parts: list[Node]) -> Node:
    texts = [p.value.raw for p in parts if isinstance(p, Literal) and p.value.type == cty.STRING]
    return Literal(cty.text("".join(texts))) if len(texts) == len(parts) else Text(tuple(parts))
