"""``python -m tests.soak --minutes N``: random commands, faults, kills and cancellations.

Against MinIO, where its program can be found or built, and a folder. Prints what was done and
measured, and what was found; exit code 1 if there is a finding. ``--seed`` repeats the draws.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.command import REPOSITORY, clean_environment
from tests.e2e.zygote import running_zygote
from tests.soak import verdict
from tests.soak.commands import Lane
from tests.soak.places import Place, available, opened

MODULES = (
    "asyncpipe.cli.main",
    "asyncpipe.cli.build",
    "asyncpipe.cli.publish",
    "asyncpipe.cli.reap",
    "asyncpipe.cli.run.finished",
    "asyncpipe.stores.s3.store",
    "asyncpipe.stores.directory.store",
)
_WORKER_MORE_S = 300


@dataclass(slots=True)
class Report:
    """What a soak did, and what it found."""

    lines: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def soak(folder: Path, *, seconds: float, seed: int) -> Report:
    """Run all lanes side by side, clean up as a person would, and look at what is left."""
    report = Report()
    names, missing = available()
    report.lines += [f"left out: {reason}" for reason in missing]
    with ExitStack() as stack:
        places = [stack.enter_context(opened(name, folder / "stores" / name)) for name in names]
        lanes = [
            Lane(
                place,
                stack.enter_context(running_zygote(*MODULES)),
                folder / "desks" / place.name,
                seed + number,
            )
            for number, place in enumerate(places)
        ]
        workers = [_worker(place, folder / "workers", seconds, seed) for place in places]
        until_s = time.monotonic() + seconds
        threads = [threading.Thread(target=lane.run, args=(until_s,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for place, worker in zip(places, workers, strict=True):
            _take_worker(report, place, worker)
        for lane in lanes:
            _take_lane(report, lane)
        report.findings += verdict.of_processes(folder / "desks")
    return report


def _worker(place: Place, folder: Path, seconds: float, seed: int) -> subprocess.Popen[str]:
    own = folder / place.name
    own.mkdir(parents=True)
    destination = f"{place.destination}-worker"
    work = {"folder": str(own), "seconds": str(seconds), "seed": str(seed)}
    job = json.dumps([destination, dict(place.environment), work])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.soak.worker", job],
        cwd=REPOSITORY,
        env=clean_environment(own),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _take_worker(report: Report, place: Place, worker: subprocess.Popen[str]) -> None:
    out, err = worker.communicate(timeout=_WORKER_MORE_S)
    if worker.returncode:
        report.findings.append(f"{place.name}: the worker ended with {worker.returncode}: {err}")
        return
    told = json.loads(out.splitlines()[-1])
    findings, line = verdict.of_worker(place.name, told["measured"])
    report.findings += findings
    report.lines.append(f"{line}; {told['ended']}")


def _take_lane(report: Report, lane: Lane) -> None:
    lane.reap()
    for below in ("", "-worker"):
        argv = ("reap", "--older-than", "0s", "--destination", lane.place.destination + below)
        done = lane.command(argv)
        if done.code:
            lane.findings.append(f"{lane.place.name}: {' '.join(argv)}: {done.all[-1500:]}")
    for below in ("", "-worker"):
        place = Place(
            name=lane.place.name,
            destination=lane.place.destination + below,
            environment=lane.place.environment,
        )
        findings, count = verdict.of_store(place)
        lane.findings += findings
        report.lines.append(f"{place.destination}: {count} versions verified")
    lane.findings += verdict.of_failures(lane)
    report.findings += lane.findings
    report.lines.append(f"{lane.place.name}: {sum(lane.ended.values())} commands")
    report.lines += [f"  {what}, {count} times" for what, count in sorted(lane.ended.items())]


def main() -> int:
    """Soak as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work there, and leave it")
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}\n")
    with tempfile.TemporaryDirectory(prefix="asyncpipe-soak-") as scratch:
        folder = options.keep or Path(scratch)
        report = soak(folder, seconds=60 * options.minutes, seed=options.seed)
    count = f"{len(report.findings)} findings"
    sys.stdout.write("\n".join([*report.lines, count, *report.findings, ""]))
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
