"""The board of several templates on a terminal: above the log's tail, and gone at the end."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest

from asyncpipe.model.events import Event, OutputLines, RunFinished, RunStarted, TemplateStarted
from asyncpipe.report.console.printers import Style
from asyncpipe.report.console.terminal import BoardPrinter
from tests.report.emulator import Terminal
from tests.report.samples import DEBIAN, published

UNITS = tuple(f"template-{n}" for n in range(8))
SIZES = ((80, 24), (120, 40), (40, 10), (200, 60))
END = RunFinished(run_id="r1", outcomes=(published(UNITS[0]),), exit_code=0, duration_s=3.0)
OF_THE_BOARD = re.compile(r"ETA|phase +elapsed|^─|^ *and \d|^template-\d +start")


def begin(units: tuple[str, ...]) -> tuple[Event, ...]:
    run = RunStarted(run_id="r1", units=units, destination="file:///srv/published/")
    return run, *(
        TemplateStarted(unit=unit, template_path=f"templates/{unit}", identity=DEBIAN)
        for unit in units
    )


def line(number: int, text: str = "") -> OutputLines:
    return OutputLines(unit=UNITS[number % 8], text=f"<{number}>{text}")


def numbers(rows: list[str]) -> list[int]:
    return [int(found) for row in rows for found in re.findall(r"<(\d+)>", row)]


class Run:
    """A printer and the terminal that it writes to, on a clock of their own."""

    def __init__(
        self,
        columns: int,
        lines: int,
        *,
        units: tuple[str, ...] = UNITS,
        reflows: bool = False,
        colour: bool = False,
    ) -> None:
        self.terminal = Terminal(columns, lines)
        style = Style(units=units, reflows=reflows, colour=colour)
        self.printer = BoardPrinter(style, lambda: self.terminal.size)
        self.now_s = 0.0
        self.show(*begin(units))

    def show(self, *events: Event, seconds: float = 1.0) -> None:
        self.now_s += seconds
        text = self.printer.show(events, {}, self.now_s) + self.printer.tick(self.now_s)
        self.terminal.write(text)

    def log(self, count: int, *, first: int = 0, text: str = "") -> None:
        for number in range(first, first + count):
            self.show(line(number, text))

    def end(self) -> list[str]:
        self.show(END)
        self.terminal.write(self.printer.close(self.now_s))
        return self.terminal.everything()

    def parts(self) -> tuple[list[str], list[str], list[str]]:
        """What the screen shows: the log above, the board, the tail; the rule left out."""
        rows = self.terminal.screen()
        begin = next(n for n, row in enumerate(rows) if row.startswith("template "))
        rule = next(n for n, row in enumerate(rows) if row.startswith("─"))
        while not rows[-1]:
            rows.pop()
        return rows[:begin], rows[begin:rule], rows[rule + 1 :]


def batches(count: int) -> Iterator[tuple[list[OutputLines], float]]:
    """Lines in batches of many sizes and paces; some lines are far longer than a screen is wide."""
    dice = random.Random(7)
    number = 0
    while number < count:
        size = min(count - number, dice.choice((1, 1, 2, 5, 40, 300)))
        texts = [dice.choice(("", " x", " long" * 100, " 漢字" * 60)) for _ in range(size)]
        yield [line(number + n, text) for n, text in enumerate(texts)], dice.choice((0, 0.05, 1))
        number += size


@pytest.mark.parametrize(
    ("columns", "lines", "colour"),
    [*((*size, False) for size in SIZES), (80, 24, True), (20, 5, False), (80, 4, True)],
)
def test_the_log_is_there_once_in_order_and_nothing_of_the_board_remains(
    columns: int, lines: int, *, colour: bool
) -> None:
    run = Run(columns, lines, colour=colour)
    for events, seconds in batches(400):
        run.show(*events, seconds=seconds)
    rows = run.end()
    assert numbers(rows) == list(range(400))
    assert [row for row in rows if OF_THE_BOARD.search(row)] == []
    assert "".join(rows).count("漢字") == sum(
        event.text.count("漢字") for events, _ in batches(400) for event in events
    )


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_the_board_stands_above_the_last_lines_while_the_run_lasts(
    columns: int, lines: int
) -> None:
    run = Run(columns, lines)
    above: list[str] = []
    tail: list[str] = []
    for number in range(100):
        run.show(line(number, " and much more than fits" * 20))
        above, board, tail = run.parts()
        assert numbers(tail) == list(range(number + 1))[-len(numbers(tail)) :]
        assert numbers(above) == [] or numbers(above)[-1] < numbers(tail)[0]
        assert len(board) <= max(3, lines // 2)
        assert max(map(len, tail)) < columns
    assert 5 <= len(tail) <= lines // 2
    assert len(above) >= 1


@pytest.mark.parametrize(("columns", "lines"), [(120, 24), (80, 40), (50, 24), (30, 24), (200, 60)])
def test_another_size_between_two_draws_leaves_log_and_board_whole(
    columns: int, lines: int
) -> None:
    run = Run(80, 24)
    run.log(60)
    run.terminal.resize(columns, lines)
    run.log(60, first=60)
    rows = run.end()
    assert numbers(rows) == list(range(120))
    assert [row for row in rows if OF_THE_BOARD.search(row)] == []


def test_a_terminal_that_becomes_lower_keeps_the_log_whole() -> None:
    run = Run(80, 40)
    run.log(60)
    before = numbers(run.terminal.everything())
    run.terminal.resize(80, 12)
    run.log(60, first=60)
    seen = numbers(run.end())
    assert set(seen) == set(range(120))
    assert seen[-60:] == list(range(60, 120))
    assert before == list(range(60))


@pytest.mark.parametrize("columns", [100, 79, 60, 45])
def test_a_terminal_that_folds_its_lines_anew_keeps_log_and_board_whole_too(columns: int) -> None:
    run = Run(80, 40, reflows=True)
    run.log(60)
    run.terminal = run.terminal.reflowed(columns)
    run.log(60, first=60)
    rows = run.end()
    assert numbers(rows) == list(range(120))
    assert [row for row in rows if OF_THE_BOARD.search(row)] == []


def test_where_the_folded_board_no_longer_fits_the_log_is_whole_still() -> None:
    run = Run(80, 40, reflows=True)
    run.log(60, text=" some words that fill the line of a terminal, and then some more of them")
    run.terminal = run.terminal.reflowed(30)
    run.log(60, first=60)
    assert list(dict.fromkeys(numbers(run.end()))) == list(range(120))


def test_of_more_templates_than_fit_the_others_are_counted() -> None:
    run = Run(60, 20, units=tuple(f"a-template-with-a-long-name-{n}" for n in range(30)))
    _, board, tail = run.parts()
    assert len(board) <= 10
    assert board[-1] == "  and 22 running"
    assert len(tail) >= 5


def test_a_fast_log_is_drawn_in_batches_of_bounded_size() -> None:
    run = Run(80, 24)
    drawn = []
    for number in range(0, 20_000, 100):
        events = tuple(line(number + n) for n in range(100))
        drawn.append(run.printer.show(events, {}, run.now_s) + run.printer.tick(run.now_s))
    texts = [text for text in drawn if text]
    assert len(texts) <= 20
    assert max(map(len, texts)) < 131_072 + 16_384  # what is held, one more batch, the region
    run.terminal.write("".join(texts))
    assert numbers(run.end()) == list(range(20_000))


def test_a_guest_s_line_cannot_act_on_the_terminal_from_within_the_tail() -> None:
    run = Run(80, 24)
    hostile = "a\x1b[2J\x1b[?7h\x1b[H\x1b]0;title\x07b\x00\x9b31mc\rd\u202ee\u2028f"
    run.show(line(1, hostile))
    above, _, tail = run.parts()
    assert tail[-1] == "template-1 | <1>abc de f"
    assert any("run r1" in row for row in (*above, *tail))


def test_what_the_tail_holds_is_printed_when_the_run_breaks_off() -> None:
    run = Run(80, 24)
    run.log(30)
    run.terminal.write(run.printer.close(run.now_s))
    rows = run.terminal.everything()
    assert numbers(rows) == list(range(30))
    assert [row for row in rows if OF_THE_BOARD.search(row)] == []
