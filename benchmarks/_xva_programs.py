"""Whole programs that read and write XVA files, side by side: ours, tar, xva-img, qemu-img."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks._sources import MIB, export_of, make_disk, make_xva

OURS = (sys.executable, "-m", "asyncpipe")
Command = Sequence[str | Path]


def compare(folder: Path, size_bytes: int, rounds: int = 3) -> None:
    """Print wall and CPU seconds, GB of disk data per CPU second, and peak, medians by wall."""
    source = make_xva(folder / "whole.xva", size_bytes)
    raw = make_disk(folder / "whole.raw", size_bytes)
    out, members = folder / "out", folder / "members"
    old = folder / "sha1.xva"  # the digests that xva-img knows
    with old.open("wb") as file:
        file.writelines(export_of(size_bytes, os.urandom(MIB), ".checksum"))
    rows: dict[str, list[Command]] = {
        "asyncpipe verify": [(*OURS, "verify", source)],
        "tar -t, which checks nothing": [("tar", "-tf", source)],
        "sha256sum": [("sha256sum", source)],
        "asyncpipe extract, SHA-1 verified": [(*OURS, "extract", old, "-o", out)],
        "asyncpipe extract, verified": [(*OURS, "extract", source, "-o", out)],
        "tar -x and xva-img, SHA-1 verified": [
            ("mkdir", members),
            ("tar", "-xf", old, "-C", members),
            ("xva-img", "-p", "disk-export", members / "Ref:100", out),
        ],
        "asyncpipe xva create": [(*OURS, "xva", "create", "--name", "x", "--disk", raw, "-o", out)],
        "qemu-img convert, raw to raw": [
            ("qemu-img", "convert", "-f", "raw", "-O", "raw", raw, out)
        ],
    }
    print("| program | wall s | CPU s | GB/s of disk data per CPU s | peak MiB |")
    print("|---|---|---|---|---|")
    for name, commands in rows.items():
        missing = [str(words[0]) for words in commands if shutil.which(words[0]) is None]
        if missing:
            print(f"| {name} | {', '.join(missing)} is not installed | | | |")
            continue
        costs = sorted(_run(commands, out, members) for _ in range(rounds))[rounds // 2]
        rate = size_bytes / costs[1] / 1e9
        print(f"| {name} | {costs[0]:.2f} | {costs[1]:.2f} | {rate:.2f} | {costs[2]:.0f} |")
    for path in (source, raw, old):
        path.unlink()


def _run(commands: Sequence[Command], out: Path, members: Path) -> tuple[float, float, float]:
    """Run commands one after the other; returns wall s, CPU s and the largest peak in MiB."""
    began_s, cpu_s, peak_kib = time.perf_counter(), 0.0, 0
    try:
        for words in commands:
            with tempfile.TemporaryFile() as said:
                child = subprocess.Popen(words, stdout=said, stderr=said)
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
                if child.returncode:
                    said.seek(0)
                    raise ValueError(f"{words[0]}: {said.read()[-800:].decode(errors='replace')}")
            cpu_s += usage.ru_utime + usage.ru_stime
            peak_kib = max(peak_kib, usage.ru_maxrss)
        return time.perf_counter() - began_s, cpu_s, peak_kib / 1024
    finally:
        out.unlink(missing_ok=True)
        shutil.rmtree(members, ignore_errors=True)
