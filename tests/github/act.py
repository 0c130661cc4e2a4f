"""nektos/act in host mode, over copies of this repository and of one that uses it.

act 0.2.89 knows neither ``$/`` (resolved here as the runner does it, to the repository that holds
the workflow) nor ``queue``; foreign actions come from a folder, since nothing is fetched from
GitHub. Annotations, masks and limits are the runner stand-in's business.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e import many
from tests.github.made_environment import made_environment
from tests.github.workflow_files import ROOT
from tests.stores.real_servers import cache_folder

ACT: Final = ("act", "github.com/nektos/act", "v0.2.89")
ACTIONLINT: Final = ("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12")
OWN: Final = "the-owner/asyncpipe"
REF: Final = "v1"
LIMIT_S: Final = 900.0
_LABELS: Final = ("ubuntu-24.04", "self-hosted", "linux", "xcp-ng")
# For every foreign action: an artifact is kept in a folder, everything else does nothing.
_STAND_IN: Final = """
name: stand-in
description: keeps what an artifact would hold
inputs: {name: {default: ""}, path: {default: ""}, if-no-files-found: {default: ""}, \
retention-days: {default: ""}, attestations: {default: ""}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {KEPT: "${{ inputs.path }}"}
      run: if [ -d "$KEPT" ]; then cp -r "$KEPT" "$ACT_KEEPS"; fi; echo kept
"""
# As bin/test leaves a checkout; the tests do not run themselves.
_TEST: Final = f"""#!/bin/sh
mkdir -p .venv-dev/bin
printf '#!/bin/sh\\nexec {sys.executable} "$@"\\n' >.venv-dev/bin/python
chmod +x .venv-dev/bin/python
echo "bin/test $*"
"""


def go_tool(name: str, module: str, version: str) -> Path:
    """A program in the cache, built with Go when it is not there; skips where it cannot be."""
    folder = cache_folder() / f"{name}-{version}"
    program = folder / name
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            pytest.skip(f"{name} is built with Go, which is not installed here")
        done = subprocess.run(
            ["nice", "-n", "15", go, "install", f"{module}@{version}"],
            env={**os.environ, "GOBIN": str(folder), "GOFLAGS": "-buildvcs=false"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"{name} could not be built: {done.stderr.strip()[-300:]}")
    return program


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a run of act ended."""

    code: int
    text: str

    def jobs(self, verdict: str) -> set[str]:
        """The names of the jobs that succeeded or failed."""
        found = re.findall(rf"^\[(.+?)\s*\] 🏁  Job {verdict}$", self.text, re.MULTILINE)
        return {name.rpartition("/")[2] for name in found}


class Bench:
    """The two repositories, what is set in them, and where things are published."""

    def __init__(
        self, folder: Path, copies: Sequence[many.Copy] = (), *, whole: bool = False
    ) -> None:
        """Copy this repository: what its actions need, or the ``whole`` of it as it is."""
        self.folder = folder
        self.program = go_tool(*ACT)
        self.own = folder / "own"
        self.published = folder / "published"
        self.environment = {"ASYNCPIPE_VENV": str(made_environment(folder / "venv"))}
        self.kept = folder / "kept"
        self.kept.mkdir()
        self.environment["ACT_KEEPS"] = str(self.kept)
        if whole:
            _whole_of_ours(self.own)
        else:
            _copy_of_ours(self.own)
            many.write(self.own / "templates", copies)
        (self.own / "bin/test").write_text(_TEST)
        commit(self.own, OWN)
        self.nothing = folder / "nothing"
        self.nothing.mkdir()
        (self.nothing / "action.yml").write_text(_STAND_IN)

    def repository(self, workflow: str, copies: Sequence[many.Copy]) -> Path:
        """A repository that is not ours, with one workflow and its own templates."""
        place = self.folder / "theirs"
        (place / ".github/workflows").mkdir(parents=True)
        (place / ".github/workflows/use.yml").write_text(workflow)
        many.write(place / "templates", copies)
        commit(place, "somebody/images")
        return place

    def start(
        self, event: str, workflow: str, *, repository: Path | None = None,
        inputs: Mapping[str, str] | None = None, payload: Mapping[str, Any] | None = None,
        **environment: str,
    ) -> subprocess.Popen[str]:  # fmt: skip
        """Start act; ``wait`` for it."""
        place = repository or self.own
        events = self.folder / "event.json"
        event_of = {"repository": {"fork": False}, "inputs": inputs or {}, **(payload or {})}
        events.write_text(json.dumps(event_of))
        uses = re.findall(r"uses: ([\w-]+/[\w-]+@[0-9a-f]{40})", _workflows())
        argv = [
            str(self.program), event, "-W", f".github/workflows/{workflow}", "-e", str(events),
            "--pull=false", "--action-offline-mode", "--no-cache-server", "--concurrent-jobs", "1",
            "--action-cache-path", str(self.folder / "cache"),
            "--var", f"ASYNCPIPE_DESTINATION={self.published}", "--secret", "GITHUB_TOKEN=none",
            "--local-repository", f"{OWN}@{REF}={self.own}",
        ]  # fmt: skip
        for label in _LABELS:
            argv += ["-P", f"{label}=-self-hosted"]
        for use in {*uses}:
            argv += ["--local-repository", f"{use}={self.nothing}"]
        for name, value in {**self.environment, **environment}.items():
            argv += ["--env", f"{name}={value}"]
        return subprocess.Popen(
            argv,
            cwd=place,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, event: str, workflow: str, **how: Any) -> Done:
        """Run act to its end."""
        with self.start(event, workflow, **how) as child:
            return wait(child)

    def latest(self) -> set[str]:
        return {path.parent.name for path in self.published.glob("templates/*/latest.json")}

    def living(self) -> list[int]:
        """Processes of this bench: they have its environment, or did when they began."""
        mark = self.environment["ASYNCPIPE_VENV"].encode()
        return [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/environ")
            if mark in _read(path)
        ]


def wait(child: subprocess.Popen[str]) -> Done:
    """The end of act, within the limit."""
    try:
        text, _ = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)
        text, _ = child.communicate(timeout=60)
    return Done(code=child.returncode, text=text)


