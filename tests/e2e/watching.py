"""A command that a test follows line by line while it runs."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.command import LIMIT_S, Ended


def watched(
    process: subprocess.Popen[str], on_line: Callable[[str], None] = lambda _: None
) -> Ended:
    """Read both streams to their end; ``on_line`` hears of every line."""
    said: dict[str, list[str]] = {"out": [], "err": []}

    def read(name: str, stream: Any) -> None:
        for line in stream:
            said[name].append(line)
            on_line(line)

    readers = [
        threading.Thread(target=read, args=pair)
        for pair in (("out", process.stdout), ("err", process.stderr))
    ]
    for reader in readers:
        reader.start()
    try:
        process.wait(timeout=LIMIT_S)
    finally:
        process.kill()
        for reader in readers:
            reader.join(10)
        for stream in (process.stdout, process.stderr):
            assert stream
            stream.close()
    return Ended(process.returncode, "".join(said["out"]), "".join(said["err"]))


def until(seen: Callable[[], object]) -> None:
    """Wait for what has no event of its own."""
    end_s = time.monotonic() + LIMIT_S
    while not seen():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def living(marker: str) -> list[int]:
    """Processes that Packer started for a run: its folder is in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (
                marker.encode() in (entry / "environ").read_bytes()
                and int(entry.name) != os.getpid()
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
