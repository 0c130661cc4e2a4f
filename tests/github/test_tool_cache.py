"""Where the actions keep their Python environment: in the runner's tool cache, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.github.workflow_files import ROOT

# Makes an environment in no time: `-m venv --clear FOLDER` is all that it can.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-VV "*) echo "Python $PYTHON_VERSION" ;;
"-m venv")
    echo made >>"$MADE"
    sleep 0.2
    mkdir -p "$4/bin"
    printf '#!/bin/sh\\ncase "$*" in *" pip "*) ;; *) echo "$0 $*" ;; esac\\n' >"$4/bin/python"
    chmod +x "$4/bin/python"
    ;;
esac
"""


class Runner:
    """A runner with a tool cache, and checkouts of the actions on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "tool cache"
        self.made = folder / "made"
        self.environment = {
            "PATH": f"{folder / 'tools'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "GITHUB_ACTIONS": "true",
            "RUNNER_TOOL_CACHE": str(self.cache),
            "PYTHON_VERSION": "3.11.7",
            "MADE": str(self.made),
        }
        self.cache.mkdir()
        (folder / "tools").mkdir()
        (folder / "tools/python3").write_text(PYTHON)
        (folder / "tools/python3").chmod(0o755)

    def checkout(self, name: str) -> Path:
        place = self.folder / name
        (place / "bin").mkdir(parents=True)
        for path in ("bin/asyncpipe", "bin/environment.sh", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / path, place / path)
        return place

    def start(self, checkout: Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [checkout / "bin/asyncpipe", "--version"],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def used(self, checkout: Path, **environment: str) -> Path:
        """The environment in which asyncpipe was started."""
        with self.start(checkout, **environment) as child:
            said, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        program, _, rest = said.strip().partition(" -m ")
        assert rest == "asyncpipe --version"
        return Path(program).parents[1]

    def times_made(self) -> int:
        return len(self.made.read_text().split())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_the_environment_is_made_once_in_the_tool_cache_and_found_again(runner: Runner) -> None:
    checkout = runner.checkout("asyncpipe")
    first = runner.used(checkout)
    assert first.parent == runner.cache / "asyncpipe"
    shutil.rmtree(checkout)  # the next job checks the actions out anew, at the same place
    assert runner.used(runner.checkout("asyncpipe")) == first
    assert runner.times_made() == 1


def test_two_first_uses_at_once_make_it_once(runner: Runner) -> None:
    checkout = runner.checkout("asyncpipe")
    children = [runner.start(checkout), runner.start(checkout)]
    said = {child.communicate(timeout=60)[0] for child in children}
    assert [child.returncode for child in children] == [0, 0]
    assert (len(said), runner.times_made()) == (1, 1)
    assert said.pop().strip().endswith(" -m asyncpipe --version")


def test_another_lock_python_or_place_has_an_environment_of_its_own(runner: Runner) -> None:
    checkout = runner.checkout("asyncpipe")
    found = [runner.used(checkout), runner.used(checkout, PYTHON_VERSION="3.13.1")]
    found.append(runner.used(runner.checkout("elsewhere")))
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# newer\n")
    found.append(runner.used(checkout))
    assert len({*found}) == runner.times_made() == 4


def test_what_no_job_used_for_a_month_is_removed(runner: Runner) -> None:
    month_ago_s = time.time() - 32 * 24 * 3600
    old, young = runner.cache / "asyncpipe/1", runner.cache / "asyncpipe/2"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (month_ago_s, month_ago_s))
    used = runner.used(runner.checkout("asyncpipe"))
    os.utime(used, (month_ago_s, month_ago_s))
    assert runner.used(runner.checkout("asyncpipe again")).is_dir()
    assert not old.exists()
    assert young.exists()


def test_asyncpipe_venv_goes_before_and_without_a_tool_cache_it_is_beside_the_program(
    runner: Runner,
) -> None:
    checkout = runner.checkout("asyncpipe")
    own = runner.folder / "of my own"
    assert runner.used(checkout, ASYNCPIPE_VENV=str(own)) == own
    assert runner.used(checkout, RUNNER_TOOL_CACHE="") == checkout / ".venv"
    assert runner.used(checkout, GITHUB_ACTIONS="") == checkout / ".venv"
    assert not (runner.cache / "asyncpipe").exists()


def test_an_environment_of_an_image_is_taken_as_it_is(runner: Runner) -> None:
    own = runner.folder / "image"
    (own / "bin").mkdir(parents=True)
    (own / ".asyncpipe-as-it-is").touch()
    python = own / "bin/python"
    python.write_text('#!/bin/sh\necho "$0 $*"\n')
    python.chmod(0o755)
    assert runner.used(runner.checkout("asyncpipe"), ASYNCPIPE_VENV=str(own)) == own
    assert not runner.made.exists()
