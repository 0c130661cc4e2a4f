"""A file system that stalls as a whole holds neither a signal nor a time limit."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import many
from tests.e2e.command import Desk, needs_packer
from tests.e2e.watching import living, until, watched
from tests.run.services import xva_bytes

# The command line; once the flag is there, every call on a file below the folder hangs in the
# kernel, as those on a network file system do whose server is gone. (What CPython's own FileIO
# reads and writes is not reached from here: tests/e2e/test_bad_disks.py has a log that stalls.)
# The first call of the name AT sets the flag.
_STALLS = """
import builtins, io, os, sys

FOLDER, FLAG, AT = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
never, _ = os.pipe()
read, exists = os.read, os.access
ours = set()

def hang(what, name):
    below = what in ours if isinstance(what, int) else str(what).startswith(FOLDER)
    if below and name == AT:
        real_open(FLAG, os.O_CREAT)
    if below and exists(FLAG, os.F_OK):
        sys.__stderr__.write(f"hangs: {what}\\n")
        read(never, 1)

def hanging(function):
    def call(what, *more, **named):
        if isinstance(what, (int, str, os.PathLike)):
            hang(os.fspath(what) if isinstance(what, os.PathLike) else what, function.__name__)
        result = function(what, *more, **named)
        if function is real_open and str(what).startswith(FOLDER):
            ours.add(result)
        return result
    return call

def close(descriptor, real=os.close):
    ours.discard(descriptor)
    real(descriptor)

real_open, os.close = os.open, close
for name in ("stat lstat scandir listdir unlink mkdir rmdir rename replace link chmod open fstat"
             " pread preadv pwrite fsync ftruncate").split():
    setattr(os, name, hanging(getattr(os, name)))
io.open = builtins.open = hanging(io.open)

from asyncpipe.cli.main import main
main()
"""


@pytest.mark.real_packer
@needs_packer
@pytest.mark.parametrize(
    ("how", "when"),
    [
        ("signal", "while it exports"),
        pytest.param("signal", "while it builds", marks=pytest.mark.heavy("long")),
        pytest.param("timeout", "while it builds", marks=pytest.mark.heavy("long")),
        pytest.param("timeout", "while it exports", marks=pytest.mark.heavy("long")),
    ],
)
def test_neither_a_signal_nor_the_time_limit_waits_for_the_disk(
    tmp_path: Path, how: str, when: str
) -> None:
    desk, flag, work = Desk(tmp_path), tmp_path / "flag", tmp_path / "work"
    many.write(tmp_path / "many", (many.Copy(system="debian", version="12", seconds=600),))
    if when == "while it exports":
        _export_slowly(tmp_path / "many/debian-12")
    limit = ("--build-timeout", "15s") if how == "timeout" else ()
    argv = ("build", "many", "--eager", "--grace", "2s", "--work-directory", str(work), *limit)
    process = subprocess.Popen(
        [sys.executable, "-c", _STALLS, str(work), str(flag), "", *argv],
        cwd=tmp_path,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def stall(line: str) -> None:
        begins = "Setting up" if when == "while it builds" else "the export has begun"
        if begins in line and not flag.exists():
            flag.touch()
        if line.startswith("hangs") and how == "signal":
            process.send_signal(signal.SIGINT)

    ended = watched(process, stall)
    assert ended.code == (21 if how == "timeout" else 130), ended.all
    assert "hangs: " in ended.err
    assert "Traceback" not in ended.all
    until(lambda: not living(str(work)))


@pytest.mark.parametrize(
    "at",
    [
        "pwrite",
        "link",
        *(pytest.param(one, marks=pytest.mark.heavy) for one in ("mkdir", "replace")),
    ],
)
def test_a_signal_does_not_wait_for_the_disk_of_the_destination(tmp_path: Path, at: str) -> None:
    desk, flag, store = Desk(tmp_path), tmp_path / "flag", tmp_path / "store"
    (tmp_path / "debian-12.xva").write_bytes(xva_bytes(tmp_path, 6 << 20))
    argv = ("publish", "debian-12.xva", "--part-size=5MiB", "--destination", str(store))
    process = subprocess.Popen(
        [sys.executable, "-c", _STALLS, str(store), str(flag), at, *argv],
        cwd=tmp_path,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def stop(line: str) -> None:
        if line.startswith("hangs"):
            process.send_signal(signal.SIGINT)

    ended = watched(process, stop)
    assert ended.code == 130, ended.all
    assert "hangs: " in ended.err
    assert "Traceback" not in ended.all
    assert not list(store.glob("templates/*/latest.json"))


def _export_slowly(template: Path) -> None:
    """Let the export stop in its middle, for ever."""
    script = template / "install.sh"
    begin = 'mkdir -p "$DEMO_OUTPUT"; head -c 8388608 /dev/zero >"$DEMO_OUTPUT/demo.xva"'
    script.write_text(f"#!/bin/sh\n{begin}\necho the export has begun\nexec sleep 600\n")
    hcl = template / "demo.pkr.hcl"
    text = hcl.read_text()
    old = '"DEMO_FAIL=${var.fail_in_provisioner}",'
    assert old in text
    hcl.write_text(text.replace(old, f'{old}\n      "DEMO_OUTPUT=${{var.output_directory}}",'))
