"""A user's machine: our wheel in an environment of its own, an empty home, no checkout."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 280.0
# `python3 -m venv` in a fraction of its time: without a copy of pip, which comes from PYTHONPATH.
PYTHON = """#!/bin/sh
if [ "$1 $2" != '-m venv' ]; then exec {python} "$@"; fi
{python} -m venv --without-pip "$3"
printf '#!/bin/sh\\nexec "%s/bin/python" -m pip "$@"\\n' "$(cd "$3" && pwd)" >"$3/bin/pip"
chmod +x "$3/bin/pip"
"""


def the_testers_way_to_the_index() -> dict[str, str]:
    """Index, certificates and proxies, which are of this machine and no user's."""
    found = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_CERT_")) or name.lower().endswith("_proxy")
    }
    cache = os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache/pip")
    return {"PIP_FIND_LINKS": "", "PIP_CACHE_DIR": cache, "PIP_NO_COMPILE": "1"} | found


def built_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout, from its sdist as a release does."""
    build = (
        "from hatchling.builders.sdist import SdistBuilder as S;"
        f"print(next(S('.').build(directory={str(folder)!r})))"
    )
    done = _run([sys.executable, "-c", build], REPOSITORY)
    archive = Path(done.strip().splitlines()[-1])
    shutil.unpack_archive(archive, folder, filter="tar")
    source = folder / archive.name.removesuffix(".tar.gz")
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    _run([*pip, "-w", str(wheels), str(source)], folder)
    return next(wheels.glob("*.whl"))


def _run(argv: list[str], cwd: Path) -> str:
    done = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(slots=True)
class Machine:
    """Where a user works; ``dependencies`` is a folder with every package but ours."""

    folder: Path
    wheel: Path
    dependencies: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        home, tools = self.folder / "home of a user", self.folder / "tools"
        home.mkdir()
        tools.mkdir()
        base = getattr(sys, "_base_executable", sys.executable)
        (tools / "python3").write_text(PYTHON.format(python=base), encoding="utf-8")
        (tools / "python3").chmod(0o755)
        self.environment |= {
            "PATH": f"{tools}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",
            "PYTHONPATH": str(self.dependencies),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheel.parent),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_COMPILE": "1",  # only what is imported is compiled then
            "PIP_NO_DEPS": "1",  # they are there; those of the index are a heavy test's
            "PKR_VAR_seconds": "0",
            "PKR_VAR_size_mib": "4",
        }

    @property
    def repository(self) -> Path:
        return self.folder / "a repository"

    def start_repository(self, *arguments: str) -> None:
        """Git init, and asyncpipe init with ``arguments``, as the README says."""
        self.repository.mkdir()
        self.run("git init -q")
        self.run("python3 -m venv ~/tools && ~/tools/bin/pip install -q asyncpipe", limit_s=800)
        words = " ".join(arguments)
        self.run(f"~/tools/bin/asyncpipe init {words}")

    def lay(self, *arguments: str) -> None:
        """Lay the files with this checkout's program: what they do is tried, not how they came."""
        self.repository.mkdir()
        _run([sys.executable, "-m", "asyncpipe", "init", *arguments], self.repository)

    def run(
        self, script: str, *, limit_s: float = LIMIT_S, **more: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.repository,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done

    @property
    def published(self) -> list[str]:
        root = self.repository / "published/templates"
        return sorted(path.parent.name for path in root.glob("*/latest.json"))


def dependencies_in(folder: Path) -> Path:
    """Links to all packages of the test environment but asyncpipe."""
    folder.mkdir()
    for entry in Path(site.getsitepackages()[0]).iterdir():
        if "asyncpipe" not in entry.name:
            (folder / entry.name).symlink_to(entry)
    return folder
