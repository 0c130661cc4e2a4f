"""One contract for the reporters: an event never waits and never raises, whoever reads."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TextIO

import pytest

from asyncpipe.model.build import Phase
from asyncpipe.model.events import (
    Event,
    ExportGrew,
    IdentityChanged,
    OutputLines,
    PhaseChanged,
    RunFinished,
    RunStarted,
    TemplateFinished,
    TemplateStarted,
    UploadProgress,
    Warned,
)
from asyncpipe.ports import Reporter
from asyncpipe.report.console.reporter import Style, open_console
from asyncpipe.report.json_log import open_json_log
from asyncpipe.testing.events import RecordedEvents
from tests.report.samples import DEBIAN, failed, published

UNIT = "debian-12"
EVENTS: tuple[Event, ...] = (
    RunStarted(run_id="r1", units=(UNIT,), destination="s3://images/"),
    TemplateStarted(unit=UNIT, template_path="templates/debian", identity=DEBIAN),
    OutputLines(unit=UNIT, text="\x1b[31mhello\udcff ::error::"),
    PhaseChanged(unit=UNIT, phase=Phase.EXPORT),
    IdentityChanged(unit=UNIT, identity=DEBIAN),
    ExportGrew(unit=UNIT, size_bytes=1 << 40),
    UploadProgress(unit=UNIT, key="k", sent_bytes=5, total_bytes=None),
    Warned(unit="somebody-else", code="disk", message="nearly full"),
    TemplateFinished(unit=UNIT, outcome=published()),
    TemplateFinished(unit="never-begun", outcome=failed()),
    RunFinished(run_id="r1", outcomes=(published(), failed()), exit_code=4, duration_s=1.0),
    OutputLines(unit=UNIT, text="after the end"),
)

Open = Callable[[TextIO], AbstractContextManager[Reporter]]
BRIEF = 0.2
REPORTERS: dict[str, Open] = {
    "recorded": lambda _: nullcontext(RecordedEvents()),
    "plain": lambda stream: open_console(
        stdout=stream, style=Style(units=(UNIT,)), is_terminal=False, close_timeout_s=BRIEF
    ),
    "terminal": lambda stream: open_console(
        stdout=stream, style=Style(units=(UNIT, "b")), is_terminal=True, close_timeout_s=BRIEF
    ),
    "github": lambda stream: open_console(
        stdout=stream,
        style=Style(units=(UNIT,)),
        is_terminal=False,
        github=True,
        close_timeout_s=BRIEF,
    ),
    "json": lambda stream: open_json_log(stream=stream, close_timeout_s=BRIEF),
}


@pytest.fixture(params=REPORTERS)
def opened(request: pytest.FixtureRequest) -> Open:
    return REPORTERS[request.param]


@contextmanager
def pipe(*, reader_stays: bool) -> Iterator[TextIO]:
    """A stream that nobody reads; the reader is there, or is gone."""
    read, write = os.pipe()
    if not reader_stays:
        os.close(read)
    stream = os.fdopen(write, "w", errors="surrogateescape")
    try:
        yield stream
    finally:
        if reader_stays:
            os.close(read)  # lets a writing thread go
        with suppress(BrokenPipeError):
            stream.close()


def test_every_kind_of_event_is_taken_in_any_order(opened: Open) -> None:
    with opened(io.StringIO()) as reporter:
        for event in (*EVENTS, *reversed(EVENTS)):
            reporter.emit(event)


@pytest.mark.timeout(60)
def test_a_reader_that_reads_nothing_makes_no_event_wait(opened: Open) -> None:
    with pipe(reader_stays=True) as stream, opened(stream) as reporter:
        for _ in range(5_000):
            reporter.emit(OutputLines(unit=UNIT, text="x" * 200))
        for event in EVENTS:
            reporter.emit(event)


def test_a_reader_that_is_gone_makes_no_event_fail(opened: Open) -> None:
    with pipe(reader_stays=False) as stream, opened(stream) as reporter:
        for event in (*EVENTS, *EVENTS):
            reporter.emit(event)


def test_what_was_recorded_can_be_asked_for_by_kind() -> None:
    events = RecordedEvents()
    for event in EVENTS:
        events.emit(event)
    assert events.heard == list(EVENTS)
    assert [event.phase for event in events.of(PhaseChanged)] == [Phase.EXPORT]
