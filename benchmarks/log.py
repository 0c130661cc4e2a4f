"""What the log of a build costs: ``python -m benchmarks.log [--size 16] [--seconds 10]``.

Masking alone; the whole path from the pipe to build.log with all that listen (the guest's facts,
the medium, Packer's progress, the console with its board); hostile streams; the processor's share
at Packer's top speed; and how long a line needs to the console. CPU time, best of five rounds;
``cat | tee`` runs beside it, and ordinary output beside each hostile stream of 4 MB.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from asyncpipe.detect.guest import GuestCollector
from asyncpipe.detect.medium import MediumCollector
from asyncpipe.model.events import OutputLines, RunStarted
from asyncpipe.packer.progress import BuildProgress
from asyncpipe.packer.watch import watch
from asyncpipe.ports import Command
from asyncpipe.report.console.printers import PlainPrinter, Printer, Style
from asyncpipe.report.console.reporter import Console
from asyncpipe.report.console.terminal import BoardPrinter
from asyncpipe.report.sink import Sink, StreamSink
from asyncpipe.run.log import BuildLog, open_log
from asyncpipe.system.logfile import DiskLogFiles
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.text.mask import Redactor
from asyncpipe.text.secrets import secrets_of
from tests.text.hostile import HOSTILE, stream

_CHUNK_BYTES = 65536
_ROUNDS = 5
_TOP_LINES_PER_S = 3800
_RANDOM = random.Random(1)
_ALPHABET = string.ascii_letters + string.digits + "-/+&<'"
_SECRETS = secrets_of(
    {}, {f"k{number}": "".join(_RANDOM.choices(_ALPHABET, k=24)) for number in range(40)}
)
_STYLE = Style(units=("debian-12", "rocky-9"))
_WRITER = r"""
import os, sys, time
rate, seconds, shows_time = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "time"
text = b"    xenserver-iso.debian: Setting up libc6:amd64 (2.36-9+deb12u4) number %d ...\n"
count, began = 0, time.monotonic()
while (now := time.monotonic() - began) < seconds:
    while count < now * rate:
        line = b"at %d\n" % time.monotonic_ns() if shows_time else text % count
        count += os.write(1, line) > 0
    time.sleep(0.0002)
