"""What Packer's console and our evaluator make of the same expressions in the same folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asyncpipe import template
from asyncpipe.model.template import UNKNOWN, Unknown, Value

MAX_LINE_CHARS = 50_000  # the console reads lines of 64 KiB

Answer = str | bool | Unknown  # the value as JSON text, False: an error, UNKNOWN


def _attempt(expression: str) -> str:
    return f"try(jsonencode({expression}), false)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Packer's console in a folder; ``arguments`` are more of its options."""

    packer: Path
    folder: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def answers(self, expressions: Sequence[str]) -> list[Answer]:
        """Ask for all at once; where one spoils the others, for halves of them."""
        if not expressions:
            return []
        line = f"jsonencode([{', '.join(map(_attempt, expressions))}])"
        printed = self._ask(line) if len(line) < MAX_LINE_CHARS or len(expressions) == 1 else None
        if printed is not None:
            try:
                found: list[Answer] = json.loads(printed)
            except ValueError:
                pass
            else:
                return found
        if len(expressions) == 1:
            return [UNKNOWN if printed == "<unknown>" else False]
        half = len(expressions) // 2
        return self.answers(expressions[:half]) + self.answers(expressions[half:])

    def _ask(self, line: str) -> str | None:
        command = [str(self.packer), "console", *self.arguments, "."]
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "CHECKPOINT_DISABLE": "1",
            "PACKER_NO_COLOR": "1",
            **self.environment,
        }
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            input=line,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return result.stdout.strip() if result.returncode == 0 else None


def ours(folder: Path, expressions: Sequence[str], **options: object) -> list[Answer]:
    """Our answers, from locals of one more file in the folder."""
    lines = [f"  zz{i} = {_attempt(one)}\n" for i, one in enumerate(expressions)]
    added = folder / "zz.pkr.hcl"
    added.write_text("locals {\n" + "".join(lines) + "}\n", encoding="utf-8")
    try:
        found = template.load(folder, working_directory=folder, **options).locals  # type: ignore[arg-type]
    finally:
        added.unlink()
    values: list[Value] = [found[f"zz{i}"] for i in range(len(expressions))]
    return [one if isinstance(one, str | bool) else UNKNOWN for one in values]
