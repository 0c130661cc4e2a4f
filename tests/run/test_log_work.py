"""What the whole path of the log costs grows as the output does; work is counted, not timed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import anyio
import pytest
import trio.testing

from asyncpipe.detect.guest import GuestCollector
from asyncpipe.detect.medium import MediumCollector
from asyncpipe.model.events import OutputLines, RunStarted
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.report.console.printers import Style
from asyncpipe.report.console.terminal import BoardPrinter
from asyncpipe.run.log import open_log
from asyncpipe.run.log.build_log import BuildLog
from asyncpipe.testing.logs import MemoryLogFile, MemoryLogFiles
from asyncpipe.text.lines import Lines
from asyncpipe.text.mask import Redactor
from asyncpipe.text.secrets import secrets_of
from tests.text.hostile import HOSTILE, stream

pytestmark = pytest.mark.anyio

_PATH = Path("/run/build.log")
_SECRETS = secrets_of({}, {"pw": "s3cr3t-P4ss,w0rd", "other": "ab" * 20})
_CHUNK_BYTES = 65536
_MOST_CALLS_PER_KIB = 800
_LINE = b"    xenserver-iso.debian: Setting up libc6:amd64 (2.36-9+deb12u4) over (2.36-9) ...\n"


def _listen(log: BuildLog) -> None:
    printer = BoardPrinter(Style(units=("a", "b")), lambda: (120, 40))
    printer.show((RunStarted(run_id="r", units=("a", "b"), destination="d"),), {}, 0.0)

    def shown(lines: Lines) -> None:
        printer.show((OutputLines(unit="a", text=lines.text),), {}, 0.2)  # no new table

    log.subscribe_batches(GuestCollector().feed_lines, whole_lines=True)
    log.subscribe_batches(MediumCollector().feed_lines, whole_lines=True)
    log.subscribe_batches(BuildProgress(lambda _: None).take_lines, whole_lines=True)
    log.subscribe_batches(shown)


async def _calls(data: bytes) -> int:
    """Count the calls of functions, Python's own among them, for all of ``data``."""
    count = 0

    def heard(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    redactor = Redactor(_SECRETS)
    async with open_log(_PATH, log_files=MemoryLogFiles(), redactor=redactor) as log:
        _listen(log)
        sys.setprofile(heard)
        try:
            for at in range(0, len(data), _CHUNK_BYTES):
                await log.feed(data[at : at + _CHUNK_BYTES])
        finally:
            sys.setprofile(None)
    return count


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", HOSTILE)
async def test_twice_the_output_costs_twice_the_calls_on_the_whole_path(name: str) -> None:
    await _calls(stream(name, 4 * _CHUNK_BYTES))  # compiles
    once = await _calls(stream(name, 2 * _CHUNK_BYTES))
    twice = await _calls(stream(name, 4 * _CHUNK_BYTES))
    assert twice <= 2.3 * once + 4000
    assert twice <= _MOST_CALLS_PER_KIB * 4 * _CHUNK_BYTES // 1024


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_ordinary_lines_are_never_looked_at_one_by_one() -> None:
    data = _LINE * (4 * _CHUNK_BYTES // len(_LINE))
    await _calls(data[:1000])
    assert await _calls(data) < data.count(b"\n")


class _Counting(MemoryLogFiles):
    async def create(self, path: Path) -> MemoryLogFile:
        self.files[path] = _CountingFile(self)
        return self.files[path]


class _CountingFile(MemoryLogFile):
    writes = 0

    async def write(self, data: bytes) -> None:
        self.writes += 1
        await super().write(data)


_VIRTUAL_TIME = ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


@pytest.mark.parametrize("anyio_backend", [_VIRTUAL_TIME], ids=["trio"])
async def test_of_lines_that_come_one_by_one_many_are_written_at_once_and_none_waits_long() -> None:
    disk = _Counting()
    async with open_log(_PATH, log_files=disk, redactor=Redactor()) as log:
        for _ in range(100):
            await log.feed(_LINE)
            await anyio.sleep(0.01)
        file = disk.files[_PATH]
        assert isinstance(file, _CountingFile)
        assert 5 <= file.writes <= 15
        await anyio.sleep(0.3)
        assert file.data.count(b"\n") == 100
