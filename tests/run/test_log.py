from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
import trio.testing
from anyio.lowlevel import checkpoint

from asyncpipe.run import log as buildlog
from asyncpipe.system.logfile import DiskLogFiles
from asyncpipe.testing.logs import MemoryLogFiles
from asyncpipe.text.mask import Redactor
from asyncpipe.text.secrets import secrets_of

pytestmark = pytest.mark.anyio

PATH = Path("/run/build.log")
SECRETS = secrets_of({}, {"pw": "hunter2-hunter2"})
START = datetime(2026, 11, 23, 17, 12, 59, 123456, tzinfo=UTC)
STAMP = "2026-11-23T17:12:59.123Z "


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    if request.param == "asyncio":
        return "asyncio"
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@asynccontextmanager
async def _open(
    disk: MemoryLogFiles, now: datetime = START
) -> AsyncIterator[tuple[buildlog.BuildLog, list[str], list[str]]]:
    redactor = Redactor(SECRETS)
    async with buildlog.open_log(PATH, log_files=disk, redactor=redactor, now=lambda: now) as log:
        live: list[str] = []
        whole: list[str] = []
        log.subscribe(live.append)
        log.subscribe(whole.append, whole_lines=True)
        yield log, live, whole


async def _logged(*chunks: bytes) -> tuple[str, list[str]]:
    disk = MemoryLogFiles()
    async with _open(disk) as (log, live, _):
        for chunk in chunks:
            await log.feed(chunk)
        await log.seal()
    return disk.files[PATH].data.decode("utf-8"), live


async def test_each_line_bears_the_time_and_reaches_the_console_as_printed() -> None:
    text, lines = await _logged(b"==> null.demo: one\n    null.demo: two\n\nlast")
    assert text == (f"{STAMP}==> null.demo: one\n{STAMP}    null.demo: two\n{STAMP}\n{STAMP}last\n")
    assert lines == ["==> null.demo: one", "    null.demo: two", "", "last"]


async def test_a_line_in_many_chunks_bears_the_time_of_its_first_byte() -> None:
    disk = MemoryLogFiles()
    clock = [START]
    async with buildlog.open_log(
        PATH, log_files=disk, redactor=Redactor(), now=lambda: clock[0]
    ) as log:
        await log.feed(b"x" * 70_000)
        clock[0] += timedelta(seconds=5)
        await log.feed(b"y\nz\n")
    lines = disk.files[PATH].data.decode().split("\n")
    assert lines[0].startswith(STAMP)
    assert lines[0].endswith("xy")
    assert lines[1] == "2026-11-23T17:13:04.123Z z"


async def test_secrets_reach_neither_file_nor_console_nor_notes() -> None:
    disk = MemoryLogFiles()
    async with _open(disk) as (log, live, whole):
        await log.feed(b"it is hunter2-hun")
        await log.feed(b"ter2 indeed\n")
        await log.note("failed with hunter2-hunter2")
        sealed = await log.seal()
    everything = disk.files[PATH].data.decode() + "".join(live + whole)
    assert "hunter2" not in everything
    assert sealed.redaction_count == 2


async def test_a_note_stands_on_a_line_of_its_own_and_is_no_output() -> None:
    disk = MemoryLogFiles()
    async with _open(disk) as (log, live, whole):
        await log.feed(b"Waiting for " + b"." * 70_000)
        await log.note("asking Packer\nto stop")
        await log.feed(b"more\n")
    lines = disk.files[PATH].data.decode().split("\n")
    assert lines[1] == f"{STAMP}[asyncpipe] asking Packer | to stop"
    assert not [line for line in live + whole if "asyncpipe" in line]


async def test_what_acts_on_a_terminal_is_written_out_in_the_file_and_dropped_on_the_console() -> (
    None
):
    text, lines = await _logged(
        b"\x1b[1;31mred\x1b[0m \x07bell\x00\ttab\n",
        b"\x1b]0;title\x07after\n",
        b"a" + b"\x00" * 9922 + b"b\n",
        "rtl \u202e and \u2028 separators \x85\n".encode(),
    )
    assert text.split("\n")[:4] == [
        STAMP + r"\x1b[1;31mred\x1b[0m \x07bell\x00" + "\ttab",
        STAMP + r"\x1b]0;title\x07after",
        STAMP + r"a\x00{9922}b",
        STAMP + r"rtl \u202e and \u2028 separators \x85",
    ]
    assert lines == ["red bell\ttab", "after", "ab", "rtl  and  separators "]


