"""How far a command has come: live on a terminal, a line every 20 seconds elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from asyncpipe import catalog
from asyncpipe.cli.progress import Progress, watched, watched_stream
from asyncpipe.model.build import Phase
from asyncpipe.model.events import PhaseChanged, RunStarted, UploadProgress
from asyncpipe.report.console.printers import PlainPrinter, Style
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import NEW, OLD, publish

MIB = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Callable[[io.StringIO], io.StringIO]:
    def set_to(stream: io.StringIO) -> io.StringIO:
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return set_to


def test_a_log_gets_a_line_every_twenty_seconds(
    stderr: Callable[[io.StringIO], io.StringIO],
) -> None:
    out, clock = stderr(io.StringIO()), Clock()
    progress = Progress("debian12.xva", 1000 * MIB, clock=clock)
    for second in range(61):
        clock.now_s = 100.0 + second
        progress.update(second * 10 * MIB)
    progress.clear()
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == (
        "asyncpipe: debian12.xva: 200.0 MiB of 1000.0 MiB 20%  10.0 MiB/s  ETA 1m20s"
    )


def test_a_log_gets_no_line_of_what_is_done_at_once(
    stderr: Callable[[io.StringIO], io.StringIO],
) -> None:
    out, clock = stderr(io.StringIO()), Clock()
    progress = Progress("x", 10, clock=clock)
    progress.update(10)
    progress.clear()
    assert out.getvalue() == ""


def test_a_terminal_has_one_line_that_is_gone_at_the_end(
    stderr: Callable[[io.StringIO], io.StringIO],
) -> None:
    out, clock = stderr(Terminal()), Clock()
    progress = Progress("index rebuild", unit="object", clock=clock)
    for number in range(1, 1001):
        clock.now_s += 0.01
        progress.update(number)
    progress.clear()
    drawn = out.getvalue().split("\r")
    assert 35 <= len(drawn) <= 45
    assert "\n" not in out.getvalue()
    assert "index rebuild: 1 object\x1b[K" in drawn[1]
    assert "100/s" in drawn[-2]
    assert drawn[-1] == "\x1b[K"


@pytest.mark.anyio
async def test_rebuilding_pruning_and_pulling_show_what_they_have_done(
    stderr: Callable[[io.StringIO], io.StringIO], tmp_path: object
) -> None:
    out = stderr(Terminal())
    store = MemoryStore()
    await publish(store, OLD)
    entry = await publish(store, NEW)
    async with watched(store, "index rebuild") as seen:
        assert len((await catalog.rebuild_index(seen)).versions) == 2
    assert "index rebuild: 1 object" in out.getvalue()
    async with watched(store, "prune") as seen:
        pruning = await catalog.plan_pruning(seen, keep=1)
        await catalog.prune(seen, pruning)
    assert "prune: 1 object" in out.getvalue()
    assert len((await catalog.list_versions(store, fresh=True)).versions) == 1
    async with (
        watched_stream(store, "debian12.xva", entry.xva.size_bytes) as seen,
        seen.stream(entry.xva.key) as pieces,
    ):
        assert b"".join([piece async for piece in pieces]) == b"xva"
    assert "debian12.xva: 3 B of 3 B 100%" in out.getvalue()


def test_publishing_a_finished_xva_has_the_status_line_of_a_build() -> None:
    printer = PlainPrinter(Style(units=("debian-12",)))
    events = (
        RunStarted(run_id="r", units=("debian-12",), destination="s3://b"),
        PhaseChanged(unit="debian-12", phase=Phase.VERIFY),
        UploadProgress(unit="debian-12", key="k", sent_bytes=0, total_bytes=1400 * MIB),
    )
    printer.show(events, {}, 0.0)
    sent = UploadProgress(unit="debian-12", key="k", sent_bytes=700 * MIB, total_bytes=1400 * MIB)
    printer.show((sent,), {}, 20.0)
    status = printer.tick(20.0)
    assert "verify  20s  700.0 MiB of 1.4 GiB 50%  35.0 MiB/s  ETA 20s  (20s in all)" in status
