"""A terminal that knows no escape sequences (TERM=dumb: Emacs, some CI consoles) gets none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import LIMIT_S, Desk, needs_packer


def shown_on_a_terminal(desk: Desk, *arguments: str, term: str) -> bytes:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncpipe", *arguments],
        cwd=desk.folder,
        env=desk.environment | {"TERM": term},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    try:
        while piece := _read(leader):
            shown += piece
        process.wait(LIMIT_S)
    finally:
        process.kill()
        os.close(leader)
    return shown


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # EIO: nobody writes any more
        return b""


@pytest.mark.real_packer
@needs_packer
def test_a_build_has_colours_on_a_capable_terminal_and_none_on_a_dumb_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    quick = ("build", "templates/demo", "-var", "seconds=0", "-var", "size_mib=4")
    assert b"\x1b[" in shown_on_a_terminal(desk, *quick, term="xterm-256color")
    dumb = shown_on_a_terminal(desk, *quick, term="dumb")
    assert b"published" in dumb
    assert b"\x1b" not in dumb


@pytest.mark.parametrize(
    "arguments", [("--help",), ("list",), ("build", "nowhere"), ("verify", "demo.xva"), ("index",)]
)
def test_other_commands_have_none_either(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "demo.xva").write_bytes(bytes(8 * 1024 * 1024))  # long enough for a live line
    shown = shown_on_a_terminal(desk, *arguments, term="dumb")
    assert shown
    assert b"\x1b" not in shown
