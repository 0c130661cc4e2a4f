"""Mutants of a package against its ordinary tests: ``python -m tests.mutation upload publish``.

Each test's executed lines are measured once (lines.py). A mutant is then tried on the tests that
execute it, in a fork of one process that has collected them (forks.py); code that runs at import
needs a process of its own, in which an import hook gives the module its changed source.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Final

from tests.mutation import lines
from tests.mutation.forks import Fate, Tell, Trial
from tests.mutation.mutants import Mutant, module_of, mutants_of

REPOSITORY: Final = Path(__file__).resolve().parents[2]
_PRELOADED: Final = (
    "pytest",
    "anyio",
    "trio.testing",
    "hypothesis",
    "structlog",
    "awscrt.checksums",
    "msgspec",
)
_FLAGS: Final = ("-q", "-s", "-n0", "-p", "no:cacheprovider", "--assert=plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What is mutated, and the ordinary tests that must notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]

    def paths(self) -> list[Path]:
        """Its modules, from the repository."""
        found: list[Path] = []
        for source in self.sources:
            place = REPOSITORY / source
            found += sorted(place.rglob("*.py")) if place.is_dir() else [place]
        return [path.relative_to(REPOSITORY) for path in found]

    def mutants(self) -> list[Mutant]:
        """Every mutant of its modules."""
        return [
            one
            for path in self.paths()
            for one in mutants_of(path, (REPOSITORY / path).read_bytes())
        ]


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
            "tests/upload/test_read_back.py",
        ),
    ),
    "publish": Package(
        sources=("asyncpipe/run/publish.py", "asyncpipe/run/eager_upload.py"),
        tests=(
            "tests/run/test_publish.py",
            "tests/run/test_pipeline.py",
            "tests/run/test_eager_upload.py",
        ),
    ),
    "catalog": Package(sources=("asyncpipe/catalog",), tests=("tests/catalog",)),
    "detect": Package(sources=("asyncpipe/detect/decide.py",), tests=("tests/detect",)),
    "xva": Package(
        sources=("asyncpipe/xva/read",),
        tests=(
            "tests/xva/test_damaged_files.py",
            "tests/xva/test_good_files.py",
            "tests/xva/test_round_trip.py",
        ),
    ),
}


class _Changed(importlib.abc.MetaPathFinder):
    """Gives one module a changed source."""

    def __init__(self, mutant: Mutant) -> None:
        self._module = module_of(mutant.path)
        self._path = REPOSITORY / mutant.path
        self._source = mutant.applied(self._path.read_bytes())

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


def in_child(function: Callable[[], int]) -> int:
    """Call a function in a fork that prints nothing; returns what it returned (1: it raised)."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            silent = os.open(os.devnull, os.O_RDWR)
            for descriptor in (1, 2):
                os.dup2(silent, descriptor)
            code = function()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def preload() -> None:
    """Import what the forks share; nothing of ours, which a mutant may change."""
    os.chdir(REPOSITORY)
    for name in _PRELOADED:
        importlib.import_module(name)
    hypothesis = importlib.import_module("hypothesis")
    hypothesis.settings.register_profile(  # a busy machine is no reason to fail
        "mutation",
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")


@dataclass(slots=True)
class Trials:
    """The mutants of one package, tried one after the other."""

    package: Package
    name: str
    scratch: Path
    tests: tuple[str, ...] = ()

    @property
    def _measured(self) -> Path:
        return lines.CACHE / (f"{self.name}-some.json" if self.tests else f"{self.name}.json")

    def measure(self) -> int:
        """Run every test once; returns how many there are."""
        sources = [str(path) for path in self.package.paths()]
        in_child(lambda: self._pytest(lines.Measure(REPOSITORY, sources, self._measured)))
        return len(lines.by_test(self._measured))

    def try_all(self, mutants: Sequence[Mutant], tell: Tell) -> None:
        """Try each; ``tell(mutant, fate, the test that noticed)``, some at the end."""
        alone = [one for one in mutants if one.place.function is None]
        together = [one for one in mutants if one.place.function is not None]
        alone += self._try(together, tell, hook=False)
        for mutant in alone:
            if self._try([mutant], tell, hook=True):
                tell(mutant, Fate.KILLED, "the import of the tests")

    def _try(self, mutants: Sequence[Mutant], tell: Tell, *, hook: bool) -> list[Mutant]:
        """Try mutants in one child; returns those that it said nothing of."""
        left = dict(enumerate(mutants))
        reading, writing = os.pipe()
        with os.fdopen(reading) as said:
            child = os.fork()
            if child == 0:
                try:
                    self._child(mutants, writing, hook=hook)
                finally:
                    os._exit(1)
            os.close(writing)
            for line in said:
                number, fate, test = line.rstrip("\n").split("\t")
                if Fate(fate) is not Fate.UNREACHED:
                    tell(left.pop(int(number)), Fate(fate), test)
        os.waitpid(child, 0)
        return list(left.values())

    def _child(self, mutants: Sequence[Mutant], writing: int, *, hook: bool) -> None:
        silent = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):
            os.dup2(silent, descriptor)
        numbers = {id(mutant): number for number, mutant in enumerate(mutants)}

        def tell(mutant: Mutant, fate: Fate, test: str) -> None:
            os.write(writing, f"{numbers[id(mutant)]}\t{fate}\t{test}\n".encode())

        if hook:
            sys.meta_path.insert(0, _Changed(mutants[0]))
        measured = lines.by_test(self._measured)
        self._pytest(
            Trial(REPOSITORY, mutants, measured, tell, scratch=self.scratch, apply=not hook)
        )

    def _pytest(self, plugin: object) -> int:
        import pytest  # noqa: PLC0415 - imported before the fork, by name only here

        tests = self.tests or self.package.tests
        flags = [*_FLAGS, f"--basetemp={self.scratch}", "-m", "not heavy"]
        return int(pytest.main([*flags, *tests], plugins=[lines.Quick(), plugin]))


