"""How a run of four templates looks: the pictures are in data/, for the eye and for this test."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncpipe.model.build import Phase
from asyncpipe.model.events import (
    Event,
    ExportGrew,
    OutputLines,
    PhaseChanged,
    RunFinished,
    RunStarted,
    TemplateFinished,
    TemplateStarted,
    UploadProgress,
    Warned,
)
from asyncpipe.report import github
from asyncpipe.report.console.printers import PlainPrinter, Printer, Style
from asyncpipe.report.console.terminal import BoardPrinter, TerminalPrinter
from asyncpipe.report.github.printer import GithubPrinter
from tests.report.emulator import Terminal
from tests.report.samples import DEBIAN, RUN, failed, published

DATA = Path(__file__).parent / "data"
UNITS = ("debian-12", "rocky-9", "ubuntu-24.04", "almalinux-10")
MIB = 1024**2
GOOD, BAD = published("debian-12"), failed("rocky-9", log_tail=("==> null.demo: boom",))


def phase(unit: str, entered: Phase) -> PhaseChanged:
    return PhaseChanged(unit=unit, phase=entered)


def line(unit: str, text: str) -> OutputLines:
    return OutputLines(unit=unit, text=text)


def grown(unit: str, size_mib: int) -> ExportGrew:
    return ExportGrew(unit=unit, size_bytes=size_mib * MIB)


def sent(size_mib: int) -> UploadProgress:
    return UploadProgress(
        unit="debian-12", key="x.xva", sent_bytes=size_mib * MIB, total_bytes=1400 * MIB
    )


def begun(unit: str) -> TemplateStarted:
    return TemplateStarted(unit=unit, template_path=f"templates/{unit}", identity=DEBIAN)


RUNNING: tuple[tuple[float, Event], ...] = (
    (0, RunStarted(run_id=RUN.run_id, units=UNITS, destination=RUN.destination)),
    (0, begun("debian-12")),
    (0, begun("rocky-9")),
    (1, begun("ubuntu-24.04")),
    (2, line("debian-12", "==> xenserver-iso.debian: XAPI client session established")),
    (3, line("rocky-9", "==> xenserver-iso.rocky: Step: Create Instance")),
    (9, phase("rocky-9", Phase.PROVISION)),
    (40, phase("debian-12", Phase.EXPORT)),
    (41, grown("debian-12", 100)),
    (51, grown("debian-12", 900)),
    (58, phase("debian-12", Phase.PUBLISH)),
    (58, sent(0)),
    (60, line("rocky-9", "    xenserver-iso.rocky: Complete!")),
    (61, Warned(unit="rocky-9", code="end-of-life", message="Rocky Linux 8 ended in May 2029.")),
    (66, sent(700)),
    (66, phase("ubuntu-24.04", Phase.EXPORT)),
    (66, grown("ubuntu-24.04", 0)),
    (68, TemplateFinished(unit="rocky-9", outcome=BAD)),
    (70, sent(1050)),
    (70, grown("ubuntu-24.04", 320)),
)
ENDED: tuple[tuple[float, Event], ...] = (
    (75, TemplateFinished(unit="debian-12", outcome=GOOD)),
    (
        75,
        RunFinished(
            run_id=RUN.run_id,
            outcomes=(GOOD, BAD),
            exit_code=130,
            duration_s=75.0,
            cancelled=True,
            remains=("ubuntu-24.04: an open upload; asyncpipe reap --run runs/r1",),
        ),
    ),
)


def shown(printer: Printer, events: tuple[tuple[float, Event], ...]) -> str:
    text, at_s = "", 0.0
    for now_s, event in events:
        while at_s + 1 <= now_s:
            at_s += 1
            text += printer.tick(at_s)
        text += printer.show((event,), {}, now_s)
    return text


def on_screen(printer: Printer, events: tuple[tuple[float, Event], ...], width: int) -> str:
    """What a terminal shows in the end, with what scrolled away."""
    terminal = Terminal(width, 30)
    terminal.write(shown(printer, events))
    return "\n".join(terminal.everything()).rstrip("\n") + "\n"


def plain() -> str:
    return shown(PlainPrinter(Style(units=UNITS)), (*RUNNING, *ENDED))


def screen(width: int) -> str:
    return on_screen(BoardPrinter(Style(units=UNITS), lambda: (width, 30)), RUNNING, width)


def one() -> str:
    printer = TerminalPrinter(Style(units=("debian-12",)), lambda: (80, 24))
    events = [
        (now_s, event)
        for now_s, event in RUNNING
        if getattr(event, "unit", "debian-12") == "debian-12"
    ]
    return on_screen(printer, tuple(events[1:]), 80)


def on_github() -> str:
    text = shown(GithubPrinter(Style(units=UNITS)), (*RUNNING, *ENDED))
    return re.sub(r"[0-9a-f]{64}(?=:|\n)", "TOKEN", text)


PICTURES: dict[str, Callable[[], str]] = {
    "plain.txt": plain,
    "board.txt": lambda: screen(100),
    "board-narrow.txt": lambda: screen(60),
    "one.txt": one,
    "github.txt": on_github,
    "summary.md": lambda: github.summary((GOOD, BAD), RUN),
}


@pytest.mark.parametrize("name", PICTURES)
def test_it_looks_like_its_picture(name: str) -> None:
    drawn = PICTURES[name]()
    picture = DATA / name
    if not picture.exists():  # a new or a deliberately deleted picture is drawn for review
        picture.write_text(drawn)
        pytest.fail(f"{picture} was not there; look at it and commit it")
    assert drawn == picture.read_text()
