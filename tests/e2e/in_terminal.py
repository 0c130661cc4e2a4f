"""Runs the command line in a terminal of its own, as a person at a keyboard does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.report.emulator import Terminal

LIMIT_S = 120.0
CTRL_C = b"\x03"


class InTerminal:
    """A running command and the screen that it writes to."""

    def __init__(self, process: subprocess.Popen[bytes], keyboard: int, screen: Terminal) -> None:
        self._process, self._keyboard, self.terminal = process, keyboard, screen

    def press(self, keys: bytes) -> None:
        """Type; the terminal echoes, and makes a signal of Ctrl-C."""
        os.write(self._keyboard, keys)

    def until(self, condition: Callable[[list[str]], bool], what: str) -> list[str]:
        """Read until the screen shows it; that screen."""
        end_s = time.monotonic() + LIMIT_S
        while not condition(screen := self.terminal.screen()):
            assert time.monotonic() < end_s, f"{what} never came:\n{self.text}"
            assert self._read(), f"{what} never came before the end:\n{self.text}"
        return screen

    def hang_up(self) -> int:
        """Take the terminal away, as a dropped connection does; the exit code."""
        os.close(self._keyboard)
        return self._process.wait(LIMIT_S)

    def finish(self) -> int:
        """Read to the end; the exit code."""
        end_s = time.monotonic() + LIMIT_S
        while self._read():
            assert time.monotonic() < end_s, self.text
        return self._process.wait(LIMIT_S)

    @property
    def text(self) -> str:
        """All that can be seen, the scrollback included."""
        return "\n".join(self.terminal.everything()).rstrip()

    def _read(self) -> bool:
        """Take what comes within a moment; False at the end."""
        if not select.select([self._keyboard], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._keyboard, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self.terminal.write(data.decode("utf-8", "replace"))
        return bool(data)


@contextlib.contextmanager
def in_terminal(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str],
    columns: int = 100,
    lines: int = 30,
) -> Iterator[InTerminal]:
    """Start ``asyncpipe ARGUMENTS`` in the foreground of a new terminal; killed at the end."""
    keyboard, side = pty.openpty()
    size = struct.pack("HHHH", lines, columns, 0, 0)
    fcntl.ioctl(side, termios.TIOCSWINSZ, size)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "asyncpipe", *arguments],
            cwd=folder,
            env={**environment, "TERM": "xterm"},
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one thread
        )
        os.close(side)
        try:
            yield InTerminal(process, keyboard, Terminal(columns, lines))
        finally:
            process.kill()
            process.wait(LIMIT_S)
    finally:
        with contextlib.suppress(OSError):  # it was hung up
            os.close(keyboard)
