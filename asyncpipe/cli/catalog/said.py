"""What a command of the catalogue has to say, and how rows become a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncpipe.report.webhook import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Text for people, a document for machines; ``bare`` is JSON for both."""

    text: str = ""
    document: Mapping[str, object] = field(default_factory=dict)
    bare: Mapping[str, object] | None = None
    warnings: tuple[str, ...] = ()
    message: Message | None = None  # for a chat, if one was named


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Align the columns of ``rows``; "" when there are none."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
