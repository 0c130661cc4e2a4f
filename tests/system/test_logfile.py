"""One contract for the log files: those in memory and those on disk."""

from __future__ import annotations

import errno
import math
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from asyncpipe import ports
from asyncpipe.ports import LogFile, LogFiles
from asyncpipe.system import logfile
from asyncpipe.system.logfile import DiskLogFile, DiskLogFiles
from asyncpipe.testing import logs
from asyncpipe.testing.logs import MemoryLogFile, MemoryLogFiles

pytestmark = pytest.mark.anyio
MUCH = b"x" * 300_000  # more than a pipe takes


@pytest.fixture
def anyio_backend() -> str:
    """Those on disk are aiofiles'."""
    return "asyncio"


@dataclass(frozen=True)
class Disk:
    """Log files, and how to make the disk below them misbehave."""

    files: LogFiles
    written: Callable[[LogFile, Path], bytes]
    fill: Callable[[], None]
    stall: Callable[[], None]
    come_back: Callable[[], None]

    async def answer(self, file: LogFile) -> None:
        """Let a given-up file's thread end, and wait for that."""
        self.come_back()
        if isinstance(file, DiskLogFile):
            await file._worker.run(lambda: None)


@pytest.fixture(params=["memory", "disk"])
def disk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Disk]:
    monkeypatch.setattr(logfile, "LOG_GRACE_S", 0.2)
    monkeypatch.setattr(logs, "LOG_GRACE_S", 0.2)
    if request.param == "memory":
        yield in_memory()
    else:
        with on_disk(tmp_path, monkeypatch) as made:
            yield made


def in_memory() -> Disk:
    files = MemoryLogFiles()

    def written(file: LogFile, _path: Path) -> bytes:
        assert isinstance(file, MemoryLogFile)
        return file.data

    def pause(seconds: float) -> None:
        files.write_pause_s = seconds

    return Disk(
        files=files,
        written=written,
        fill=lambda: setattr(files, "room_bytes", 0),
        stall=lambda: pause(math.inf),
        come_back=lambda: pause(0.05),
    )


class on_disk:  # noqa: N801 - reads as a verb
    """Files that stall are FIFOs which nobody reads until ``come_back``."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = monkeypatch
        self._readers: list[int] = []

    def __enter__(self) -> Disk:
        return Disk(
            files=DiskLogFiles(),
            written=lambda _file, path: path.read_bytes(),
            fill=lambda: self._opens("/dev/full"),
            stall=self._stall,
            come_back=self._come_back,
        )

    def __exit__(self, *_: object) -> None:
        self._come_back()

    def _opens(self, path: str) -> None:
        self._patch.setattr(
            logfile, "_open_private", lambda _path, _flags: os.open(path, os.O_RDWR)
        )

    def _stall(self) -> None:
        fifo = self._folder / "stalled"
        os.mkfifo(fifo)
        self._readers.append(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        os.set_blocking(self._readers[0], True)
        self._opens(str(fifo))

    def _come_back(self) -> None:
        for reader in self._readers:
            threading.Thread(target=_swallow, args=(reader,), daemon=True).start()
        self._readers.clear()


def _swallow(reader: int) -> None:
    while os.read(reader, 65536):
        pass


async def test_what_is_written_is_there_in_order(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    file = await disk.files.create(path)
    for piece in (b"one\n", MUCH, b"two\n"):
        await file.write(piece)
    await file.close()
    await file.close()
    assert disk.written(file, path) == b"one\n" + MUCH + b"two\n"


async def test_a_file_that_is_there_is_not_written_to(disk: Disk, tmp_path: Path) -> None:
    await (await disk.files.create(tmp_path / "build.log")).close()
    with pytest.raises(FileExistsError):
        await disk.files.create(tmp_path / "build.log")


async def test_a_full_disk_is_an_error(disk: Disk, tmp_path: Path) -> None:
    disk.fill()
    file = await disk.files.create(tmp_path / "build.log")
    with pytest.raises(OSError, match="No space") as caught:
        await file.write(b"x")
    assert caught.value.errno == errno.ENOSPC
    with suppress(OSError):  # a device cannot be flushed
        await file.close()


async def test_a_stalled_disk_holds_no_cancellation_and_later_calls_end_at_once(
    disk: Disk, tmp_path: Path
) -> None:
    disk.stall()
    file = await disk.files.create(tmp_path / "build.log")
    with anyio.fail_after(10):
        with anyio.move_on_after(0.1) as patience:
            await file.write(MUCH)
        assert patience.cancelled_caught
        with pytest.raises(OSError, match="not answered") as caught:
            await file.write(b"more")
        assert caught.value.errno == errno.ETIMEDOUT
        with pytest.raises(OSError, match="not answered"):
            await file.close()
        await disk.answer(file)


async def test_a_stalled_disk_is_given_up_after_a_while(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (logfile, logs):
        monkeypatch.setattr(module, "LOG_STALL_S", 0.1)
    disk.stall()
    file = await disk.files.create(tmp_path / "build.log")
    with anyio.fail_after(10):
        with pytest.raises(OSError, match="not answered"):
            await file.write(MUCH)
        await disk.answer(file)


async def test_what_the_disk_takes_just_after_a_cancellation_counts_as_written(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (logfile, logs):
        monkeypatch.setattr(module, "LOG_GRACE_S", 10.0)
    disk.stall()
    file = await disk.files.create(tmp_path / "build.log")
    taken = False
    with anyio.fail_after(30), anyio.CancelScope() as scope:
        scope.cancel()
        disk.come_back()
        await file.write(MUCH)
        taken = True
        await anyio.lowlevel.checkpoint()
        pytest.fail("the cancellation was lost")
    assert taken
    with anyio.fail_after(30):
        await file.write(b"more")
        with suppress(OSError):  # a FIFO cannot be flushed
            await file.close()


async def test_a_log_is_for_its_owner_only_and_no_link_is_followed(tmp_path: Path) -> None:
    await (await DiskLogFiles().create(tmp_path / "build.log")).close()
    assert stat.S_IMODE((tmp_path / "build.log").stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        await DiskLogFiles().create(tmp_path / "link")


def test_the_limits_suit_a_step_that_is_killed_after_seconds() -> None:
    assert ports.LOG_GRACE_S < 2 < ports.LOG_STALL_S
