"""Whole runs: no secret in what they print, write, publish, report or post."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.text.leaky_run import WAYS, Run, Way, found_in, secrets_for

_EACH = 200  # secrets of a run; all its forms are some ten thousand
_HEAVY = 10_000


def _leaks(folder: Path, way: Way, count: int, seed: int) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    secrets = secrets_for(random.Random(seed), count)
    texts = Run(folder, way, secrets, seed).texts()
    assert _is_whole(texts, way), sorted(texts)
    return [f"{way.name}, seed {seed}: {leak}" for leak in found_in(texts, secrets)]


def _is_whole(texts: dict[str, str], way: Way) -> bool:
    """Whether every place in which a secret might stand was there to be searched."""
    if "--dry-run" in way.arguments:
        return "debian12" in texts["printed"]
    names = {Path(name).name for name in texts}
    expected = {"printed", "posted", "build.log", "metadata.json", "run.json", "report.json"}
    expected |= set() if way.in_terminal else {"summary", "outputs"}
    logs = [text for name, text in texts.items() if name.endswith("build.log")]
    return expected <= names and texts["posted"] != "" and all("****" in text for text in logs)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_no_secret_of_a_run_can_be_read_anywhere(tmp_path: Path, way: Way) -> None:
    assert _leaks(tmp_path / "run", way, 24, 1) == []


def test_the_search_finds_what_was_left_in_any_form() -> None:
    (secret,) = secrets_for(random.Random(3), 1)
    for text in (secret, f"\x1b[1;31m{secret}", "\\x00".join(secret), secret.encode().hex()):
        assert found_in({"somewhere": f"it is {text} here"}, [secret]) != []
    assert found_in({"somewhere": "it is **** here"}, [secret]) == []


@pytest.mark.heavy
def test_none_of_ten_thousand_secrets_can_be_read_anywhere(tmp_path: Path) -> None:
    for seed in range(_HEAVY // _EACH):
        way = WAYS[seed % len(WAYS)]
        assert _leaks(tmp_path / str(seed), way, _EACH, seed) == []
