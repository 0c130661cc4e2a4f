"""Patterns that were compiled once are loaded from then on, and never trusted blindly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hyperscan
import pytest

from asyncpipe.text import compiled
from asyncpipe.text.scan import Scanner

PATTERNS, FLAGS = [rb"gh[pousr]_[A-Za-z0-9]{8}", b"password="], [0, 0]
TEXT = b"token gh" + b"p_abcdEFGH password=x"
HITS = [(0, 0, 18), (1, 0, 28)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this interpreter would keep them: below a folder of its own."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = compiled._path_of("test")
    assert path is not None
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True)
    return path


def hits(*, name: str = "test", patterns: list[bytes] = PATTERNS) -> list[tuple[int, int, int]]:
    return Scanner(patterns, [0] * len(patterns), name=name).hits(TEXT, 100)


def test_what_is_loaded_finds_what_was_compiled(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hits() == HITS
    assert place.stat().st_mode & 0o022 == 0
    loaded: list[int] = []
    load = hyperscan.loadb

    def seen(data: bytes, mode: int) -> hyperscan.Database:
        loaded.append(len(data))
        return load(data, mode)

    monkeypatch.setattr(hyperscan, "loadb", seen)
    assert hits() == HITS
    assert loaded == [place.stat().st_size - 32]
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_other_patterns_are_not_taken_for_these(place: Path) -> None:
    hits()
    assert hits(patterns=[b"token"]) == [(0, 0, 5)]
    assert hits() == HITS
    assert place.exists()


@pytest.mark.parametrize("harm", ["first", "middle", "last", "short", "empty", "long"])
def test_a_damaged_file_is_made_anew(harm: str, place: Path) -> None:
    hits()
    whole = place.read_bytes()
    at = {"first": 0, "middle": len(whole) // 2, "last": len(whole) - 1}.get(harm)
    if at is not None:
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    else:
        place.write_bytes({"short": whole[:-9], "empty": b"", "long": whole + b"\0" * 9}[harm])
    assert hits() == HITS
    assert place.read_bytes() == whole


def test_patterns_without_a_name_are_never_written(place: Path) -> None:
    """The forms of a run's secrets are such patterns."""
    assert hits(name="") == HITS
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("reason", ["no bytecode is wanted", "there is no folder"])
def test_where_nothing_can_be_kept_it_is_compiled(
    reason: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "no bytecode is wanted":
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
    else:
        place.parent.rmdir()
    assert hits() == HITS
    assert not place.exists()


def test_no_secret_of_a_run_is_in_what_is_kept(tmp_path: Path) -> None:
    """A real process that masks: what it leaves has kinds of secrets, none of a run."""
    script = (
        "from asyncpipe.text.mask import Redactor\n"
        "from asyncpipe.text.secrets import secrets_of\n"
        "mask = Redactor(secrets_of({}, {'pw': 'kzu8-Wq1-known-value'}))\n"
        "print(mask.feed(b'a kzu8-Wq1-known-value b\\n') + mask.flush())\n"
    )
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            check=True,
            timeout=120,
        )
        assert b"known" not in done.stdout, done
        assert b"***" in done.stdout, done
    kept = list(tmp_path.rglob("*.hs"))
    assert {path.name.split(".")[-2] for path in kept} >= {"kinds"}
    assert not any(b"known-value" in path.read_bytes() for path in kept)
