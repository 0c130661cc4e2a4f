"""Tries mutants in forks of a pytest session that has collected its tests already.

A fork gives the mutated function its new code and runs the tests that execute the mutated lines,
quickest first, until one fails. A test that is much slower than measured counts as failed if it is
quick without the mutant: an endless loop is noticed, a busy machine is not.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final

import pytest

from tests.mutation.lines import Measured
from tests.mutation.mutants import Mutant, module_of
from tests.mutation.places import codes_of

_MEMORY_BYTES: Final = 4 << 30
_BEGINS: Final = b"."  # what a fork says of each test
_PASSED: Final = b"p"  # and at the end
_SAMPLE_S: Final = 0.5
_LIMIT_S: Final = 10.0
_LONGEST_CPU_S: Final = 5.0  # a test that takes more, traced, is left out: the score can only fall
_SLOW_S: Final = 10.0  # a failure that took longer is tried without the mutant as well


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "killed by time"
    LIVES = "lives"
    UNSEEN = "lives, no test executes it"
    UNREACHED = "not tried: its function is not loaded"

    @property
    def is_dead(self) -> bool:
        """Whether a test noticed it."""
        return self in {Fate.KILLED, Fate.TIMED_OUT}


class UnreachedError(Exception):
    """The mutant's function is not among the loaded ones, or its closure differs."""


@dataclass(frozen=True, slots=True)
class _End:
    failed: bool
    timed_out: bool
    test: int  # the last one that began
    seconds: float


Tell = Callable[[Mutant, Fate, str], None]


class Trial:
    """A pytest plugin that tries mutants instead of running the tests once."""

    def __init__(
        self,
        repository: Path,
        mutants: Sequence[Mutant],
        measured: dict[str, Measured],
        tell: Tell,
        *,
        scratch: Path,
        apply: bool = True,
    ) -> None:
        self._repository = repository
        self._mutants = mutants
        self._measured = measured
        self._tell = tell
        self._scratch = scratch
        self._apply = apply
        self._sound: dict[str, bool] = {}
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if self._apply:
            for mutant in self._mutants:
                importlib.import_module(module_of(mutant.path))
            self._functions = _functions_below(self._repository)
        gc.freeze()  # or the first collection of each fork would copy every page
        known = [item for item in session.items if self._passes(item)]
        known.sort(key=lambda item: self._measured[item.nodeid].seconds)
        for mutant in self._mutants:
            chosen = [item for item in known if executes(self._measured[item.nodeid], mutant)]
            try:
                fate, by = self._try(mutant, chosen) if chosen else (Fate.UNSEEN, "")
            except UnreachedError:
                fate, by = Fate.UNREACHED, ""
            self._tell(mutant, fate, by)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """End a fork at the first failure: to describe it would cost more than the test."""
        error = call.excinfo.value if call.excinfo is not None else None
        if error is not None and not isinstance(error, pytest.skip.Exception):
            os._exit(1)

    def _passes(self, item: pytest.Item) -> bool:
        known = self._measured.get(item.nodeid)
        return known is not None and known.passed and known.cpu_s <= _LONGEST_CPU_S

    def _try(self, mutant: Mutant, items: Sequence[pytest.Item]) -> tuple[Fate, str]:
        applied = mutant if self._apply else None  # it is in the loaded modules already
        if applied is not None:
            self._changed(applied)
        first = 0
        while first < len(items):
            end = self._fork(applied, items[first:])
            if not end.failed:
                break
            test = items[first + end.test]
            usual_s = self._measured[test.nodeid].seconds
            slow = end.timed_out or end.seconds > max(_SLOW_S, 3 * usual_s)
            if not self._apply or self._passes_without(test, anew=slow):
                return (Fate.TIMED_OUT if end.timed_out else Fate.KILLED), test.nodeid
            first += end.test + 1  # it fails without the mutant too, now
        return Fate.LIVES, ""

    def _passes_without(self, test: pytest.Item, *, anew: bool) -> bool:
        """Whether a test passes in a fork that changes nothing; tried once, or ``anew``."""
        if anew or test.nodeid not in self._sound:
            self._sound[test.nodeid] = not self._fork(None, [test]).failed
        return self._sound[test.nodeid]

    def _fork(self, mutant: Mutant | None, items: Sequence[pytest.Item]) -> _End:
        shutil.rmtree(self._scratch, ignore_errors=True)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                self._child(mutant, items, writing)
            finally:
                os._exit(1)
        os.close(writing)
        try:
            return self._watch(child, reading, items)
        finally:
            os.close(reading)

    def _watch(self, child: int, reading: int, items: Sequence[pytest.Item]) -> _End:
        test, began_s, usual_s = -1, time.monotonic(), 3.0
        while True:
            in_time = _says_something(child, reading, usual_s)
            said = os.read(reading, 1) if in_time else b""
            if said != _BEGINS:
                _kill_group(child)
                os.waitpid(child, 0)
                return _End(
                    failed=said != _PASSED,
                    timed_out=not in_time,
                    test=max(test, 0),
                    seconds=time.monotonic() - began_s,
                )
            test, began_s = test + 1, time.monotonic()
            usual_s = self._measured[items[test].nodeid].seconds

    def _child(self, mutant: Mutant | None, items: Sequence[pytest.Item], writing: int) -> None:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
        silent = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silent, descriptor)
        if mutant is not None:
            for function, code in self._changed(mutant):
                function.__code__ = code
        for item, following in zip(items, [*items[1:], None], strict=True):
            os.write(writing, _BEGINS)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        os.write(writing, _PASSED)

    def _changed(self, mutant: Mutant) -> list[tuple[FunctionType, CodeType]]:
        """The loaded functions that a mutant changes, with their new code.

        Raises:
            UnreachedError: there is none, or its closure would differ.
        """
        path = self._repository / mutant.path
        if mutant.place.function is None:
            raise UnreachedError
        source = mutant.applied(path.read_bytes())
        code = codes_of(compile(source, str(path), "exec")).get(mutant.place.function)
        found = self._functions.get((str(path), *mutant.place.function), [])
        if code is None or not found:
            raise UnreachedError
        if any(one.__code__.co_freevars != code.co_freevars for one in found):
            raise UnreachedError
        return [(one, code) for one in found]


