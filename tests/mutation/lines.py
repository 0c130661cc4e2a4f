"""Which tests execute which lines of a package: measured once, kept in the tests' cache.

A test is measured again when its file, a helper beside it or the package itself has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import pytest

CACHE: Final = Path.home() / ".cache" / "asyncpipe-tests" / "mutation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One test: how long it took, of that on a processor, and the lines it executed.

    The lines are by path from the repository.
    """

    seconds: float
    cpu_s: float
    lines: dict[str, frozenset[int]]
    passed: bool


class Tracer:
    """Collects the executed lines of some files, in every thread; each line costs once a test."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files  # as code objects name them -> from the repository
        self._left: dict[CodeType, set[int]] = {}  # lines that were not executed yet

    def start(self) -> None:
        self._left = {}
        threading.settrace(self._call)
        sys.settrace(self._call)

    def stop(self) -> dict[str, frozenset[int]]:
        sys.settrace(None)
        threading.settrace(None)
        seen: dict[str, set[int]] = {}
        for code, left in self._left.items():
            seen.setdefault(self._files[code.co_filename], set()).update(_lines_of(code) - left)
        return {path: frozenset(lines) for path, lines in seen.items()}

    def _call(self, frame: FrameType, _event: str, _argument: object) -> Any:
        code = frame.f_code
        if code.co_filename not in self._files:
            return None
        left = self._left.get(code)
        if left is None:
            left = self._left[code] = _lines_of(code)
        left.discard(frame.f_lineno)
        return self._line if left else None

    def _line(self, frame: FrameType, _event: str, _argument: object) -> Any:
        left = self._left.get(frame.f_code)
        if left is not None:
            left.discard(frame.f_lineno)
        return self._line


def _lines_of(code: CodeType) -> set[int]:
    return {line for _start, _end, line in code.co_lines() if line is not None}


class Quick:
    """A pytest plugin that leaves out what would slow a mutant down: properties, and trio."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if _is_quick(item)]


def _is_quick(item: pytest.Item) -> bool:
    if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return False
    parameters: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return parameters.get("anyio_backend") != "trio"


class Measure:
    """A pytest plugin that runs each test under a tracer, and knows what it has seen before."""

    def __init__(self, repository: Path, sources: Sequence[str], place: Path) -> None:
        self._repository = repository
        self._tracer = Tracer({str(repository / source): source for source in sources})
        self._place = place
        self._sources = _digest(repository / source for source in sources)
        self._failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        old = read(self._place) if self._place.exists() else {}
        found = {}
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            mark = f"{self._sources} {_digest(_beside(item.path))}"
            key = f"{mark} {item.nodeid}"
            found[key] = old[key] if key in old else self._measured(item, following)
        write(self._place, found)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def _measured(self, item: pytest.Item, following: pytest.Item | None) -> Measured:
        self._failed = False
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        self._tracer.start()
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        finally:
            lines = self._tracer.stop()
        return Measured(
            seconds=time.monotonic() - began_s,
            cpu_s=time.process_time() - began_cpu_s,
            lines=lines,
            passed=not self._failed,
        )


def read(place: Path) -> dict[str, Measured]:
    """Read what was measured; the last word of each key is the test's id."""
    return {
        key: Measured(
            seconds=one["seconds"],
            cpu_s=one.get("cpu_s", 0.0),  # what was measured before this was
            passed=one["passed"],
            lines={path: frozenset(lines) for path, lines in one["lines"].items()},
        )
        for key, one in json.loads(place.read_text()).items()
    }


def by_test(place: Path) -> dict[str, Measured]:
    """What was measured last, by the test's id."""
    return {key.split(" ", 2)[2]: one for key, one in read(place).items()}


def write(place: Path, found: dict[str, Measured]) -> None:
    """Keep what was measured."""
    place.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        key: {
            "seconds": round(one.seconds, 3),
            "cpu_s": round(one.cpu_s, 3),
            "passed": one.passed,
            "lines": {path: sorted(lines) for path, lines in one.lines.items()},
        }
        for key, one in found.items()
    }
    partial = place.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(whole))
    partial.replace(place)


def _beside(path: Path) -> list[Path]:
    helpers = (one for one in path.parent.glob("*.py") if not one.name.startswith("test_"))
    return [path, *sorted(helpers)]


def _digest(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