async def test_bytes_that_are_no_text_are_kept_readable_across_chunks() -> None:
    text, lines = await _logged(b"caf\xc3", b"\xa9 \xff\xfe end\n")
    assert text == STAMP + "café \\xff\\xfe end\n"
    assert lines == ["café \\xff\\xfe end"]


async def test_of_a_line_that_repaints_itself_the_console_gets_the_last_text() -> None:
    text, lines = await _logged(b"\r 10%\r 50%\r100%\r\nwindows line\r\n")
    assert lines == ["100%", "windows line"]
    assert text.split("\n")[0] == STAMP + r"\x0d 10%\x0d 50%\x0d100%\x0d"


async def test_a_line_of_three_megabytes_is_whole_in_the_file_and_bounded_on_the_console() -> None:
    chunks = [b"x" * 65536] * 48
    text, lines = await _logged(*chunks, b"\n", b"end\n")
    assert text.count("x") == 48 * 65536
    assert sum(map(len, lines)) < 20_000
    assert all(len(line) <= buildlog.LINE_LIMIT_CHARS for line in lines)
    assert lines[-1] == "end"


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_an_unfinished_line_is_shown_after_a_short_quiet() -> None:
    disk = MemoryLogFiles()
    async with _open(disk) as (log, live, whole):
        await log.feed(b"Password: ")
        assert live == []
        await anyio.sleep(0.05)
        assert live == ["Password: "]
        assert disk.files[PATH].data.decode() == STAMP + "Password: "
        await log.feed(b"ok\n")
        assert live == ["Password: ", "ok"]
        assert whole == ["Password: ok"]


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_a_bar_without_newlines_is_shown_about_once_a_second() -> None:
    disk = MemoryLogFiles()
    async with _open(disk) as (log, live, _):
        for percent in range(50):
            await log.feed(b"\r%d%%" % percent)
            await anyio.sleep(0.2)
    assert 9 <= len(live) <= 13


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_the_console_does_not_wait_for_a_slow_disk() -> None:
    disk = MemoryLogFiles(write_pause_s=60.0)
    async with _open(disk) as (log, live, _), anyio.create_task_group() as tasks:
        tasks.start_soon(log.feed, b"now\n")
        await trio.testing.wait_all_tasks_blocked()
        assert live == ["now"]


async def test_a_listener_that_raises_is_dropped_and_nobody_else() -> None:
    disk = MemoryLogFiles()
    calls: list[str] = []

    def bad(line: str) -> None:
        calls.append(line)
        raise BrokenPipeError

    async with _open(disk) as (log, live, _):
        log.subscribe(bad)
        await log.feed(b"one\ntwo\n")
    assert calls == ["one"]
    assert live == ["one", "two"]


