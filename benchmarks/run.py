"""Everything of docs/performance.md in one run: ``python -m benchmarks.run [--quick]``.

Starts MinIO and a server that drops what it is sent, lets all clients take turns, prints the
tables as docs/performance.md holds them, and says which of the wanted ratios are met. ``--json``
writes the figures; ``--against FILE`` compares ratios to peers with those of an earlier run, and
ends with 1 where one has grown by more than a fifth. A section begins only while ``--minutes`` are
not over. Peers that are not installed are left out (``pip install obstore``; rclone is built).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import download, upload
from benchmarks._job import ENVIRONMENT
from benchmarks._servers import minio, null_server, rclone_folder
from benchmarks._sources import make_xva, parsed_size
from benchmarks.tail import link_to
from tests.stores.real_servers import RealServer

GROWN = 1.2  # a ratio that has grown by more is said to be worse than before
LINK_BYTES_PER_S = 100e6
Costs = dict[str, dict[str, float]]  # client -> medians


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """At most ``most`` times what the peers cost together; without peers: at most ``most``."""

    section: str
    ours: str
    column: str
    most: float
    peer: str = ""


WANTED = (
    Wanted(section="engine", ours="asyncpipe-crc", column="cpu_s", most=0.9, peer="awscrt"),
    Wanted(section="engine", ours="asyncpipe-crc", column="peak_mib", most=0.25, peer="awscrt"),
    Wanted(section="engine", ours="asyncpipe", column="cpu_s", most=0.9, peer="awscrt-sha256"),
    Wanted(section="pull", ours="asyncpipe", column="cpu_s", most=1.0, peer="obstore-sha256"),
    Wanted(section="pull", ours="asyncpipe", column="wall_s", most=1.1, peer="rclone"),
    Wanted(section="pull", ours="asyncpipe", column="peak_mib", most=120),
    Wanted(section="publish", ours="publish", column="cpu_s", most=1.0, peer="awscrt-sha256"),
    Wanted(section="publish", ours="publish", column="wall_s", most=1.1, peer="awscrt"),
    Wanted(section="publish", ours="publish", column="peak_mib", most=150),
    Wanted(section="publish, 100 MB/s", ours="publish", column="wall_s", most=1.1, peer="awscrt"),
    Wanted(section="publish, 100 MB/s", ours="publish", column="peak_mib", most=150),
)


@dataclass(slots=True, kw_only=True)
class Run:
    """What was asked for, and what was found so far."""

    arguments: argparse.Namespace
    folder: Path
    peers: frozenset[str]
    ends_s: float
    found: dict[str, Costs] = field(default_factory=dict)

    def installed(self, *names: str) -> list[str]:
        """Those of the peers that this machine has."""
        return [name for name in names if name.removesuffix("-sha256") in self.peers]

    def job(self, **changes: object) -> argparse.Namespace:
        """Arguments as the single benchmarks take them."""
        asked = self.arguments
        common: dict[str, object] = {
            "rounds": asked.rounds,
            "size": asked.size,
            "bucket": "bucket",
            "profile": "aws",
            "ca_bundle": None,
        }
        return argparse.Namespace(**{**common, **changes})


def main() -> None:
    arguments = parsed_arguments()
    rclone = rclone_folder()
    if rclone is not None:
        os.environ["PATH"] = f"{rclone}:{os.environ['PATH']}"
    modules = ("awscrt", "obstore", "boto3", "aioboto3")
    peers = {name for name in modules if importlib.util.find_spec(name) is not None}
    peers |= {"rclone"} if rclone is not None else set()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        run = Run(
            arguments=arguments,
            folder=Path(name),
            peers=frozenset(peers),
            ends_s=time.monotonic() + arguments.minutes * 60,
        )
        print(f"{upload.machine()}; load {load_before:.1f}; {arguments.size} bytes, ", end="")
        print(f"medians of {arguments.rounds} rounds\n", flush=True)
        everything(run)
    report = judged(run.found)
    if arguments.json is not None:
        told = {
            "machine": upload.machine(),
            "load": load_before,
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "size_bytes": arguments.size,
            "rounds": arguments.rounds,
            "sections": run.found,
            "wanted": report,
        }
        arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if arguments.against is not None:
        sys.exit(1 if compared(run.found, json.loads(arguments.against.read_text())) else 0)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("--size", type=parsed_size, default=parsed_size("2GiB"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="64 MiB, one round, no scale")
    parser.add_argument("--minutes", type=float, default=40.0, help="no section begins later")
    parser.add_argument("--folder", type=Path, default=None, help="for files and MinIO's data")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--against", type=Path, default=None, help="JSON of an earlier run")
    parser.add_argument("--plots", type=Path, default=None, help="folder for SVG files")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.size, arguments.rounds = parsed_size("64MiB"), 1
    return arguments


def everything(run: Run) -> None:
    """Measure section after section."""
    source = make_xva(run.folder / "benchmark.xva", run.arguments.size)
    upload.warm(source)
    with null_server() as endpoint:
        with section(run, "engine") as is_due:
            if is_due:
                engine(run, source, endpoint)
        with section(run, "tail") as is_due:
            if is_due:
                tail(run, endpoint)
        with section(run, "scale") as is_due:
            if is_due and not run.arguments.quick:
                scale(run, endpoint)
    with minio(run.folder / "minio") as server:
        if server is not None:
            with_minio(run, source, server)
    with section(run, "xva") as is_due:
        if is_due and not run.arguments.quick:
            script("xva")


@contextmanager
def section(run: Run, name: str) -> Iterator[bool]:
    """Print a title; one section's failure, or a lack of time, leaves the others."""
    is_due = time.monotonic() < run.ends_s
    print(f"## {name}{'' if is_due else ': left out, the time is up'}\n", flush=True)
    try:
        yield is_due
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        print(f"\n{name} failed: {error}\n", flush=True)


