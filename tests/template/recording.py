"""Record what Packer's console says: ``python -m tests.template.recording``, with Packer 1.16.

The folder and the expressions beside it are ours; ``expressions.json`` holds each expression with
Packer's answer: the value as JSON text, false for an error, null where the console has none.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from asyncpipe.model.template import UNKNOWN
from tests.template.console import Answer, Console
from tests.template.grammar import expression

RECORDED = Path(__file__).parent / "recorded"
GENERATED = 400


def copy_of(folder: Path, into: Path) -> Path:
    """A copy whose name does not matter to the answers."""
    shutil.copytree(folder, into / "t")
    return into / "t"


def load() -> list[tuple[str, Answer]]:
    """The recorded expressions with Packer's answers."""
    rows = json.loads((RECORDED / "expressions.json").read_text(encoding="utf-8"))
    return [(text, UNKNOWN if answer is None else answer) for text, answer in rows]


def generated(count: int, starting: int, longest: int = 600) -> list[str]:
    """So many different expressions of the grammar, the same for the same ``starting``."""
    found: dict[str, None] = {}

    @seed(starting)
    @settings(
        max_examples=count * 2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(expression)
    def collect(text: str) -> None:
        if len(text) <= longest:
            found.setdefault(text)

    collect()
    chosen = sorted(found)
    random.Random(starting).shuffle(chosen)
    return chosen[:count]


def record(packer: Path) -> None:
    """Ask Packer and write the file."""
    own = (RECORDED / "extra.txt").read_text(encoding="utf-8").splitlines()
    expressions = [*own, *sorted(generated(GENERATED, 16, longest=160))]
    with tempfile.TemporaryDirectory() as folder:
        copied = copy_of(RECORDED / "folder", Path(folder))
        answers = Console(packer=packer, folder=copied).answers(expressions)
    rows = [
        json.dumps([text, None if answer is UNKNOWN else answer], ensure_ascii=False)
        for text, answer in zip(expressions, answers, strict=True)
    ]
    (RECORDED / "expressions.json").write_text("[\n" + ",\n".join(rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    from tests.templates.real_packer import current_packer

    record(current_packer().packer)