def is_killed(mutant: Mutant | None, tests: Sequence[str]) -> bool:
    """Run all of ``tests`` in a fork with ``mutant`` applied at import (None: as it is)."""

    def test() -> int:
        import pytest  # noqa: PLC0415 - imported before the fork, by name only here

        if mutant is not None:
            sys.meta_path.insert(0, _Changed(mutant))
        return int(pytest.main([*_FLAGS, "-x", "-m", "not heavy", *tests]))

    return in_child(test) != 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per mutant that lives, and the score of each package."""
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__)
    parser.add_argument("packages", nargs="+", choices=sorted(PACKAGES))
    parser.add_argument("--sample", type=int, help="mutants of each package; all without it")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument(
        "--log", type=Path, help="a file of results: those there are not tried again"
    )
    parser.add_argument("--again", action="store_true", help="try those that live in the log")
    parser.add_argument(
        "--tests", nargs="+", default=(), help="only these: a mutant that lives may still die"
    )
    chosen = parser.parse_args(arguments)
    preload()
    for name in chosen.packages:
        mutants = PACKAGES[name].mutants()
        random.Random(chosen.seed).shuffle(mutants)
        log = _Log(chosen.log)
        known = log.read(again=chosen.again)
        mutants = mutants[: chosen.sample]
        if chosen.again:
            mutants = [one for one in mutants if one.name in log.seen]
        known_fates = {one: known[one.name] for one in mutants if one.name in known}
        _run(name, mutants, log, known_fates, tuple(chosen.tests))
    return 0


class _Log:
    """What became of each mutant, a line each, so that a run that was stopped can go on."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.seen: set[str] = set()

    def read(self, *, again: bool) -> dict[str, Fate]:
        """The results by mutant; ``again``: without those that live."""
        if self._path is None or not self._path.exists():
            return {}
        known = {}
        for line in self._path.read_text().splitlines():
            fate, name, _test = line.split("\t")
            self.seen.add(name)
            known[name] = Fate(fate)
        return {name: fate for name, fate in known.items() if fate.is_dead or not again}

    def add(self, mutant: Mutant, fate: Fate, test: str) -> None:
        """Append one result."""
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(f"{fate}\t{mutant.name}\t{test}\n")


def _run(
    name: str,
    mutants: Sequence[Mutant],
    log: _Log,
    known: dict[Mutant, Fate],
    tests: tuple[str, ...],
) -> None:
    began_s = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="mutation-"))
    counts = Counter(known.values())

    def tell(mutant: Mutant, fate: Fate, test: str) -> None:
        counts[fate] += 1
        log.add(mutant, fate, test)
        if not fate.is_dead:
            print(f"{fate}: {mutant.name}", flush=True)

    for mutant, fate in known.items():
        if not fate.is_dead:
            print(f"{fate}: {mutant.name}", flush=True)
    trials = Trials(PACKAGES[name], name, scratch / "tests", tests)
    try:
        count = trials.measure()
        print(f"{name}: {count} tests measured in {time.monotonic() - began_s:.0f} s", flush=True)
        trials.try_all([one for one in mutants if one not in known], tell)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    dead = sum(count for fate, count in counts.items() if fate.is_dead)
    tried = counts.total()
    print(
        f"{name}: {dead} of {tried} killed ({dead / max(tried, 1):.1%}),"
        f" {counts[Fate.TIMED_OUT]} of them by time, {counts[Fate.UNSEEN]} seen by no test;"
        f" {len(PACKAGES[name].mutants())} in all, {time.monotonic() - began_s:.0f} s",
        flush=True,
    )
