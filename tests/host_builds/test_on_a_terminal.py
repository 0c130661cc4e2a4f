"""Ctrl-C in the middle of a build: the screen says what is waited for, and is clean afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.in_terminal import CTRL_C, InTerminal, in_terminal
from tests.host_builds.bench import Bench, wait_for
from tests.xapi_standin.standin import XapiStandIn


@pytest.fixture
def bench(tmp_path: Path, xapi: XapiStandIn) -> Bench:
    """A guest that never gets an address, and a host that is slow to destroy its VM."""
    xapi.faults.delays_s["VM.destroy"] = 4.0
    return Bench(tmp_path / "bench", xapi, more={"SCRIPTED_WAIT_S": "60"})


def shows(pattern: str) -> Callable[[list[str]], bool]:
    return lambda screen: any(re.search(pattern, row) for row in screen)


def rows_of(shown: InTerminal) -> list[str]:
    """What is on screen and scrollback in the end; nothing of Ctrl-C, and no live line."""
    rows = [row for row in shown.terminal.everything() if row]
    assert not [row for row in rows if "^C" in row or "^" in row[-2:]], shown.text
    assert not [row for row in rows if row.startswith(("[", "─"))], shown.text
    return rows


@pytest.mark.parametrize(
    "columns",
    [
        60,
        pytest.param(100, marks=pytest.mark.heavy("long")),
        pytest.param(30, marks=pytest.mark.heavy("long")),
    ],
)
def test_ctrl_c_leaves_a_clean_screen_and_says_what_is_waited_for(
    bench: Bench, columns: int
) -> None:
    with in_terminal(
        *("build", "templates/small"),
        folder=bench.folder,
        environment=bench.environment,
        columns=columns,
    ) as shown:
        shown.until(shows(r"^\[wait-ip"), "the live line")
        shown.press(CTRL_C)
        what = r"^\[stopping  waiting for Packer to clean up, (\d+m)?\d+s left"
        shown.until(shows(what if columns >= 60 else r"^\[stopping"), "what is waited for")
        shown.press(CTRL_C + CTRL_C)
        assert shown.finish() == 130
    rows = rows_of(shown)
    assert "asyncpipe: cancelled" in rows
    if columns >= 60:
        assert [row for row in rows if "SIGINT" in row] == [
            "asyncpipe: SIGINT: stopping, cleaning up ..."
        ]
    assert bench.left() == ([], [])


def test_ctrl_c_under_the_board_of_several_templates_leaves_a_clean_screen(bench: Bench) -> None:
    bench.add_template("other")
    with in_terminal(
        *("build", "templates/small", "templates/other", "--jobs", "2"),
        folder=bench.folder,
        environment=bench.environment,
    ) as shown:
        shown.until(shows(r"^(small|other) +wait-ip"), "the board")
        shown.press(CTRL_C)
        left = r"^(small|other) +stopping \((\d+m)?\d+s left\)"
        board = shown.until(shows(left), "the phase with the seconds left")
        assert not [row for row in board if "^C" in row], board
        assert shown.finish() == 130
    rows_of(shown)
    assert bench.left() == ([], [])


@pytest.mark.heavy("long")
def test_a_terminal_that_goes_away_ends_the_build_and_leaves_nothing(bench: Bench) -> None:
    with in_terminal(
        *("build", "templates/small"), folder=bench.folder, environment=bench.environment
    ) as shown:
        shown.until(shows(r"^\[wait-ip"), "the live line")
        assert shown.hang_up() == 130
    assert bench.left() == ([], [])
    assert bench.journal()["units"]["small"]["clean_up"] == "removed"


def test_reap_at_a_terminal_asks_before_it_removes(bench: Bench) -> None:
    process = bench.build()
    wait_for(process, "phase wait-ip")
    process.kill()
    process.communicate()
    for answer, code in (b"n\r", 40), (b"y\r", 0):
        with in_terminal(
            *("reap", "--run", "last", "--grace", "5s"),
            folder=bench.folder,
            environment=bench.environment,
        ) as shown:
            shown.until(shows(r"Remove them\? \[y/N\]"), "the question")
            assert re.search(r"would be removed: .*, (\d+m)?[\d.]+s old", shown.text)
            shown.press(answer)
            assert shown.finish() == code, shown.text
    assert bench.left() == ([], [])
