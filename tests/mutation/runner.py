"""Runs the tests of a package against its mutants: ``python -m tests.mutation upload publish``.

Third-party modules are imported once; each mutant runs in a fork, in which an import hook gives
its module the changed source. A mutant is killed when a test fails or time runs out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Final

from tests.mutation.mutants import Mutant, mutants_of

REPOSITORY: Final = Path(__file__).resolve().parents[2]
_PRELOADED: Final = (
    "pytest",
    "anyio",
    "trio.testing",
    "hypothesis",
    "structlog",
    "awscrt.checksums",
    "msgspec",
    "_pytest.assertion.rewrite",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What is mutated, and the ordinary tests that must notice; quick ones first."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


PACKAGES: Final = {
    "upload": Package(
        sources=("asyncpipe/upload",),
        tests=(
            "tests/upload/test_upload.py",
            "tests/upload/test_resume.py",
            "tests/upload/test_finished_source.py",
            "tests/upload/test_growing.py",
            "tests/upload/test_budget.py",
            "tests/upload/test_cancellation.py",
            "tests/upload/test_journal.py",
            "tests/upload/test_plans_and_digests.py",
        ),
    ),
    "publish": Package(
        sources=("asyncpipe/run/publish.py", "asyncpipe/run/eager_upload.py"),
        tests=("tests/run/test_publish.py", "tests/run/test_pipeline.py"),
    ),
    "catalog": Package(sources=("asyncpipe/catalog",), tests=("tests/catalog",)),
    "detect": Package(sources=("asyncpipe/detect/decide.py",), tests=("tests/detect",)),
    "xva": Package(sources=("asyncpipe/xva/read",), tests=("tests/xva",)),
}


class _Changed(importlib.abc.MetaPathFinder):
    """Gives one module a changed source."""

    def __init__(self, mutant: Mutant, source: bytes) -> None:
        self._module = ".".join(mutant.path.with_suffix("").parts).removesuffix(".__init__")
        self._path = REPOSITORY / mutant.path
        self._source = source

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        loader = _Loader(fullname, str(self._path), self._source)
        return importlib.machinery.ModuleSpec(fullname, loader, origin=str(self._path))


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self._changed = source

    def get_code(self, fullname: str) -> CodeType:
        code = compile(self._changed, self.path, "exec")
        assert isinstance(code, CodeType)
        return code


def all_mutants(package: Package) -> list[Mutant]:
    """Every mutant of a package's modules."""
    found: list[Mutant] = []
    for source in package.sources:
        place = REPOSITORY / source
        paths = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        for path in paths:
            found += mutants_of(path.relative_to(REPOSITORY), path.read_bytes())
    return found


def is_killed(mutant: Mutant | None, tests: Sequence[str], *, limit_s: float) -> bool:
    """Run ``tests`` in a fork with ``mutant`` applied (None: as it is)."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(_test(mutant, tests))
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _test(mutant: Mutant | None, tests: Sequence[str]) -> int:
    os.setsid()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if mutant is not None:
        source = (REPOSITORY / mutant.path).read_bytes()
        sys.meta_path.insert(0, _Changed(mutant, mutant.applied(source)))
    import pytest  # noqa: PLC0415 - imported before the fork, by name only here

    flags = "-q -x -n 0 -p no:cacheprovider -W ignore::pytest.PytestAssertRewriteWarning"
    return int(pytest.main([*flags.split(), "-m", "not heavy", *tests]))


def run(
    package: Package, *, sample: int | None, limit_s: float, seed: int
) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant, in random order, and whether it was killed."""
    mutants = all_mutants(package)
    random.Random(seed).shuffle(mutants)
    for mutant in mutants[:sample]:
        yield mutant, is_killed(mutant, package.tests, limit_s=limit_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per mutant that lives, and the score of each package."""
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__)
    parser.add_argument("packages", nargs="+", choices=sorted(PACKAGES))
    parser.add_argument("--sample", type=int, help="mutants of each package; all without it")
    parser.add_argument("--seconds", type=float, default=120.0, help="for the tests of one mutant")
    parser.add_argument("--within", type=float, default=float("inf"), help="seconds of a package")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    os.chdir(REPOSITORY)
    for name in _PRELOADED:
        importlib.import_module(name)
    for name in chosen.packages:
        package = PACKAGES[name]
        if is_killed(None, package.tests, limit_s=10 * chosen.seconds):
            print(f"{name}: the tests fail without any mutant")
            return 1
        ends_s = time.monotonic() + chosen.within
        killed = count = 0
        mutants = run(package, sample=chosen.sample, limit_s=chosen.seconds, seed=chosen.seed)
        for mutant, is_dead in mutants:
            count, killed = count + 1, killed + is_dead
            if not is_dead:
                print(f"lives: {mutant.name}", flush=True)
            if time.monotonic() > ends_s:
                break
        total = len(all_mutants(package))
        print(
            f"{name}: {killed} of {count} killed ({killed / count:.0%}); {total} in all", flush=True
        )
    return 0
