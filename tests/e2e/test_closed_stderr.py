"""Our own diagnostics: a stderr that is closed, full or stalled fails no command and no build."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.command import LIMIT_S, Desk, needs_packer

# The command line, and one with a defect in a listener of the log, which our own log reports.
_DOOR = "from asyncpipe.__main__ import main; main()"
_DEFECT = """
from asyncpipe.detect.guest import GuestCollector

def feed_lines(self, lines):
    raise RuntimeError("a defect")

GuestCollector.feed_lines = feed_lines
from asyncpipe.__main__ import main
main()
"""


@contextmanager
def broken_pipe() -> Iterator[int]:
    """A pipe whose reader went away."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def stalled_pipe() -> Iterator[int]:
    """A pipe that is full, and that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def full_disk() -> Iterator[int]:
    """A device on which no byte finds room."""
    with closing(Path("/dev/full").open("wb")) as file:
        yield file.fileno()


def run(desk: Desk, code: str, arguments: list[str], stderr: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.real_packer
@needs_packer
@pytest.mark.parametrize("opened", [broken_pipe, stalled_pipe])
def test_a_build_ends_well_though_our_own_log_cannot_be_written(
    tmp_path: Path, opened: type
) -> None:
    desk = Desk(tmp_path)
    with opened() as stderr:
        code, out = run(desk, _DEFECT, ["build", "templates/demo", "-v"], stderr)
    assert code == 0, out
    assert any(name.endswith("metadata.json") for name in desk.files("published/templates"))


@pytest.mark.parametrize("opened", [broken_pipe, full_disk])
def test_an_error_that_nobody_reads_has_its_exit_code(tmp_path: Path, opened: type) -> None:
    with opened() as stderr:
        code, _ = run(Desk(tmp_path), _DOOR, ["build", "none"], stderr)
    assert code == 3


@pytest.mark.parametrize("module", ["click", "msgspec"])
def test_an_interrupt_while_modules_are_imported_is_one_sentence(
    tmp_path: Path, module: str
) -> None:
    interrupts = f"import os, signal\nos.kill(os.getpid(), {signal.SIGINT})\n"
    (tmp_path / f"{module}.py").write_text(interrupts)
    done = subprocess.run(
        [sys.executable, "-m", "asyncpipe", "list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    said = done.stderr.decode()
    assert (done.returncode, done.stdout, said.strip()) == (130, b"", "asyncpipe: interrupted")