"""


def _ordinary(size_bytes: int) -> bytes:
    words = ["Setting", "up", "libc6:amd64", "(2.36-9)", "...", "Unpacking", "/usr/lib/x", "done"]
    lines = [" ".join(_RANDOM.choices(words, k=6)) for _ in range(2000)]
    block = "".join(f"    xenserver-iso.debian: {line}\n" for line in lines).encode()
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


def _mb_per_s(data: bytes, work: Callable[[bytes], float], rounds: int = _ROUNDS) -> float:
    return len(data) / 1e6 / min(work(data) for _ in range(rounds))


def _masked(data: bytes) -> float:
    redactor = Redactor(_SECRETS)
    began_s = time.process_time()
    for at in range(0, len(data), _CHUNK_BYTES):
        redactor.feed(data[at : at + _CHUNK_BYTES])
    redactor.flush()
    return time.process_time() - began_s


@asynccontextmanager
async def _log(printer: Printer, sink: Sink) -> AsyncIterator[BuildLog]:
    """Open a log in a folder of its own, with all that listen to one in a run."""
    console = Console(printer, sink, time.monotonic)
    console.start()
    console.emit(RunStarted(run_id="r", units=_STYLE.units, destination="d"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "build.log"
        async with open_log(path, log_files=DiskLogFiles(), redactor=Redactor(_SECRETS)) as log:
            log.subscribe_batches(GuestCollector().feed_lines, whole_lines=True)
            log.subscribe_batches(MediumCollector().feed_lines, whole_lines=True)
            log.subscribe_batches(BuildProgress(lambda _: None).take_lines, whole_lines=True)
            log.subscribe_batches(
                lambda lines: console.emit(
                    OutputLines(unit="debian-12", text=lines.text, count=len(lines))
                )
            )
            yield log
    console.close(30)


def _board() -> BoardPrinter:
    return BoardPrinter(_STYLE, lambda: (120, 40))


def _null() -> StreamSink:
    return StreamSink(Path(os.devnull).open("w", encoding="utf-8"))


def _logged(data: bytes) -> float:
    async def run() -> float:
        async with _log(_board(), _null()) as log:
            began_s = time.process_time()
            for at in range(0, len(data), _CHUNK_BYTES):
                await log.feed(data[at : at + _CHUNK_BYTES])
        return time.process_time() - began_s

    return anyio.run(run)


async def _written_by_a_child(log: BuildLog, rate: float, seconds: float, what: str) -> float:
    """Return the CPU time from the child's start to the end of its output, the child's aside."""
    argv = (sys.executable, "-c", _WRITER, str(rate), str(seconds), what)
    command = Command(argv=argv, cwd=Path.cwd(), environment=dict(os.environ))
    async with SystemProcessRunner().start(command) as process:
        began_s = time.process_time()
        await watch(process, log)
        return time.process_time() - began_s


def _share_at_top_speed(seconds: float) -> float:
    async def run() -> float:
        async with _log(_board(), _null()) as log:
            await log.feed(b"==> x.y: hello\n")  # compiles
            return await _written_by_a_child(log, _TOP_LINES_PER_S, seconds, "text")

    return anyio.run(run) / seconds


class _Clock:
    """A sink that notes how long ago each line was printed."""

    def __init__(self) -> None:
        self.delays_ms: list[float] = []

    def write(self, text: str) -> None:
        now_ns = time.monotonic_ns()
        for line in text.split("\n"):
            _, found, printed_ns = line.partition("| at ")
            if found:
                self.delays_ms.append((now_ns - int(printed_ns)) / 1e6)


def _delays_ms(rate: float, seconds: float) -> list[float]:
    async def run() -> list[float]:
        clock = _Clock()
        async with _log(PlainPrinter(_STYLE), clock) as log:
            await log.feed(b"==> x.y: hello\n")
            await _written_by_a_child(log, rate, seconds, "time")
        return clock.delays_ms

    return sorted(anyio.run(run))


def _cat_tee_mb_per_s(data: bytes) -> float:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").write_bytes(data)
        began_s = time.perf_counter()
        subprocess.run(["sh", "-c", "cat in | tee out >/dev/null"], cwd=folder, check=True)
        return len(data) / 1e6 / (time.perf_counter() - began_s)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=16, help="MB of ordinary output")
    parser.add_argument("--hostile", type=int, default=4, help="MB of each hostile stream")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the paced runs")
    return parser.parse_args()


def _beside(data: bytes, ordinary: bytes, work: Callable[[bytes], float]) -> tuple[float, float]:
    """Return MB/s of a stream, and its share of what ordinary output has in the same seconds.

    The two take turns: the processor's own pace drifts by a fifth within a minute.
    """
    best = [math.inf, math.inf]
    for _ in range(_ROUNDS):
        best = [min(old_s, work(each)) for old_s, each in zip(best, (data, ordinary), strict=True)]
    rate, usual = (len(each) / 1e6 / s for each, s in zip((data, ordinary), best, strict=True))
    return rate, rate / usual


def _print_streams(size_mb: int, ordinary: bytes) -> None:
    shares: dict[str, dict[str, float]] = {"mask": {}, "whole path": {}}
    for name in HOSTILE:
        data = stream(name, size_mb * 1_000_000)
        columns = []
        for what, work in (("mask", _masked), ("whole path", _logged)):
            rate, shares[what][name] = _beside(data, ordinary, work)
            columns.append(f"{what} {rate:7.1f} MB/s, {shares[what][name]:5.2f}")
        print(f"{name:34} {'   '.join(columns)} of the ordinary one", flush=True)
    for what, found in shares.items():
        worst = min(found, key=lambda name: found[name])
        print(f"worst of {len(found)}, {what}: {worst}, {found[worst]:.3f} of the ordinary one")


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{len(_SECRETS.forms)} forms of 40 secrets; load {load}")
    ordinary = _ordinary(arguments.size * 1_000_000)
    _logged(ordinary[:_CHUNK_BYTES])  # compiles
    tee = statistics.median(_cat_tee_mb_per_s(ordinary) for _ in range(3))
    print(f"cat | tee    {tee:8.1f} MB/s (wall)")
    for name, work in (("mask", _masked), ("whole path", _logged)):
        rate = _mb_per_s(ordinary, work)
        print(f"{name:12} {rate:8.1f} MB/s (CPU), {rate / tee:.3f} of cat | tee")
    share = _share_at_top_speed(arguments.seconds)
    print(f"at {_TOP_LINES_PER_S} lines/s: {share:.1%} of one core")
    for rate in (20, _TOP_LINES_PER_S):
        delays = _delays_ms(rate, arguments.seconds)
        median, high = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        print(f"line to console at {rate} lines/s: median {median:.1f} ms, 99 % {high:.1f} ms")
    _print_streams(arguments.hostile, ordinary)


if __name__ == "__main__":
    main()
