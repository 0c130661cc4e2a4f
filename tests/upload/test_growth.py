"""When a growing file is looked at again: just when a part is there, and never too often."""

from __future__ import annotations

import anyio
import pytest

from asyncpipe.upload.pace import Growth

LONGEST_S = 0.05
MB = 1_000_000


class Looks:
    """Looks at a file that grows; ``pause_s`` is what the last one said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.size_bytes = 100.0, 0
        self.growth = Growth(LONGEST_S)
        monkeypatch.setattr(anyio, "current_time", lambda: self.now_s)

    def after(self, passed_s: float, grown_bytes: int, wanted_bytes: int) -> float:
        self.now_s += passed_s
        self.size_bytes += grown_bytes
        return self.growth.pause_s(self.size_bytes, wanted_bytes)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks = Looks(monkeypatch)
    for _ in range(20):  # at 100 MB/s
        looks.after(LONGEST_S, 5 * MB, 1000 * MB)
    return looks


def test_a_file_is_looked_at_when_the_part_will_be_there(looks: Looks) -> None:
    assert looks.after(LONGEST_S, 5 * MB, looks.size_bytes + 7 * MB) == pytest.approx(0.02)
    assert looks.after(0.02, 2 * MB, looks.size_bytes + 3 * MB) == pytest.approx(0.01)


def test_a_look_comes_neither_later_than_the_interval_nor_at_once(looks: Looks) -> None:
    assert looks.after(LONGEST_S, 5 * MB, looks.size_bytes + 500 * MB) == LONGEST_S
    assert 0 < looks.after(LONGEST_S, 5 * MB, looks.size_bytes + 5 * MB + 1) < LONGEST_S / 5


def test_a_file_that_stands_still_is_looked_at_less_and_less_often(looks: Looks) -> None:
    wanted_bytes = looks.size_bytes + 1
    pauses = [looks.after(LONGEST_S, 0, wanted_bytes) for _ in range(40)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_S


def test_nothing_is_foretold_of_a_file_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Looks(monkeypatch).after(0.0, MB, 2 * MB) == LONGEST_S
