"""The shape of the package: what docs/architecture.md promises about it stays true."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "asyncpipe"
ARCHITECTURE = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")

MOST_ROOMS = 27
MOST_MODULES = 14
MOST_LINES = 350
# The same thing in each place: the adapter of a backend, the commands of a folder of commands.
SAME_MEANING = {"__init__.py", "store.py", "commands.py"}


def modules(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]


def rooms() -> list[Path]:
    folders = [path for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))]
    return [*folders, *(path for path in modules(PACKAGE) if path.name != "__main__.py")]


def test_a_stranger_sees_few_rooms() -> None:
    assert len(rooms()) <= MOST_ROOMS, sorted(path.name for path in rooms())


def test_no_folder_is_a_heap_of_modules() -> None:
    folders = [PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())]
    heaps = {
        str(folder.relative_to(PACKAGE)): len(modules(folder))
        for folder in folders
        if len(modules(folder)) > MOST_MODULES
    }
    assert heaps == {}


def test_no_module_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_no_call_is_left_to_a_thread_that_the_exit_waits_for() -> None:
    """anyio's threads are joined at exit, abandoned or not: ``system/threads.py`` has others."""
    modules = sorted((REPOSITORY / "asyncpipe").glob("**/*.py"))
    assert not [path for path in modules if "abandon_on_cancel=True" in path.read_text("utf-8")]


@pytest.mark.parametrize("room", [path for path in rooms() if path.is_dir()], ids=lambda p: p.name)
def test_a_file_name_means_one_thing_in_a_room(room: Path) -> None:
    names = Counter(path.name for path in room.rglob("*.py"))
    assert {name for name, count in names.items() if count > 1} <= SAME_MEANING


def test_the_files_that_the_architecture_names_exist() -> None:
    named = set(re.findall(r"`([a-z_0-9/]+(?:\.py|/))`", ARCHITECTURE)) - {"failed/"}  # a key
    missing = {
        name for name in named if not (PACKAGE / name).exists() and not (REPOSITORY / name).exists()
    }
    assert named
    assert missing == set()


@pytest.mark.parametrize("title", ["Ten questions", "Where do I change ...?"])
def test_each_question_ends_at_most_two_files_further(title: str) -> None:
    table = ARCHITECTURE.split(f"## {title}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (?!question|change)([^|-][^|]*) \| ([^|]*) \|$", table, re.MULTILINE)
    assert len(rows) == 10
    for question, answer in rows:
        files = re.findall(r"`([a-z_0-9/]+(?:\.py|/))`", answer)
        assert 1 <= len(files) <= 2, (question, files)
