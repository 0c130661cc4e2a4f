"""What a command of the catalogue has to say, and how rows become a table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from asyncpipe.report.webhook import Message

Document = Mapping[str, object]
_STYLES: Final = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}  # ECMA-48, SGR


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # asyncio calls a result's repr
class Said:
    """Text for people, a document for machines; ``bare`` is JSON for both.

    A ``document`` that takes long to make is a function: it is called only for ``--json``.
    """

    text: str = ""
    document: Document | Callable[[], Document] | None = None
    bare: Document | None = None
    warnings: tuple[str, ...] = ()
    message: Message | None = None  # for a chat, if one was named

    def made(self) -> Document:
        """The document."""
        return self.document() if callable(self.document) else self.document or {}


class Cell(NamedTuple):
    """One cell of a table that has a colour: its text, and the colour's name."""

    text: str
    style: str


def table(
    rows: Sequence[Sequence[str | Cell]], *, header: Sequence[str] = (), right: Collection[int] = ()
) -> str:
    """Align the columns of ``rows``, which may have colours; "" when there are none.

    Whole columns are formatted at once, and plain characters are counted: there may be 10,000
    rows, for which rich would take seconds. The columns in ``right`` are flush right.
    """
    if not rows:
        return ""
    titles = [tuple(Cell(name, "bold") for name in header)] if header else []
    columns = zip(*titles, *rows, strict=True)
    aligned = [_aligned(column, "><"[at not in right]) for at, column in enumerate(columns)]
    return "\n".join(["  ".join(row).rstrip() for row in zip(*aligned, strict=True)])


def _aligned(cells: Sequence[str | Cell], side: str) -> list[str]:
    """Fill cells up to the widest one; blanks have no colour."""
    texts = [cell if isinstance(cell, str) else cell.text for cell in cells]
    fill, width = str.rjust if side == ">" else str.ljust, max(map(len, texts))
    filled = [fill(text, width) for text in texts]
    for at, cell in enumerate(cells):
        if isinstance(cell, Cell):
            filled[at] = _coloured(filled[at], cell)
    return filled


def _coloured(filled: str, cell: Cell) -> str:
    if not (cell.text and cell.style):
        return filled
    styled = f"\x1b[{_STYLES[cell.style]}m{cell.text}\x1b[0m"
    return filled.replace(cell.text, styled, 1)
