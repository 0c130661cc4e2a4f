"""Jobs that share a work folder: one is killed at a random moment, the clean-up spares others."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.github.workflow_files import ROOT
from tests.run.services import xva_bytes

pytestmark = [pytest.mark.heavy("github"), pytest.mark.timeout(880)]
KILLS = 20
PACKER = """#!/bin/sh
case $1 in
version) echo "Packer v1.16.0"; exit 0 ;;
build) ;;
*) exit 0 ;;
esac
for argument; do
	case $argument in -var=output_directory=*) output=${argument#*output_directory=} ;; esac
done
while ! [ -e %(go)s ]; do sleep 0.1; done
mkdir -p "$output" && cp %(xva)s "$output/x.xva"
"""
TEMPLATE = """
variable "output_directory" {
  type    = string
  default = "output"
}
locals {
  os_name    = "%s"
  os_version = "%s"
}
source "null" "x" { communicator = "none" }
build { sources = ["source.null.x"] }
"""


class Machine:
    """A runner's machine with two templates: one for the job that lives, one for those killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.go = folder / "go"
        xva = folder / "whole.xva"
        xva.write_bytes(xva_bytes(folder))
        packer = folder / "packer"
        packer.write_text(PACKER % {"go": self.go, "xva": xva})
        packer.chmod(0o755)
        for name, system in (("living", ("debian", "12")), ("victim", ("rocky", "9"))):
            (folder / name).mkdir()
            (folder / name / "x.pkr.hcl").write_text(TEMPLATE % system)
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "PACKER": str(packer),
            "GITHUB_ACTIONS": "true",
            "ASYNCPIPE_WORK_DIRECTORY": str(folder / "work"),
            "ASYNCPIPE_DESTINATION": str(folder / "published"),
        }

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "asyncpipe", *arguments],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def reap(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "asyncpipe", "reap", *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def packers(self, name: str) -> set[int]:
        """The living Packers that build the template ``name``."""
        found = set()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.folder / "packer").encode() in words and name.encode() in words:
                found.add(int(path.parent.name))
        return found

    def runs(self) -> set[Path]:
        return {path.parent for path in self.folder.glob("work/runs/*/run.json")}


def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline_s, "it never came to that"
        time.sleep(0.05)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    try:
        yield made
    finally:
        for pid in made.packers("living") | made.packers("victim"):
            os.kill(pid, signal.SIGKILL)


def test_a_living_run_is_never_touched_and_of_a_killed_one_nothing_is_left(
    machine: Machine,
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to run it again
    chance = random.Random(seed)
    living = machine.start("build", "living")
    until(lambda: len(machine.packers("living")) > 0)
    begun = machine.packers("living")
    killed_in_a_run = 0
    for _ in range(KILLS):
        before = machine.runs()
        victim = machine.start("build", "victim")
        if chance.random() < 0.7:  # else while it starts
            until(lambda before=before: machine.runs() != before)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 1.5))
        victim.kill()
        victim.wait(30)
        killed_in_a_run += machine.runs() != before
        machine.reap("--run", "last", "--if-any")
        assert living.poll() is None
        assert machine.packers("living") == begun
        assert machine.packers("victim") == set()
    assert killed_in_a_run >= KILLS // 4
    machine.go.touch()
    assert living.wait(120) == 0
    published = machine.folder / "published/templates"
    assert [path.name for path in published.glob("*/latest.json")] == ["latest.json"]
    # killed between its claim and its run.json: nobody knows that run, the weekly clean-up ends it
    known = {path.name.partition("-")[0] for path in machine.runs()}
    left = {path.parent.name for path in published.glob("rocky9/2*/claim.json")}
    assert left.isdisjoint(known)
    machine.reap("--older-than", "0s")
    assert list(published.glob("rocky9/2*/*")) == []
    assert len(list(published.glob("debian12/2*/metadata.json"))) == 1
