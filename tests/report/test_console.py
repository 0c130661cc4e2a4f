"""The console never holds the run up, whatever becomes of the terminal."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable
from typing import TextIO

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
from asyncpipe.report.console.printers import PlainPrinter
from asyncpipe.report.console.reporter import Style, open_console
from asyncpipe.report.console.terminal import TerminalPrinter
from asyncpipe.report.mailbox import Batch, Mailbox
from tests.report.samples import DEBIAN, failed, published

ONE = Style(units=("debian-12",))
TWO = Style(units=("debian-12", "rocky-9"))


def started(*units: str) -> tuple[Event, ...]:
    run = RunStarted(run_id="r1", units=units, destination="file:///srv/published/")
    return run, *(
        TemplateStarted(unit=unit, template_path=f"templates/{unit}", identity=DEBIAN)
        for unit in units
    )


def printed(style: Style, *events: Event) -> str:
    stream = io.StringIO()
    with open_console(stdout=stream, style=style, is_terminal=False) as console:
        for event in events:
            console.emit(event)
    return stream.getvalue()


class TestPlain:
    def test_one_template_shows_packers_lines_as_printed(self) -> None:
        line = OutputLines(unit="debian-12", text="==> null.demo: hello")
        assert "\n==> null.demo: hello\n" in printed(ONE, *started("debian-12"), line)

    def test_several_templates_prefix_every_line(self) -> None:
        events = [OutputLines(unit=unit, text="    x: y") for unit in TWO.units]
        text = printed(TWO, *events)
        assert text == "debian-12 |     x: y\nrocky-9 |     x: y\n"

    def test_terminal_escapes_of_a_guest_never_reach_the_console(self) -> None:
        hostile = "a\x1b[2J\x1b]0;title\x07b\x00\x9b31mc\rd\u202ee\u2028f"
        text = printed(ONE, OutputLines(unit="debian-12", text=hostile))
        assert text == "abc de f\n"

    def test_quiet_leaves_packer_out_and_twice_quiet_the_phases_but_never_ends(self) -> None:
        events = (
            *started("debian-12"),
            OutputLines(unit="debian-12", text="packer"),
            PhaseChanged(unit="debian-12", phase=Phase.BOOT),
            Warned(unit="debian-12", code="end-of-life", message="Debian 12 ends"),
            TemplateFinished(unit="debian-12", outcome=failed("debian-12")),
        )
        once = printed(Style(units=("debian-12",), quiet=1), *events)
        twice = printed(Style(units=("debian-12",), quiet=2), *events)
        assert "packer" not in once
        assert "phase boot" in once
        assert "phase boot" not in twice
        assert "Debian 12 ends" in twice
        assert "FAILED" in twice

    def test_progress_alone_prints_nothing(self) -> None:
        grown = [ExportGrew(unit="debian-12", size_bytes=n) for n in range(1000)]
        assert printed(ONE, *grown) == ""

    @pytest.mark.parametrize(("style", "period_s"), [(ONE, 20.0), (TWO, 30.0)])
    def test_a_status_line_comes_at_a_steady_pace(self, style: Style, period_s: float) -> None:
        printer = PlainPrinter(style)
        printer.show(started(*style.units), {}, 0.0)
        lines = [now_s for now_s in range(100) if printer.tick(float(now_s))]
        assert lines == [int(period_s * n) for n in range(1, int(99 // period_s) + 1)]

    def test_the_status_of_several_names_each_running_template(self) -> None:
        printer = PlainPrinter(TWO)
        grown = ExportGrew(unit="debian-12", size_bytes=3 * 1024**3)
        printer.show((*started(*TWO.units), grown), {}, 0.0)
        status = "asyncpipe: 2 running: debian-12 start 3.0 GiB; rocky-9 start\n"
        assert printer.tick(30.0) == status

    def test_the_run_ends_with_the_closing_table(self) -> None:
        end = RunFinished(run_id="r1", outcomes=(published(),), exit_code=0, duration_s=3.0)
        assert "use it:" in printed(ONE, end)

    def test_a_run_of_several_ends_with_how_many_ended_how(self) -> None:
        end = RunFinished(
            run_id="r1", outcomes=(published(), failed()), exit_code=4, duration_s=41.0
        )
        last = printed(TWO, end).splitlines()[-1]
        assert last == "asyncpipe: 1 published, 1 failed in 41s (exit code 4)"

    @pytest.mark.parametrize(
        ("destination", "shown"),
        [
            ("published", "./published"),
            ("../out", "../out"),
            ("/srv/out", "/srv/out"),
            ("s3://images/golden/", "s3://images/golden/"),
        ],
    )
    def test_where_it_goes_reads_as_a_place(self, destination: str, shown: str) -> None:
        begin = RunStarted(run_id="r1", units=("debian-12",), destination=destination)
        assert printed(ONE, begin) == f"asyncpipe: run r1: 1 template to {shown}\n"


class TestTerminal:
    SIZE = staticmethod(lambda: (60, 20))

    def test_the_status_line_is_erased_before_new_lines_and_gone_at_the_end(self) -> None:
        printer = TerminalPrinter(ONE, self.SIZE)
        first = printer.show(started("debian-12"), {}, 0.0)
        assert first.endswith("[start  0.0s  (0.0s in all)]")
        second = printer.show((OutputLines(unit="debian-12", text="hello"),), {}, 12.0)
        assert second == "\r\x1b[2Khello\n[start  12s  (12s in all)]"
        assert printer.close(12.0) == "\r\x1b[2K"

    def test_nothing_is_drawn_when_nothing_changed(self) -> None:
        printer = TerminalPrinter(ONE, self.SIZE)
        printer.show(started("debian-12"), {}, 0.0)
        assert printer.tick(0.0) == ""


class TestStalledReader:
    def test_emit_never_waits_and_ends_and_warnings_survive(self) -> None:
        read, write = os.pipe()
        with os.fdopen(write, "w") as stream, os.fdopen(read, "rb") as reader:
            collected = run_against(stream, reader.read)
        text = collected.decode()
        assert "phase export" in text
        assert "disk is nearly full" in text
        notes = re.findall(r"(\d+) lines? w\w+ left out here; build.log has them all", text)
        left_out = sum(map(int, notes))
        assert left_out > 0
        assert text.count("a line of output") + left_out == 100_000

    def test_a_reader_that_never_comes_back_holds_the_end_for_the_bound_only(self) -> None:
        read, write = os.pipe()
        with os.fdopen(write, "w") as stream, os.fdopen(read, "rb") as reader:
            with open_console(
                stdout=stream, style=ONE, is_terminal=False, close_timeout_s=0.05
            ) as console:
                for _ in range(3000):
                    console.emit(OutputLines(unit="debian-12", text="x" * 200))
            thread = console._thread
            assert thread.is_alive()
            reader.close()  # lets the thread go
            thread.join(10)
        assert not thread.is_alive()

    def test_a_reader_that_is_gone_silences_the_console_and_nothing_else(self) -> None:
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as stream:
            with open_console(stdout=stream, style=ONE, is_terminal=False) as console:
                console.emit(OutputLines(unit="debian-12", text="x"))
                console._thread.join(10)
                console.emit(OutputLines(unit="debian-12", text="y"))
            assert isinstance(console.problem, BrokenPipeError)


def run_against(stream: TextIO, read: Callable[[], bytes]) -> bytes:
    """Emit far more than pipe and mailbox hold before anybody reads."""
    collected: list[bytes] = []
    reading = threading.Thread(target=lambda: collected.append(read()))
    with open_console(stdout=stream, style=ONE, is_terminal=False, close_timeout_s=30) as console:
        for _ in range(100_000):
            console.emit(OutputLines(unit="debian-12", text="a line of output"))
        console.emit(PhaseChanged(unit="debian-12", phase=Phase.EXPORT))
        console.emit(Warned(unit="debian-12", code="disk", message="disk is nearly full"))
        reading.start()
    stream.close()
    reading.join(30)
    return collected[0]


def test_the_mailbox_keeps_only_the_latest_progress_of_each_object() -> None:
    mailbox = Mailbox()
    for sent_bytes in range(1000):
        for key in ("a", "b"):
            mailbox.put(UploadProgress(unit="u", key=key, sent_bytes=sent_bytes, total_bytes=None))
    events = mailbox.take(0).events
    assert [event.sent_bytes for event in events if isinstance(event, UploadProgress)] == [999, 999]


@pytest.mark.parametrize("wakes", ["many lines", "the end"])
def test_a_console_that_rests_is_woken_by_many_lines_and_by_the_end_only(wakes: str) -> None:
    mailbox = Mailbox()
    taken: list[Batch] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take(0, rest_s=3600)))
    thread.daemon = True
    thread.start()
    for number in range(500):
        mailbox.put(OutputLines(unit="debian-12", text=f"line {number}"))
    thread.join(0.05)
    assert thread.is_alive()
    if wakes == "the end":
        mailbox.close()
    else:
        for _ in range(3):
            mailbox.put(OutputLines(unit="debian-12", text="\n".join(["a line"] * 1000)))
    thread.join(10)
    (batch,) = taken
    assert len(batch.events) >= 500
    assert dict(batch.left_out) == {}
