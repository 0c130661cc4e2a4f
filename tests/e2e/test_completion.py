"""Completion as a shell asks for it: commands, options, templates, published versions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import Desk

ASK = """
. ./completion
COMP_LINE=$1 COMP_POINT=${#1}
_asyncpipe_completion asyncpipe
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("desk") / "it's here")
    for words in (
        ["xva", "create", "--name", "x", "--disk", "disk.raw", "-o", "debian-12.xva"],
        ["publish", "debian-12.xva", "--os", "debian", "--os-version", "12"],
        ["channel", "set", "debian12:stable", "latest"],
    ):
        (desk.folder / "disk.raw").write_bytes(b"x" * 1024 * 1024)
        ended = desk.run(*words)
        assert ended.code == 0, ended.all
    return desk


def in_bash(desk: Desk, line: str) -> list[str]:
    script = desk.run("completion", "bash")
    assert script.code == 0
    (desk.folder / "completion").write_text(script.out)
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", line],
        cwd=desk.folder,
        env=desk.environment | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [word for word in done.stdout.split("\n") if word]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("asyncpipe ver", ["verify"]),
        ("asyncpipe build --strict", ["--strict-identity"]),
        ("asyncpipe build --s3-profile mi", ["minio"]),
        ("asyncpipe build tem", ["templates/demo"]),
        ("asyncpipe pull deb", ["debian12"]),
        ("asyncpipe pull debian12:", ["stable"]),
    ],
)
def test_bash_completes(desk: Desk, line: str, expected: list[str]) -> None:
    assert in_bash(desk, line) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_the_version_after_the_sign_at_which_it_breaks_words(desk: Desk) -> None:
    (version,) = in_bash(desk, "asyncpipe latest debian12@")
    assert (desk.folder / "published/templates/debian12" / version).is_dir()


@pytest.mark.parametrize(("shell", "own"), [("zsh", "#compdef asyncpipe"), ("fish", "complete")])
def test_the_other_shells_have_a_script_and_are_answered(desk: Desk, shell: str, own: str) -> None:
    assert own in desk.run("completion", shell).out
    environment = desk.environment | {
        "_ASYNCPIPE_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "asyncpipe pull deb",
        "COMP_CWORD": "2" if shell == "zsh" else "deb",
    }
    done = subprocess.run(
        [sys.executable, "-m", "asyncpipe"],
        cwd=desk.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "debian12" in done.stdout


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["buidl"], "Did you mean 'build'?"),
        (["build", "--grase", "1m"], "Did you mean one of: '--grace'"),
        (["build", "templates/dmeo"], "Did you mean templates/demo?"),
        (["pull", "debian-12"], "Did you mean debian12?"),
        (["list", "debain12"], "Did you mean debian12?"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_one_it_resembles(
    desk: Desk, words: list[str], meant: str
) -> None:
    assert meant in desk.run(*words).all


def test_the_completion_of_a_store_that_is_not_there_is_empty(desk: Desk, tmp_path: Path) -> None:
    assert in_bash(desk, f"asyncpipe pull --destination {tmp_path}/none deb") == []
