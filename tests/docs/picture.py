"""Draws docs/images/run-dark.svg and run-light.svg: ``python -m tests.docs.picture``.

Builds the demo with real Packer in a terminal of 100 columns and draws what is on it at the end.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI, TerminalTheme
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 112, 28
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
PAPER = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [
        (36, 41, 47),
        (180, 35, 24),
        (17, 99, 41),
        (125, 78, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (110, 119, 129),
    ],
)
THEMES = {"dark": DIMMED_MONOKAI, "light": PAPER}


def screen_of_a_run() -> pyte.Screen:
    """Build the demo in a pseudo-terminal; return what it shows at the end."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        folder = Path(name)
        shutil.copytree(REPOSITORY / "templates/demo", folder / "templates/demo")
        leader, follower = pty.openpty()
        os.set_blocking(leader, True)
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "asyncpipe", "build", "templates/demo"],
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "HOME": name, "TMPDIR": "/tmp"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        while piece := _read(leader):
            stream.feed(piece.replace(os.fsencode(name), b"/srv/templates"))
        assert process.wait() == 0
    return screen


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # EIO: the other end is closed
        return b""


def drawn(screen: pyte.Screen, theme: TerminalTheme) -> str:
    """Draw a screen as SVG; no font is fetched from anywhere."""
    rows = [_row(screen, y) for y in range(screen.lines)]
    while rows and not rows[-1].plain.strip():
        rows.pop()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=screen.columns, file=nowhere, force_terminal=True)
        console.print(Text("\n").join(rows), soft_wrap=True)
        svg = console.export_svg(title="asyncpipe build templates/demo", theme=theme, unique_id="a")
    svg = svg.replace("Fira Code, monospace", FONTS)
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)


def _row(screen: pyte.Screen, y: int) -> Text:
    row = Text()
    cells = [screen.buffer[y][x] for x in range(screen.columns)]
    for style, group in itertools.groupby(cells, _style):
        row.append("".join(cell.data for cell in group), style)
    row.rstrip()
    return row


def _style(cell: Any) -> Style:
    colour = None if cell.fg == "default" else _colour(cell.fg)
    return Style(color=colour, bold=cell.bold, underline=cell.underscore)


def _colour(name: str) -> str:
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return {"brown": "yellow", "brightbrown": "bright_yellow"}.get(
        name, name.replace("bright", "bright_")
    )


if __name__ == "__main__":
    shown = screen_of_a_run()
    for kind, look in THEMES.items():
        target = REPOSITORY / f"docs/images/run-{kind}.svg"
        target.write_text(drawn(shown, look), encoding="utf-8")
