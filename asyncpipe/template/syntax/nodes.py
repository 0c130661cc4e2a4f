"""The syntax tree of HCL as this package evaluates it: expressions, attributes and blocks."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncpipe.template.values.cty import Val


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands as it is."""

    value: Val


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted or heredoc template of more than one interpolation: its pieces in order."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """``%{ for }``: the texts that a ``For`` yields, one after the other."""

    each: For


@dataclass(frozen=True, slots=True)
class Root:
    """The first word of a reference: ``var``, ``local``, a loop variable, a bare type."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """``base.name`` (``is_name``) or ``base[key]``."""

    base: Node
    key: Node
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Splat:
    """``base[*].a``: ``each`` is evaluated with every element as ``ITEM``."""

    base: Node
    each: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; ``expand``: the last argument is a list of arguments (``...``)."""

    name: str
    arguments: tuple[Node, ...]
    expand: bool = False


@dataclass(frozen=True, slots=True)
class Conditional:
    """``test ? yes : no``."""

    test: Node
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """``left operator right``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Unary:
    """``-operand`` or ``!operand``."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class TupleOf:
    """``[a, b]``."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """``{ key = value }``."""

    items: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class For:
    """``[for k, v in c : value if test]``, or with ``key`` the object form."""

    names: tuple[str, ...]
    collection: Node
    value: Node
    key: Node | None = None
    test: Node | None = None
    grouped: bool = False


ITEM = Root("[*]")  # the element that a splat is at; no name can be spelled so

Node = (
    Literal
    | Text
    | Joined
    | Root
    | Index
    | Splat
    | Call
    | Conditional
    | Binary
    | Unary
    | TupleOf
    | ObjectOf
    | For
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """``name = expression`` at a line (1-based, 0 = unknown)."""

    name: str
    expression: Node
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block, or as ``type=""`` the body of a whole file."""

    type: str
    labels: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()

    def of(self, *types: str) -> list[Block]:
        """Return the inner blocks of these types, in order."""
        return [block for block in self.blocks if block.type in types]
