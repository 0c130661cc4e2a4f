"""How long commands take to start: ``python benchmarks/startup.py [--versions N] [--repeat N]``.

Reports the least user and system CPU and the least wall time of each command. CPU is what counts on
a busy machine. The budgets (``--help`` 0.15 s, ``list`` 0.5 s) are wall time on a quiet one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

BUDGET_S = {"--help": 0.15, "list": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a command."""

    wall_s: float
    cpu_s: float


def started(words: list[str], folder: Path) -> Start:
    begun_s = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.execv(sys.executable, [sys.executable, "-m", "asyncpipe", *words])
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"asyncpipe {' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return Start(wall_s=time.perf_counter() - begun_s, cpu_s=usage.ru_utime + usage.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=3, help="published versions to list")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publish_versions(folder, options.versions)
        print("| command | CPU | wall | budget |\n|---|---|---|---|")
        for words in (["--help"], ["build", "--help"], ["list"], ["latest", "debian1"]):
            runs = [started(words, folder) for _ in range(options.repeat)]
            cpu_s, wall_s = min(run.cpu_s for run in runs), min(run.wall_s for run in runs)
            budget = f"{BUDGET_S[words[0]]:.2f} s" if words[0] in BUDGET_S else ""
            print(f"| `{' '.join(words)}` | {cpu_s:.2f} s | {wall_s:.2f} s | {budget} |")


def publish_versions(folder: Path, count: int) -> None:
    """Publish as many templates as asked for, each with one version."""
    (folder / "disk.raw").write_bytes(os.urandom(1 << 20))
    create = ["xva", "create", "--name", "t", "--disk", "disk.raw", "-o", "t.xva"]
    started(create, folder)
    for number in range(count):
        started(["publish", "t.xva", "--os", "debian", "--os-version", str(number + 1)], folder)


if __name__ == "__main__":
    main()
