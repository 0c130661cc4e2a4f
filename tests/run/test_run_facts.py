from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from asyncpipe.model.run import RunFacts
from asyncpipe.model.template import Location, TemplateSource
from asyncpipe.run.origin import run_facts
from asyncpipe.system.process import SystemProcessRunner
from tests.preflight.programs import Answer, Programs
from tests.run.services import plan_in

pytestmark = pytest.mark.anyio
ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"}
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
    facts = await run_facts.gather(git, environment={"AWS_SECRET": "x"}, cwd=Path("/srv"))
    assert facts.git_commit == COMMIT
    assert facts.git_dirty is True
    assert facts.git_remote == "https://github.com/example/templates.git"
    assert facts.ci is None
    assert all("AWS_SECRET" not in command.environment for command in git.seen)


async def test_without_git_nothing_is_claimed() -> None:
    facts = await run_facts.gather(Programs({}), environment={}, cwd=Path("/srv"))
    assert (facts.git_commit, facts.git_dirty, facts.git_remote) == (None, None, None)


async def test_a_git_that_hangs_is_left_behind() -> None:
    git = Programs({"rev-parse": Answer(f"{COMMIT}\n"), "git": Answer(hangs=True)})
    facts = await run_facts.gather(git, environment={}, cwd=Path("/srv"), timeout_s=0.05)
    assert facts.git_commit == COMMIT
    assert facts.git_dirty is None
    assert git.left == 3


async def test_on_github_the_run_can_be_found_again() -> None:
    facts = await run_facts.gather(Programs({}), environment=ON_GITHUB, cwd=Path("/srv"))
    assert facts.git_commit == COMMIT
    assert facts.ci is not None
    assert facts.ci.run_url == "https://github.com/example/templates/actions/runs/42/attempts/2"
    assert facts.ci.workflow.isprintable()


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
async def test_a_real_repository_is_read(tmp_path: Path) -> None:
    _repository(tmp_path)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    runner = SystemProcessRunner()
    clean = await run_facts.gather(runner, environment=environment, cwd=tmp_path, timeout_s=60)
    (tmp_path / "file").write_text("changed")
    dirty = await run_facts.gather(runner, environment=environment, cwd=tmp_path, timeout_s=60)

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


@pytest.mark.parametrize(
    ("prefix", "path", "expected"),
    [
        ("", "templates/debian/12", "templates/debian/12"),
        ("images/", "templates/debian/12", "images/templates/debian/12"),
        ("images/", ".", "images"),
        ("images/web/", "../db", "images/db"),
        ("", ".", "."),
        ("", "../elsewhere/db", "db"),  # not of this checkout: no path of the machine is told
    ],
)
def test_a_template_is_remembered_as_seen_from_the_checkouts_top(
    tmp_path: Path, prefix: str, path: str, expected: str
) -> None:
    facts = RunFacts(
        tool_version="0", git_remote="git@github.com:example/images.git", git_prefix=prefix
    )
    template = replace(plan_in(tmp_path).template, path=Path(path))
    filler = run_facts.filler_of(plan_in(tmp_path, template=template), facts)
    assert filler is not None
    assert (filler.repository, filler.path) == ("github.com/example/images", expected)


def test_without_a_checkout_a_template_is_remembered_by_its_path_from_here(tmp_path: Path) -> None:
    facts = RunFacts(tool_version="0")
    for path, expected in (("web", "web"), (".", tmp_path.name), (str(tmp_path / "web"), "web")):
        template = replace(plan_in(tmp_path).template, path=Path(path))
        filler = run_facts.filler_of(plan_in(tmp_path, template=template), facts)
        assert filler is not None
        assert (filler.repository, filler.path) == (None, expected)


def test_a_file_that_no_template_made_fills_no_place(tmp_path: Path) -> None:
    template = replace(plan_in(tmp_path).template, kind="file")
    facts = RunFacts(tool_version="0")
    assert run_facts.filler_of(plan_in(tmp_path, template=template), facts) is None


def test_of_a_template_with_several_builds_each_is_remembered(tmp_path: Path) -> None:
    place = Location(file="x")
    sources = tuple(
        TemplateSource(
            type="null", label=label, build_name=None, attributes={}, locations={}, location=place
        )
        for label in ("bios", "uefi")
    )
    template = replace(plan_in(tmp_path).template, sources=sources)
    plan = plan_in(tmp_path, template=template, source_name="null.uefi")
    filler = run_facts.filler_of(plan, RunFacts(tool_version="0"))
    assert filler is not None
    assert filler.build == "null.uefi"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.invalid")
    for words in (("init", "--quiet"), (*identity, "commit", "-q", "--allow-empty", "-m", "x")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, env=ENVIRONMENT)
    return tmp_path


async def test_the_folder_below_the_checkouts_top_is_known(checkout: Path) -> None:
    below = checkout / "images/web"
    below.mkdir(parents=True)
    for folder, prefix in ((below, "images/web/"), (checkout, "")):
        facts = await run_facts.gather(SystemProcessRunner(), environment=ENVIRONMENT, cwd=folder)
        assert facts.git_prefix == prefix
        assert facts.git_commit is not None
