"""The documentation names every code, and no code that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.xva.damage import ALL

ROOT = Path(__file__).parents[2]
WARNINGS = {
    "chunk-name-width",
    "checksum-mixed",
    "multi-member",
    "pad-nonzero",
    "disk-overrun",
    "no-disks",
    "cd-in-drive",
    "tar-extension",
}


def documented(heading: str) -> set[str]:
    text = (ROOT / "docs/xva.md").read_text()
    section = text.split(f"### {heading}\n")[1].split("\n#")[0]
    return set(re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE))


def test_every_code_is_documented_and_proved() -> None:
    assert documented("Rejected") == {damage.code for damage in ALL}


def test_every_warning_is_documented() -> None:
    assert documented("Accepted with a warning") == WARNINGS
