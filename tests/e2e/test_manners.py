"""What a run leaves on a terminal, in the user's repository, and in its exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import Desk, needs_packer

QUICK = ["-var", "seconds=0", "-var", "size_mib=2"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def git(desk: Desk, *words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=desk.folder,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@needs_packer
@pytest.mark.real_packer
def test_what_is_built_does_not_show_in_the_git_status_of_the_user(desk: Desk) -> None:
    git(desk, "init", "-q")
    assert desk.run("build", "templates/demo", *QUICK).code == 0
    shown = git(desk, "status", "--porcelain", "-uall")
    assert "published" not in shown
    assert ".asyncpipe" not in shown
    assert not (desk.folder / ".gitignore").exists()
    assert desk.run("list").out.count("debian12-demo@") == 1


@needs_packer
@pytest.mark.real_packer
def test_a_folder_that_was_there_before_is_left_as_it_is(desk: Desk) -> None:
    for name in ("published", ".asyncpipe"):
        (desk.folder / name).mkdir()
    assert desk.run("build", "templates/demo", *QUICK).code == 0
    assert list(desk.folder.glob("*/.gitignore")) == []


@needs_packer
@pytest.mark.real_packer
def test_the_guests_lines_of_evidence_are_in_the_log_and_on_the_console_when_asked_for(
    desk: Desk,
) -> None:
    quiet = desk.run("build", "templates/demo", *QUICK)
    assert quiet.code == 0
    assert "asyncpipe-evidence" not in quiet.out
    assert "Setting up openssh-server" in quiet.out
    (log,) = desk.folder.glob("published/templates/debian12-demo/*/build.log")
    assert "asyncpipe-evidence/1 arch x86_64" in log.read_text()
    told = desk.run("build", "-v", "templates/demo", *QUICK)
    assert "asyncpipe-evidence/1 arch x86_64" in told.out


@needs_packer
@pytest.mark.real_packer
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_run_whose_output_could_not_be_written_does_not_end_with_0(
    desk: Desk, log_format: str
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "asyncpipe",
                "build",
                "templates/demo",
                *QUICK,
                "--log-format",
                log_format,
            ],
            cwd=desk.folder,
            env=desk.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 2
    assert "The output: No space left on device" in done.stderr
    assert list(desk.folder.glob("published/templates/debian12-demo/*/debian12-demo.xva"))


@needs_packer
@pytest.mark.real_packer
def test_a_failure_is_told_without_a_path_of_our_checkout(desk: Desk) -> None:
    failed = desk.run("build", "templates/demo", *QUICK, "-var", "fail_in_provisioner=true")
    assert failed.code == 20
    assert re.search(r"code: +20 \(Packer failed\)", failed.out)
    assert not re.search(r"\b(bin|docs)/", failed.all)


def test_one_version_is_not_one_versions(desk: Desk) -> None:
    (desk.folder / "disk.raw").write_bytes(b"x" * 1024 * 1024)
    for words in (
        ["xva", "create", "--name", "x", "--disk", "disk.raw", "-o", "debian-12.xva"],
        ["publish", "debian-12.xva"],
    ):
        assert desk.run(*words).code == 0
    assert desk.run("index", "rebuild").out.endswith("index.json: 1 version\n")
    assert "1 disk, 1 chunk verified" in desk.run("verify", "debian-12.xva").out
    assert desk.run("prune", "--keep", "1").out.startswith("0 versions, ")


@needs_packer
@pytest.mark.real_packer
@pytest.mark.parametrize("destination", ["published", "deep/er/place"])
def test_a_check_leaves_nothing_behind(desk: Desk, destination: str) -> None:
    before = everything_in(desk.folder)
    checked = desk.run("check", "templates/demo", "--destination", destination)
    assert checked.code == 0, checked.all
    assert everything_in(desk.folder) == before


def everything_in(folder: Path) -> set[Path]:
    """Files and folders, less what the tests' own runner and Packer keep in a home."""
    own = {"peak_kib", ".cache", ".config", ".packer.d"}
    return {path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in own}
