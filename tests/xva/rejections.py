"""What is said of each damaged file, and at which byte: ``python -m tests.xva.rejections``.

Writes ``data/rejections.txt`` anew; look at what changed before it is committed.
"""

from __future__ import annotations

from pathlib import Path

from asyncpipe.xva.read.validator import validate
from tests.xva.damage import ALL

PLACE = Path(__file__).parent / "data" / "rejections.txt"


def text() -> str:
    """A line for each damaged file."""
    lines = []
    for damage in ALL:
        rejection = validate(damage.data).rejection
        assert rejection is not None
        where = f"{rejection.code} at byte {rejection.offset_bytes}"
        member = f" in {rejection.member}" if rejection.member else ""
        lines.append(f"{damage}: {where}{member}: {rejection.message}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text())