def executes(measured: Measured, mutant: Mutant) -> bool:
    """Whether a test runs the mutated statement; code that runs at import: its module."""
    lines = measured.lines.get(str(mutant.path), frozenset())
    if mutant.place.function is None:
        return bool(lines)
    return not lines.isdisjoint(mutant.place.lines)


def _functions_below(repository: Path) -> dict[tuple[str, str, int], list[FunctionType]]:
    root = f"{repository}/asyncpipe/"
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(root):
            code = one.__code__
            key = (code.co_filename, code.co_qualname, code.co_firstlineno)
            found.setdefault(key, []).append(one)
    return found


def _says_something(child: int, reading: int, usual_s: float) -> bool:
    """Wait for the child; False if it computes far too long, or sleeps far too long.

    A busy machine may keep it waiting for a processor for any time: that is neither.
    """
    began_ticks, slept_s = _state(child)[1], 0.0
    ticks = began_ticks
    while not select.select([reading], [], [], _SAMPLE_S)[0]:
        sleeps, now_ticks = _state(child)
        slept_s = slept_s + _SAMPLE_S if sleeps and now_ticks == ticks else 0.0
        ticks = now_ticks
        computed_s = (ticks - began_ticks) / os.sysconf("SC_CLK_TCK")
        if slept_s > _LIMIT_S + 5 * usual_s or computed_s > _LIMIT_S + 5 * usual_s:
            return False
    return True


def _state(pid: int) -> tuple[bool, int]:
    """Whether a process sleeps, and the clock ticks that it has computed (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return fields[0] == "S", int(fields[11]) + int(fields[12])


def _kill_group(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
