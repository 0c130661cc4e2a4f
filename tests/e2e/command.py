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

from tests.e2e import forked

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 120.0

# The command line, and at its end the most memory that this process (none of its children) held.
_PEAK = """
import atexit, pathlib, re
from asyncpipe.cli.main import main

@atexit.register
def tell() -> None:
    status = pathlib.Path("/proc/self/status").read_text()
    pathlib.Path("peak_kib").write_text(re.search(r"VmHWM:\\s+(\\d+)", status)[1])

main()
"""

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
            [sys.executable, "-c", _PEAK, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, *arguments: str) -> Ended:
        """Run a command to its end, in a process that was forked from one with all imports."""
        done = forked.run(
            arguments, folder=self.folder, environment=self.environment, limit_s=LIMIT_S
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def run_anew(self, *arguments: str) -> Ended:
        """Run a command as a shell does, from the interpreter's start on."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
        return Ended(process.returncode, out, err)

    @property
    def peak_mib(self) -> float:
        """The most memory that the last command held."""
        return int((self.folder / "peak_kib").read_text("ascii")) / 1024

    def files(self, below: str) -> set[str]:
        root = self.folder / below
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and ".asyncpipe-uploads" not in path.parts
        }
