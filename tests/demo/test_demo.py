"""Real Packer over the real runner: the demo template and what it is to stand for."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.errors import AsyncpipeError, BuildTimedOutError, PackerFailedError, TemplateError
from asyncpipe.model.build import BuildExit, Phase
from asyncpipe.model.template import Template
from asyncpipe.packer import build
from asyncpipe.packer.version import packer_version
from asyncpipe.packer.watch import Listeners
from asyncpipe.run import artifact
from asyncpipe.run import log as buildlog
from asyncpipe.system.logfile import DiskLogFiles
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text.mask import Redactor
from tests.packer.test_build import a_plan

ROOT = Path(__file__).parents[2]
PACKER = os.environ.get("PACKER") or shutil.which("packer") or ""

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_packer,
    pytest.mark.skipif(not PACKER, reason="no packer on this machine (set PACKER or PATH)"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the log file of production needs it


class Run:
    """One build with real Packer."""

    def __init__(self, folder: Path, template: Path, *variables: str, **plan: Any) -> None:
        self.output = folder / "out"
        arguments = [f"-var={text}" for text in variables]
        if "demo" in str(template):
            arguments += [f"-var=output_directory={self.output}", "-var=size_mib=4"]
        self.plan = a_plan(
            folder,
            template=Template(
                path=template, folder=template.parent, kind="hcl2", files=(), sha256_hex=""
            ),
            packer_path=Path(PACKER),
            packer_arguments=tuple(arguments),
            packer_environment={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "ASYNCPIPE_PYTHON": sys.executable,
            },
            working_directory=ROOT,
            **plan,
        )
        self.exits: list[BuildExit] = []
        self.lines: list[str] = []
        self.pids: list[int] = []

    async def run(self, cancel_at: str = "") -> BuildExit | None:
        log_path = self.plan.run_directory / "build.log"
        redactor = Redactor()
        with anyio.fail_after(60), anyio.CancelScope() as scope:
            async with buildlog.open_log(
                log_path, log_files=DiskLogFiles(), redactor=redactor
            ) as log:

                def listen(line: str) -> None:
                    self.lines.append(line)
                    if cancel_at and cancel_at in line:
                        scope.cancel()

                log.subscribe(listen)
                return await build.run(
                    self.plan,
                    runner=SystemProcessRunner(),
                    log=log,
                    listeners=Listeners(on_exit=self.exits.append),
                )
        return None

    async def failure(self) -> AsyncpipeError:
        with pytest.raises(AsyncpipeError) as caught:
            await self.run()
        return caught.value


DAEMON = """
source "null" "x" {
  communicator = "none"
}
build {
  sources = ["source.null.x"]
  provisioner "shell-local" {
    inline = ["cd FOLDER; sleep 120 </dev/null >/dev/null 2>&1 &"]
  }
}
"""
DEMO = ROOT / "templates" / "demo"


def _members(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


async def test_the_demo_makes_one_xva_that_tar_can_list(tmp_path: Path) -> None:
    run = Run(tmp_path, DEMO, "seconds=0.1")
    ended = await run.run()
    assert ended is not None
    members = _members(artifact.collect(run.plan, ended))
    assert members[0] == "ova.xml"
    assert any("/00000000" in name for name in members)
    assert Phase.EXPORT in [span.phase for span in ended.phases]
    assert any("asyncpipe-evidence/1 os-release ID=debian" in line for line in run.lines)


async def test_the_evidence_of_the_demo_counts_its_lines(tmp_path: Path) -> None:
    run = Run(tmp_path, DEMO, "seconds=0")
    await run.run()
    mark = "asyncpipe-evidence/1 "
    lines = [line.split(mark)[1] for line in run.lines if mark in line]
    assert lines[0] == "begin"
    assert lines[-1] == f"end {len(lines) - 2}"


async def test_a_demo_that_fails_in_a_provisioner_shows_the_cause(tmp_path: Path) -> None:
    error = await Run(tmp_path, DEMO, "seconds=0", "fail_in_provisioner=true").failure()
    assert isinstance(error, PackerFailedError)
    assert error.exit_code == 20
    assert any("E: Unable to locate package" in line for line in error.cause_lines)


async def test_cancelled_in_the_installation_nothing_of_packer_is_left(tmp_path: Path) -> None:
    run = Run(tmp_path, DEMO, "seconds=60")
    assert await run.run(cancel_at="Setting up libc6") is None
    assert run.exits[0].cancelled
    log = (tmp_path / "build.log").read_text(encoding="utf-8")
    assert "Cleanly cancelled builds after being interrupted." in log
    assert _processes_below(tmp_path) == []


async def test_a_demo_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    error = await Run(tmp_path, DEMO, "seconds=60", build_timeout_s=1.0).failure()
    assert isinstance(error, BuildTimedOutError)
    assert _processes_below(tmp_path) == []


async def test_a_broken_template_names_file_and_line(tmp_path: Path) -> None:
    template = tmp_path / "broken.pkr.hcl"
    template.write_text('source "null" "x" {\n  communicator = "none"\n', encoding="utf-8")
    error = await Run(tmp_path, template).failure()
    assert isinstance(error, TemplateError)
    assert Path(error.file).name == "broken.pkr.hcl"
    assert error.line


async def test_a_daemon_of_a_provisioner_neither_holds_nor_survives_the_run(
    tmp_path: Path,
) -> None:
    template = tmp_path / "daemon.pkr.hcl"
    template.write_text(DAEMON.replace("FOLDER", str(tmp_path)), encoding="utf-8")
    ended = await Run(tmp_path, template).run()
    assert ended is not None
    assert ended.leftover_output
    assert ended.duration_s < 30
    assert _processes_below(tmp_path) == []


async def test_the_version_of_this_packer_is_read() -> None:
    version = await packer_version(SystemProcessRunner(), Path(PACKER))
    assert version[0].isdigit()


def _processes_below(folder: Path) -> list[str]:
    """Return the command lines of living processes that this run's environment reached."""
    mark = f"TMPDIR={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text(encoding="utf-8"))
        except OSError:
            continue
    return found
