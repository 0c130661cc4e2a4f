"""Runs the command line as a person does: a process of its own, a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 120.0

needs_packer = pytest.mark.skipif(
    shutil.which("packer") is None, reason="HashiCorp's Packer is not installed"
)


def clean_environment(home: Path, more: Mapping[str, str] = {}) -> dict[str, str]:
    """PATH and a home of one's own: nothing of the tester's machine decides a test."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(home),
        **more,
    }


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass(slots=True)
class Desk:
    """A working folder with the demo template in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shutil.copytree(REPOSITORY / "templates/demo", self.folder / "templates/demo")
        self.environment = clean_environment(self.folder) | self.environment

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "asyncpipe", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, *arguments: str) -> Ended:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
        return Ended(process.returncode, out, err)

    def files(self, below: str) -> set[str]:
        root = self.folder / below
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and ".asyncpipe-uploads" not in path.parts
        }
