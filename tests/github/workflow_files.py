"""The workflows and the actions of this repository, read for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTIONS = (ROOT / "action.yml", ROOT / "plan/action.yml", ROOT / "reap/action.yml")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step with a name for messages, of all jobs and of the actions."""
    for path in WORKFLOWS:
        for job, body in load(path)["jobs"].items():
            for number, step in enumerate(body.get("steps", ())):
                yield f"{path.name}:{job}:{step.get('name', number)}", step
    for path in ACTIONS:
        for step in load(path)["runs"]["steps"]:
            yield f"{path.relative_to(ROOT)}:{step['name']}", step


def script_of(name: str) -> str:
    """The ``run`` block of the step whose name ends in ``name``."""
    script: str = next(step["run"] for key, step in steps() if key.endswith(name) and "run" in step)
    return script