def engine(run: Run, source: Path, endpoint: str) -> None:
    peers = run.installed("awscrt", "awscrt-sha256", "obstore", "obstore-sha256", "boto3")
    job = run.job(endpoint=endpoint, ours=upload.OURS, peers=",".join(peers))
    keep(run, "engine", upload.measured(job, source), upload.print_table)


def with_minio(run: Run, source: Path, server: RealServer) -> None:
    endpoint = server.environment["AWS_ENDPOINT_URL_S3"]
    for name in ENVIRONMENT:
        os.environ[name] = server.environment.get(name, ENVIRONMENT[name])
    asked = {"bucket": server.bucket, "profile": "auto", "ours": ("publish",)}
    uploads = run.installed("awscrt", "awscrt-sha256", "obstore", "rclone")
    with section(run, "publish") as is_due:
        if is_due:
            job = run.job(endpoint=endpoint, peers=",".join(uploads), **asked)
            keep(run, "publish", upload.measured(job, source), download_table("publish"))
    with section(run, "publish, 100 MB/s") as is_due:
        if is_due:
            with link_to(endpoint, LINK_BYTES_PER_S) as slow:
                job = run.job(endpoint=slow, peers=",".join(uploads[:1]), **asked)
                found = upload.measured(job, source)
            keep(run, "publish, 100 MB/s", found, download_table("publish"))
    with section(run, "pull") as is_due:
        if is_due:
            peers = run.installed("obstore-sha256", "obstore", "rclone", "awscrt", "boto3")
            asked["peers"] = ",".join(peers)
            job = run.job(endpoint=endpoint, **asked)
            key = download.published(job, run.folder)
            keep(run, "pull", download.measured(job, run.folder, key), download.print_table)


def download_table(ours: str) -> Callable[[dict[str, list[dict[str, float]]]], None]:
    """Print a table of which ``ours`` is the first client."""
    return lambda results: download.print_table(results, ours=ours)


def keep(
    run: Run,
    name: str,
    results: dict[str, list[dict[str, float]]],
    show: Callable[[dict[str, list[dict[str, float]]]], None],
) -> None:
    run.found[name] = {client: upload.median_of(runs) for client, runs in results.items()}
    show(results)
    print(flush=True)


def tail(run: Run, endpoint: str) -> None:
    sizes = "64MiB" if run.arguments.quick else "1GiB,4GiB,16GiB"
    script("tail", "--endpoint", endpoint, "--sizes", sizes, "--folder", str(run.folder))


def scale(run: Run, endpoint: str) -> None:
    plots = run.arguments.plots
    drawn = ["--plots", str(plots)] if plots is not None else []
    where = ["--endpoint", endpoint, "--folder", str(run.folder)]
    script("scale", *where, "--sizes", "1GiB,4GiB,16GiB", "--each", "256MiB", *drawn)


def script(name: str, *words: str) -> None:
    """Run another benchmark, whose tables go where ours go."""
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *words], check=True)
    print(flush=True)


def judged(found: dict[str, Costs]) -> list[dict[str, object]]:
    """Print which wanted ratios are met."""
    print("## Wanted\n\n| section | what | wanted | found | |\n|---|---|---|---|---|")
    rows: list[dict[str, object]] = []
    for wanted in WANTED:
        value = ratio(found.get(wanted.section, {}), wanted)
        what = f"{wanted.ours} {wanted.column}" + (f" / {wanted.peer}" if wanted.peer else "")
        shown = "not measured" if value is None else f"{value:.2f}"
        verdict = "" if value is None else "met" if value <= wanted.most else "missed"
        print(f"| {wanted.section} | {what} | {wanted.most:g} | {shown} | {verdict} |")
        rows.append({"section": wanted.section, "what": what, "most": wanted.most, "found": value})
    return rows


def ratio(costs: Costs, wanted: Wanted) -> float | None:
    """Our figure, as a ratio to the peer's where there is one; None: one of them is missing."""
    if wanted.ours not in costs or (wanted.peer and wanted.peer not in costs):
        return None
    ours = costs[wanted.ours][wanted.column]
    return ours / costs[wanted.peer][wanted.column] if wanted.peer else ours


def compared(found: dict[str, Costs], before: dict[str, dict[str, Costs]]) -> Sequence[str]:
    """Print the ratios that have grown since an earlier run, and return them."""
    grown = []
    for wanted in WANTED:
        now = ratio(found.get(wanted.section, {}), wanted)
        then = ratio(before["sections"].get(wanted.section, {}), wanted)
        if now is not None and then is not None and now > GROWN * then:
            grown.append(f"{wanted.section}: {wanted.ours} {wanted.column} {then:.2f} -> {now:.2f}")
    print("\n" + ("\n".join(grown) or "No ratio has grown by more than a fifth."))
    return grown


if __name__ == "__main__":
    main()