def until(is_so: Callable[[], bool], limit_s: float = 300) -> None:
    """Wait for something that another process does."""
    deadline_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline_s, "it never came to that"
        time.sleep(0.2)


def commit(place: Path, name: str) -> None:
    """Make everything in ``place`` a commit of the repository ``name``."""
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.invalid")
    for arguments in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("add", "--all"),
        (*identity, "commit", "--quiet", "--message", "x"),
        ("remote", "add", "origin", f"https://github.com/{name}.git"),
    ):
        subprocess.run(["git", *arguments], cwd=place, check=True, timeout=60, capture_output=True)


def _copy_of_ours(place: Path) -> None:
    """The actions and workflows of a checkout, as act understands them.

    The program itself is the one under test (``made_environment``): act copies the repository of
    an action at the beginning and the end of each of its steps.
    """
    for name in ("bin", "build", "plan", "reap", ".github"):
        shutil.copytree(ROOT / name, place / name, symlinks=True)
    for name in ("action.yml", "requirements.lock", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, place / name)
    for path in (place / ".github/workflows").glob("*.yml"):
        text = re.sub(r"uses: \$/([\w./-]+)", rf"uses: {OWN}/\1@{REF}", path.read_text())
        path.write_text(re.sub(r"^ +queue: max\n", "", text, flags=re.MULTILINE))


def _whole_of_ours(place: Path) -> None:
    """All that git would check out, but the tests."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", ".", ":!tests"],
        cwd=ROOT, check=True, timeout=60, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name, follow_symlinks=False)


def _workflows() -> str:
    return "\n".join(path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
