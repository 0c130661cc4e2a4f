"""Disks that are full or do not answer, by the command line and with real Packer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e import many
from tests.e2e.command import LIMIT_S, Desk, needs_packer
from tests.e2e.watching import living, until, watched

pytestmark = [pytest.mark.real_packer, needs_packer]
BREAKS = many.FAILING[0]
GOES_ON = many.GOOD[1]

# The command line with a build.log that takes no byte: a FIFO that is full and that nobody reads.
_STALLED = """
import os, sys
from asyncpipe.system import logfile

def stalled(path, flags):
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
    return descriptor

logfile._open_private = stalled
from asyncpipe.cli.main import main
main()
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of a few MiB for the runs' folders."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class Filler:
    """Keeps a disk full to its last byte, whatever is freed there, until ``stop``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "fill"
        self._stopped, self._full = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._fill)
        self.started = False

    def start(self) -> None:
        """Return once there is no byte left."""
        self.started = True
        self._thread.start()
        assert self._full.wait(LIMIT_S)

    def stop(self) -> None:
        self._stopped.set()
        if self.started:
            self._thread.join(LIMIT_S)
        self._path.unlink(missing_ok=True)

    def _fill(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            while not self._stopped.is_set():
                for piece in (1 << 20, 4096, 1):
                    with suppress(OSError):
                        while file.write(b"x" * piece) == piece:
                            pass
                self._full.set()


class Gate:
    """A template's installation stops here until it is opened."""

    def __init__(self, template: Path) -> None:
        self._path = template / "gate"
        self.line = f"waits at the gate of {template.name}"
        script = template / "install.sh"
        text = script.read_text()
        first = 'echo "Installing from $DEMO_ISO"\n'
        assert first in text
        waits = f'echo "{self.line}"\nwhile [ ! -e "{self._path}" ]; do sleep 0.1; done\n'
        script.write_text(text.replace(first, first + waits))

    def open(self) -> None:
        self._path.touch()


def states(work: Path) -> dict[str, str]:
    (path,) = work.glob("runs/*/run.json")
    return {name: unit["state"] for name, unit in json.loads(path.read_text())["units"].items()}


def test_a_full_disk_fails_the_template_that_met_it_and_the_neighbour_goes_on(
    tmp_path: Path, small_disk: Path
) -> None:
    desk = Desk(tmp_path)
    many.write(tmp_path / "many", (BREAKS, GOES_ON))
    gates = [Gate(tmp_path / "many" / copy.name) for copy in (BREAKS, GOES_ON)]
    filler, waiting = Filler(small_disk), set[str]()

    def on_line(line: str) -> None:
        waiting.update(gate.line for gate in gates if gate.line in line)
        if len(waiting) == len(gates) and not filler.started:
            filler.start()
            gates[0].open()
        if "run.json cannot be written" in line:
            filler.stop()
            gates[1].open()

    process = desk.start("build", "many", "-j", "2", "--work-directory", str(small_disk / "work"))
    ended = watched(process, on_line)
    filler.stop()
    assert ended.code == 4, ended.all
    assert "run.json cannot be written (No space left on device)" in ended.all
    assert "Traceback" not in ended.all
    table = ended.out[ended.out.index("\ntemplate ") :]
    assert "FAILED (20)" in table
    assert "published" in table
    assert states(small_disk / "work") == {
        f"many-{BREAKS.name}": "failed",
        f"many-{GOES_ON.name}": "published",
    }


def test_cancelled_on_a_full_disk_the_run_ends_as_cancelled(
    tmp_path: Path, small_disk: Path
) -> None:
    desk = Desk(tmp_path)
    many.write(tmp_path / "many", (GOES_ON,))
    gate = Gate(tmp_path / "many" / GOES_ON.name)
    process = desk.start("build", "many", "--work-directory", str(small_disk / "work"))
    filler = Filler(small_disk)

    def cancel(line: str) -> None:
        if gate.line in line and not filler.started:
            filler.start()
            process.send_signal(signal.SIGINT)

    ended = watched(process, cancel)
    filler.stop()
    assert ended.code == 130, ended.all
    assert "Traceback" not in ended.all


@pytest.mark.parametrize("how", ["timeout", "signal"])
def test_a_log_disk_that_stalls_holds_neither_the_time_limit_nor_a_signal(
    tmp_path: Path, how: str
) -> None:
    desk = Desk(tmp_path)
    many.write(tmp_path / "many", (many.SLOW,))
    limit = ("--build-timeout", "4s") if how == "timeout" else ()
    process = subprocess.Popen(
        [sys.executable, "-c", _STALLED, "build", "many", *limit],
        cwd=tmp_path,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if how == "signal":
        until(lambda: list(tmp_path.glob(".asyncpipe/runs/*/*/packer.log")))
        process.send_signal(signal.SIGINT)
    ended = watched(process)
    assert ended.code == (21 if how == "timeout" else 130), ended.all
    assert "Traceback" not in ended.all
    assert not living(str(tmp_path / ".asyncpipe"))
    if how == "timeout":
        assert "the disk did not answer" in ended.all
