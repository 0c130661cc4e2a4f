"""The workflows and the action of this repository, read for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github/actions/build-template/action.yml"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step with a name for messages, of all jobs and of the action."""
    for path in WORKFLOWS:
        for job, body in load(path)["jobs"].items():
            for number, step in enumerate(body["steps"]):
                yield f"{path.name}:{job}:{step.get('name', number)}", step
    for step in load(ACTION)["runs"]["steps"]:
        yield f"{ACTION.name}:{step['name']}", step


def script_of(name: str) -> str:
    """The ``run`` block of the step whose name ends in ``name``."""
    script: str = next(step["run"] for key, step in steps() if key.endswith(name) and "run" in step)
    return script
