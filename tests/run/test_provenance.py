from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from asyncpipe.run import provenance
from asyncpipe.system.process import SystemProcessRunner
from tests.preflight.programs import Answer, Programs

pytestmark = pytest.mark.anyio
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ON_GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "example/templates",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_SHA": COMMIT,
    "GITHUB_WORKFLOW": "build\x1b[31m",
}


async def test_commit_state_and_remote_are_told_without_credentials() -> None:
    git = Programs(
        {
            "rev-parse": Answer(f"{COMMIT}\n"),
            "status": Answer(" M templates/debian.pkr.hcl\n"),
            "config": Answer("https://me:token@github.com/example/templates.git\n"),
        }
    )
    facts = await provenance.gather(git, environment={"AWS_SECRET": "x"}, cwd=Path("/srv"))
    assert facts.git_commit == COMMIT
    assert facts.git_dirty is True
    assert facts.git_remote == "https://github.com/example/templates.git"
    assert facts.ci is None
    assert all("AWS_SECRET" not in command.environment for command in git.seen)


async def test_without_git_nothing_is_claimed() -> None:
    facts = await provenance.gather(Programs({}), environment={}, cwd=Path("/srv"))
    assert (facts.git_commit, facts.git_dirty, facts.git_remote) == (None, None, None)


async def test_a_git_that_hangs_is_left_behind() -> None:
    git = Programs({"rev-parse": Answer(f"{COMMIT}\n"), "git": Answer(hangs=True)})
    facts = await provenance.gather(git, environment={}, cwd=Path("/srv"), timeout_s=0.05)
    assert facts.git_commit == COMMIT
    assert facts.git_dirty is None
    assert git.left == 3


async def test_on_github_the_run_can_be_found_again() -> None:
    facts = await provenance.gather(Programs({}), environment=ON_GITHUB, cwd=Path("/srv"))
    assert facts.git_commit == COMMIT
    assert facts.ci is not None
    assert facts.ci.run_url == "https://github.com/example/templates/actions/runs/42/attempts/2"
    assert facts.ci.workflow.isprintable()


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
async def test_a_real_repository_is_read(tmp_path: Path) -> None:
    _repository(tmp_path)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    runner = SystemProcessRunner()
    clean = await provenance.gather(runner, environment=environment, cwd=tmp_path, timeout_s=60)
    (tmp_path / "file").write_text("changed")
    dirty = await provenance.gather(runner, environment=environment, cwd=tmp_path, timeout_s=60)

    assert clean.git_commit is not None
    assert (clean.git_dirty, dirty.git_dirty) == (False, True)
    assert clean.git_remote == "example.org:templates.git"


def _repository(folder: Path) -> None:
    (folder / "file").write_text("first")
    for line in (
        "init -q",
        "remote add origin git@example.org:templates.git",
        "add file",
        "-c user.name=n -c user.email=e@example.org commit -q -m first",
    ):
        subprocess.run(["git", *line.split()], cwd=folder, check=True, capture_output=True)
