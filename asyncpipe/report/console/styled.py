"""Tables and styled text as plain strings, as rich draws them; nothing here writes anywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from asyncpipe.text.safe import clean

if TYPE_CHECKING:  # a plain log draws nothing: rich takes 20 ms and 4 MiB to load
    from rich.table import Table
    from rich.text import Text

_MOST_CHARS_PER_CELL = 4  # of a line that is not cut before it is measured
_LEAST_CHARS = 256
_LEAST_WIDTH = 20  # of a table
_GAP = "  "  # between its columns
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")  # as styled() writes it


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text (never markup), a rich style, and its alignment."""

    text: str
    style: str = ""
    right: bool = False


def render_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, width: int, colour: bool
) -> tuple[str, ...]:
    """Draw a table of single-line rows no wider than ``width``; the first column yields last."""
    from rich.cells import cell_len  # noqa: PLC0415

    rows = [[replace(cell, text=clean(cell.text)) for cell in row] for row in rows]
    widths = [max(map(cell_len, texts)) for texts in zip(columns, *map(_texts, rows), strict=True)]
    if sum(widths) + len(_GAP) * (len(widths) - 1) > max(_LEAST_WIDTH, width):
        return _squeezed(columns, rows, width=width, colour=colour)
    rights = [bool(rows) and rows[0][index].right for index in range(len(columns))]
    head = [Cell(name, "bold", right=right) for name, right in zip(columns, rights, strict=True)]
    gap = _painted(_GAP, "bold", colour=colour)
    lines = [gap.join(_padded(head, widths, colour=colour))]
    lines += [_GAP.join(_padded(row, widths, colour=colour)) for row in rows]
    return tuple(line.rstrip() for line in lines)


def _texts(row: Sequence[Cell]) -> list[str]:
    return [cell.text for cell in row]


def _padded(row: Sequence[Cell], widths: Sequence[int], *, colour: bool) -> Iterator[str]:
    from rich.cells import cell_len  # noqa: PLC0415

    for cell, width in zip(row, widths, strict=True):
        text = cell.text.rstrip() if cell.right else cell.text
        blanks = " " * (width - cell_len(text))
        yield _painted(blanks + text if cell.right else text + blanks, cell.style, colour=colour)


def _painted(text: str, style: str, *, colour: bool) -> str:
    if not (colour and style and text):
        return text
    before, after = _codes(style)
    return f"{before}{text}{after}"


@cache
def _codes(style: str) -> tuple[str, str]:
    """Return what a terminal reads before and behind a text in this style of rich."""
    from rich.text import Text  # noqa: PLC0415

    before, _, after = _lines(Text("x", style=style), width=_LEAST_WIDTH, colour=True)[0].partition(
        "x"
    )
    return before, after


def _squeezed(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, width: int, colour: bool
) -> tuple[str, ...]:
    """Draw a table that is too wide; rich knows which column yields how much, and takes long."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        right = bool(rows) and rows[0][index].right
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(cell.text, style=cell.style) for cell in row))
    return _lines(table, width=width, colour=colour)


def styled(text: str, style: str, *, colour: bool) -> str:
    """Return ``text`` in ``style`` (a rich style) when colours are wanted."""
    if not colour or not text:
        return text
    from rich.text import Text  # noqa: PLC0415

    return _lines(Text(text, style=style), width=10_000, colour=True)[0]


def cells_of(text: str) -> int:
    """Columns that a line takes on a terminal; its styles take none."""
    from rich.cells import cell_len  # noqa: PLC0415

    return cell_len(_STYLE.sub("", text))


def cut(text: str, columns: int) -> str:
    """Cut a line to ``columns`` of a terminal; its styles stay whole, the cut is shown."""
    if text.isascii() and text.isprintable():  # a cell each
        return text if len(text) <= columns else text[: max(0, columns - 1)] + "…"
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415

    most = max(_MOST_CHARS_PER_CELL * columns, _LEAST_CHARS)  # measuring many takes long
    if len(text) > most and "\x1b" not in text[most:]:
        text = text[:most] + "…"
    if cells_of(text) <= columns:
        return text
    room, parts = max(0, columns - 1), []
    for part in _STYLE.split(text):
        if _STYLE.fullmatch(part):
            parts.append(part)
        elif (size := cell_len(part)) <= room:
            parts.append(part)
            room -= size
        elif room >= 0:
            parts.append(set_cell_size(part, room) + "…")
            room = -1
    return "".join(parts)


def _lines(renderable: Table | Text, *, width: int, colour: bool) -> tuple[str, ...]:
    from rich.console import Console  # noqa: PLC0415

    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(_LEAST_WIDTH, width),
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},  # NO_COLOR and the like were decided at the command line
    )
    console.print(renderable)
    return tuple(line.rstrip() for line in stream.getvalue().rstrip("\n").split("\n"))