@pytest.mark.parametrize(
    ("room_bytes", "refusal"),
    [(60, None), (1e9, PermissionError(13, "Permission denied"))],
    ids=["full", "refused"],
)
async def test_a_disk_that_refuses_costs_the_log_and_not_the_build(
    room_bytes: float, refusal: OSError | None
) -> None:
    disk = MemoryLogFiles(room_bytes=room_bytes, create_error=refusal)
    async with _open(disk) as (log, live, _):
        for number in range(10):
            await log.feed(b"line %d\n" % number)
        sealed = await log.seal()
    assert live == [f"line {number}" for number in range(10)]
    assert not sealed.complete
    assert sealed.problem in {"No space left on device", "Permission denied"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_the_seal_tells_size_and_digest_of_what_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    async with buildlog.open_log(path, log_files=DiskLogFiles(), redactor=Redactor()) as log:
        await log.feed(b"one\ntwo")
        sealed = await log.seal()
        assert await log.seal() is sealed
        await log.feed(b"too late\n")
    data = path.read_bytes()
    assert sealed.size_bytes == len(data)
    assert sealed.sha256_hex == hashlib.sha256(data).hexdigest()
    assert (sealed.line_count, sealed.complete, sealed.path) == (2, True, path)
    assert re.fullmatch(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \w+\n){2}", data)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_log_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        await DiskLogFiles().create(path)
    assert path.read_text(encoding="utf-8") == "mine"


async def test_leaving_by_an_error_seals_the_log_and_passes_the_error_on() -> None:
    disk = MemoryLogFiles()

    async def fail() -> None:
        async with _open(disk) as (log, _, _):
            await log.feed(b"unfinished")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert disk.files[PATH].closed
    assert disk.files[PATH].data.decode() == STAMP + "unfinished\n"


async def test_cancelled_in_the_middle_of_a_write_the_log_is_sealed_with_all_it_took() -> None:
    disk = MemoryLogFiles(write_pause_s=0.01)
    with anyio.CancelScope() as scope:
        async with _open(disk) as (log, _, _), anyio.create_task_group() as tasks:
            tasks.start_soon(log.feed, b"one\n")
            await checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert disk.files[PATH].closed


async def test_of_many_empty_lines_the_first_bear_a_time_and_the_file_does_not_swell() -> None:
    text, lines = await _logged(b"one\n" + b"\n" * 100_000 + b"two\n")
    assert text.startswith(f"{STAMP}one\n{STAMP}\n{STAMP}\n")
    assert text.endswith(f"\n{STAMP}two\n")
    assert text.count("\n") == 100_002
    assert len(text) < 101_000
    assert lines == ["one", *[""] * 100_000, "two"]


async def test_of_a_flood_of_short_lines_one_bears_a_time_and_none_can_pretend_to() -> None:
    text, _ = await _logged(b"before\n", b"a\n" * 20_000 + f"{STAMP}x\n".encode(), b"after\n")
    assert len(text) < 20_000 * 3 + 200
    assert text.startswith(f"{STAMP}before\n{STAMP}a\n a\n a\n")
    assert text.endswith(f" a\n {STAMP}x\n{STAMP}after\n")


async def test_our_mark_cannot_be_forged_in_the_file_not_even_in_pieces() -> None:
    disk = MemoryLogFiles()
    async with _open(disk) as (log, _, _):
        await log.feed(b"[asyncpipe] published\nand [asyncpipe] too\n")
        for piece in (b"[async", b"pipe] in pieces\n"):
            await log.feed(piece)
            await anyio.sleep(0.05)
        await log.note("ours")
    lines = disk.files[PATH].data.decode().split("\n")
    assert [line for line in lines if line.startswith(f"{STAMP}[asyncpipe]")] == [
        f"{STAMP}[asyncpipe] ours"
    ]
    assert lines[0] == STAMP + r"\[asyncpipe] published"


async def test_a_log_beyond_its_bound_keeps_both_ends_and_says_what_is_missing() -> None:
    disk = MemoryLogFiles()
    async with buildlog.open_log(
        PATH, log_files=disk, redactor=Redactor(), now=lambda: START, limit_bytes=40_000
    ) as log:
        for number in range(20_000):
            await log.feed(b"line %d\n" % number)
        await log.note("the last of ours")
        sealed = await log.seal()
    text = disk.files[PATH].data.decode()
    lines = text.splitlines()
    assert lines[0] == f"{STAMP}line 0"
    assert lines[-2:] == [f"{STAMP}line 19999", f"{STAMP}[asyncpipe] the last of ours"]
    (gap,) = [line for line in lines if "left out" in line]
    assert "[asyncpipe]" in gap
    assert len(text) < 41_000
    assert not sealed.complete
    assert "were left out" in sealed.problem
    assert all(re.fullmatch(STAMP + r"(line \d+|\[asyncpipe\] .*)?", line) for line in lines)


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_what_may_begin_a_secret_is_shown_after_two_seconds_at_most() -> None:
    disk = MemoryLogFiles()
    async with _open(disk) as (log, live, _):
        await log.feed(b"Continue? ghp_")
        await anyio.sleep(0.05)
        assert live == ["Continue? "]
        await anyio.sleep(2.5)
        assert live == ["Continue? ", "ghp_"]
        await log.feed(b"x\nit is hunter2-hun")
        await anyio.sleep(3)
    assert live[2:] == ["x", "it is ", "****"]


async def test_a_batch_of_lines_comes_at_once_and_in_order() -> None:
    disk = MemoryLogFiles()
    batches: list[list[str]] = []
    async with _open(disk) as (log, _, _):
        log.subscribe_batches(lambda lines: batches.append(list(lines)))
        await log.feed(b"one\ntwo\nthree\x1b[0m\nfo")
        await log.feed(b"ur\nfive\n")
    assert [line for batch in batches for line in batch] == ["one", "two", "three", "four", "five"]
    assert batches == [["one", "two", "three"], ["four", "five"]]
