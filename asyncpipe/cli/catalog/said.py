"""What a command of the catalogue has to say, and how rows become a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncpipe.report.webhook import Message

Document = Mapping[str, object]
_STYLES: Final = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}  # ECMA-48, SGR


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: its text, the name of its colour, and its alignment."""

    text: str
    style: str = ""
    right: bool = False

    def padded(self, width: int) -> str:
        """The text in its colour, in a column of ``width``; blanks have no colour."""
        text = self.text
        styled = f"\x1b[{_STYLES[self.style]}m{text}\x1b[0m" if self.style and text else text
        blanks = " " * (width - len(text))
        return blanks + styled if self.right else styled + blanks


def table(rows: Sequence[Sequence[str | Cell]], *, header: Sequence[str] = ()) -> str:
    """Align the columns of ``rows``, which may have colours; "" when there are none.

    Plain characters are counted: what rich would take seconds for has 10,000 rows here.
    """
    if not rows:
        return ""
    cells = [[one if isinstance(one, Cell) else Cell(one) for one in row] for row in rows]
    if header:
        right = [one.right for one in cells[0]]
        cells.insert(0, [Cell(name, "bold", at) for name, at in zip(header, right, strict=True)])
    widths = [max(len(row[column].text) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.padded(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
