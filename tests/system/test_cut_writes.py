"""A download that heeds no signal ends by an error of its own; other pipes stay untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from asyncpipe.system import proc

_WRITES = """
import sys, time
with open(sys.argv[1], "wb", buffering=0) as file:
    print("writing", flush=True)
    try:
        while True:
            file.write(b"x")
            time.sleep(0.01)
    except OSError as error:
        print(error.strerror, flush=True)
"""


def test_a_writer_below_the_folder_gets_an_error_and_one_elsewhere_none(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITES, str(tmp_path / "x.xva")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert not proc.cut_writes(process.pid, tmp_path / "elsewhere")
        assert process.poll() is None
        assert proc.cut_writes(process.pid, tmp_path)
        assert process.stdout.readline() == "File too large\n"
        assert process.wait(timeout=30) == 0
    assert not proc.cut_writes(process.pid, tmp_path)


def test_only_the_output_of_the_leader_is_read(tmp_path: Path) -> None:
    """A child that inherits the read end of its output, and has a pipe of its own besides."""
    read_end, write_end = os.pipe()
    other, other_write = os.pipe()
    with subprocess.Popen(
        ["/bin/sleep", "60"],
        stdout=write_end,
        pass_fds=(read_end, other),
        start_new_session=True,
    ) as process:
        try:
            found = proc.output_of(process.pid)
            assert found is not None
            assert found.readlink() == Path(f"/proc/self/fd/{read_end}").readlink()
        finally:
            process.kill()
    for descriptor in (read_end, write_end, other, other_write):
        os.close(descriptor)
