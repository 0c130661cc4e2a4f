"""Everything of docs/performance.md in one run: ``python -m benchmarks.run [--quick]``.

Starts MinIO and a server that drops what it is sent, lets all clients take turns, prints the
tables as docs/performance.md holds them, and says which of the wanted ratios are met.

Disk: what a run has stored is deleted before the next one, and no export is written out: at most
four times ``--size`` lie in ``--folder`` at once (2 GiB: 8 GiB, 6 of them with MinIO).
Time: no section begins after ``--minutes``, and none begins another round once its share of them
is over; a client that takes long beside the others has fewer rounds, as the tables say.

``--sections`` names those to run. ``--json`` writes the figures; ``--against FILE`` compares ratios
to peers with those of an earlier run. Ends with 1 where a section failed, or where such a ratio has
grown by more than a fifth. Peers that are not installed are left out (``pip install obstore
awscrt``; rclone is built).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.session import Session

from benchmarks import download, upload
from benchmarks._bars import Bar, svg_of_bars
from benchmarks._job import ENVIRONMENT
from benchmarks._servers import minio, null_server, rclone_folder
from benchmarks._sources import make_xva, parsed_size
from benchmarks._turns import ClientError, Results, Turns, median_of
from benchmarks._wanted import Costs, compared, judged
from benchmarks.tail import link_to
from tests.stores.real_servers import RealServer

LINK_BYTES_PER_S = 100e6
PULL_LINK_BYTES_PER_S = 200e6
# section -> share of --minutes after which it begins no further round
SHARES: Mapping[str, float] = {
    "engine": 0.12,
    "tail": 0.3,
    "scale": 0.2,
    "publish": 0.2,
    "slow": 0.2,
    "pull": 0.16,
    "slow-pull": 0.12,
    "xva": 0.12,
}
NULL, STORED = ("engine", "tail", "scale"), ("publish", "slow", "pull", "slow-pull")
FEW_ROUNDS = {"rclone": 1, "boto3": 1}  # as uploads: two and four times as long as the others


@dataclass(slots=True, kw_only=True)
class Run:
    """What was asked for, and what was found so far."""

    arguments: argparse.Namespace
    folder: Path
    source: Path
    peers: frozenset[str]
    ends_s: float
    found: dict[str, Costs] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def wants(self, *names: str) -> bool:
        """Whether one of these sections was asked for."""
        return any(name in self.arguments.sections for name in names)

    def installed(self, *names: str) -> str:
        """Those of the peers that this machine has."""
        return ",".join(name for name in names if name.removesuffix("-sha256") in self.peers)

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

    def turns(self, name: str, **more: Any) -> Turns:
        """Rounds of a section, within its share of the time."""
        ends_s = time.monotonic() + SHARES[name] * self.arguments.minutes * 60
        failures = self.failures.setdefault(name, [])
        return Turns(rounds=self.arguments.rounds, ends_s=ends_s, failures=failures, **more)

    def keep(self, title: str, results: Results, show: Callable[[Results], None]) -> None:
        """Print a table, and keep its medians."""
        self.found[title] = {client: median_of(runs) for client, runs in results.items() if runs}
        show(results)
        print(flush=True)


def main() -> None:
    arguments = parsed_arguments()
    rclone = rclone_folder()
    if rclone is not None:
        os.environ["PATH"] = f"{rclone}:{os.environ['PATH']}"
    modules = ("awscrt", "obstore", "boto3", "aioboto3")
    peers = {name for name in modules if importlib.util.find_spec(name) is not None}
    peers |= {"rclone"} if rclone is not None else set()
    load_before, began_s = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        run = Run(
            arguments=arguments,
            folder=Path(name),
            source=Path(name) / "benchmark.xva",
            peers=frozenset(peers),
            ends_s=time.monotonic() + arguments.minutes * 60,
        )
        print(f"{upload.machine()}; load {load_before:.1f}; {arguments.size} bytes, ", end="")
        print(f"medians of {arguments.rounds} rounds\n", flush=True)
        everything(run)
    report = judged(run.found)
    print(f"\n{time.monotonic() - began_s:.0f} s in all.")
    if arguments.json is not None:
        told = {
            "machine": upload.machine(),
            "load": load_before,
            "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "size_bytes": arguments.size,
            "rounds": arguments.rounds,
            "sections": run.found,
            "failures": run.failures,
            "wanted": report,
        }
        arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    failed = any(run.failures.values())
    if arguments.against is not None:
        failed |= bool(compared(run.found, json.loads(arguments.against.read_text())))
    sys.exit(1 if failed else 0)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("--size", type=parsed_size, default=parsed_size("2GiB"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sections", default=",".join(SHARES), help="of %(default)s")
    parser.add_argument("--quick", action="store_true", help="64 MiB, one round")
    parser.add_argument("--minutes", type=float, default=25.0, help="for all of it, about")
    parser.add_argument("--folder", type=Path, default=None, help="for files and MinIO's data")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--against", type=Path, default=None, help="JSON of an earlier run")
    parser.add_argument("--plots", type=Path, default=None, help="folder for SVG files")
    arguments = parser.parse_args()
    arguments.sections = arguments.sections.split(",")
    if unknown := set(arguments.sections) - set(SHARES):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if arguments.quick:
        arguments.size, arguments.rounds = parsed_size("64MiB"), 1
    for folder in (arguments.folder, arguments.plots):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    return arguments


def everything(run: Run) -> None:
    """Measure section after section."""
    if run.wants("engine", *STORED):
        make_xva(run.source, run.arguments.size)
    if run.wants(*NULL):
        with null_server() as endpoint:
            section(run, "engine", lambda: engine(run, endpoint))
            section(run, "tail", lambda: tail(run, endpoint))
            section(run, "scale", lambda: scale(run, endpoint))
    if run.wants(*STORED):
        with minio(run.folder / "minio") as server:
            if server is None:
                run.failures["MinIO"] = ["it can be neither found nor built"]
            else:
                with_minio(run, server)
        shutil.rmtree(run.folder / "minio", ignore_errors=True)
    run.source.unlink(missing_ok=True)
    section(run, "xva", lambda: script("xva", "--folder", str(run.folder), *short(run)))
    draw(run)


def short(run: Run) -> list[str]:
    """Less work for a look at whether everything works."""
    return ["--size", str(min(run.arguments.size, parsed_size("1GiB")))]


def section(run: Run, name: str, measure: Callable[[], None]) -> None:
    """Print a title and measure; one section's failure, or a lack of time, leaves the others."""
    if not run.wants(name):
        return
    is_due = time.monotonic() < run.ends_s
    print(f"## {name}{'' if is_due else ': left out, the time is up'}\n", flush=True)
    failures = run.failures.setdefault(name, [])
    try:
        if is_due:
            measure()
    except (subprocess.SubprocessError, OSError, ValueError, LookupError, ClientError) as error:
        failures.append(f"{type(error).__name__}: {error}")
    for failure in failures:
        print(f"{name} failed: {failure}\n", flush=True)


def engine(run: Run, endpoint: str) -> None:
    peers = run.installed("awscrt", "awscrt-sha256", "obstore", "obstore-sha256", "boto3")
    upload.warm(run.source)
    job = run.job(endpoint=endpoint, ours=upload.OURS, peers=peers)
    turns = run.turns("engine", most_rounds=FEW_ROUNDS)
    run.keep("engine", upload.measured(job, run.source, turns), upload.print_table)


def with_minio(run: Run, server: RealServer) -> None:
    endpoint = server.environment["AWS_ENDPOINT_URL_S3"]
    for name in ENVIRONMENT:
        os.environ[name] = server.environment.get(name, ENVIRONMENT[name])
    store = Stored(endpoint=endpoint, bucket=server.bucket, folder=run.folder / "minio")
    section(run, "publish", lambda: publish(run, store, endpoint, "publish"))

    def slowly() -> None:
        with link_to(endpoint, LINK_BYTES_PER_S) as slow:
            publish(run, store, slow, "slow")

    section(run, "slow", slowly)
    if run.wants("pull", "slow-pull"):
        pulls(run, store)


def publish(run: Run, store: Stored, endpoint: str, name: str) -> None:
    peers = ("awscrt", "awscrt-sha256", "obstore", "rclone") if name == "publish" else ("awscrt",)
    job = run.job(
        endpoint=endpoint,
        peers=run.installed(*peers),
        bucket=store.bucket,
        profile="auto",
        ours=("publish",),
    )
    turns = run.turns(
        name,
        most_rounds=FEW_ROUNDS,
        after=lambda client, number: store.remove(upload.key_of(client, number)),
    )
    title = "publish" if name == "publish" else "publish, 100 MB/s"
    found = upload.measured(job, run.source, turns)
    run.keep(title, found, lambda results: download.print_table(results, ours="publish"))


def pulls(run: Run, store: Stored) -> None:
    job = run.job(endpoint=store.endpoint, bucket=store.bucket, profile="auto")
    key, prefix = download.published(job, run.folder, run.source)
    peers = ("obstore-sha256", "obstore", "rclone", "awscrt", "boto3")

    def slowly() -> None:
        with link_to(store.endpoint, PULL_LINK_BYTES_PER_S) as slow:
            pull(run, store, key, slow, "slow-pull", "rclone")

    section(run, "pull", lambda: pull(run, store, key, store.endpoint, "pull", *peers))
    section(run, "slow-pull", slowly)
    store.remove(prefix)


def pull(run: Run, store: Stored, key: str, endpoint: str, name: str, *peers: str) -> None:
    job = run.job(
        endpoint=endpoint, peers=run.installed(*peers), bucket=store.bucket, profile="auto"
    )
    found = download.measured(job, run.folder, key, run.turns(name))
    run.keep("pull" if name == "pull" else "pull, 200 MB/s", found, download.print_table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the clients leave in the store, to be removed again."""

    endpoint: str
    bucket: str
    folder: Path

    def remove(self, prefix: str) -> None:
        """Delete every object below ``prefix``, and empty MinIO's waste bin, which it does late."""
        client: Any = Session().create_client(
            "s3", endpoint_url=self.endpoint, region_name=ENVIRONMENT["AWS_REGION"]
        )
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        ):
            for item in page.get("Contents", ()):
                client.delete_object(Bucket=self.bucket, Key=item["Key"])
        client.close()
        for rest in self.folder.glob("data/.minio.sys/tmp/.trash/*"):
            shutil.rmtree(rest, ignore_errors=True)


def tail(run: Run, endpoint: str) -> None:
    is_short = run.arguments.size < parsed_size("1GiB")
    sizes = str(run.arguments.size) if is_short else "1GiB,4GiB,16GiB"
    words = ["--endpoint", endpoint, "--sizes", sizes, "--rounds", str(run.arguments.rounds)]
    script("tail", *words, "--folder", str(run.folder))


def scale(run: Run, endpoint: str) -> None:
    is_short = run.arguments.size < parsed_size("1GiB")
    sizes = "64MiB,256MiB" if is_short else "1GiB,4GiB,16GiB,64GiB"
    words = ["--endpoint", endpoint, "--folder", str(run.folder), "--sizes", sizes]
    words += ["--each", "64MiB" if is_short else "1GiB"]
    if run.arguments.plots is not None:
        words += ["--plots", str(run.arguments.plots)]
    script("scale", *words)


def script(name: str, *words: str) -> None:
    """Run another benchmark, whose tables go where ours go; ClientError with its last words."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *words]
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(command, check=False, stderr=errors)
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    sys.stderr.write(said)
    print(flush=True)
    if done.returncode:
        raise ClientError(f"{name}, exit status {done.returncode}\n{said[-1500:]}")


def draw(run: Run) -> None:
    """Draw CPU time and memory of every client."""
    if run.arguments.plots is None:
        return
    for section_name, file in (("engine", "engine"), ("publish", "publish"), ("pull", "pull")):
        for column, unit in (("wall_s", "Seconds"), ("cpu_s", "CPU seconds"), ("peak_mib", "MiB")):
            costs = run.found.get(section_name, {})
            bars = [Bar(label=client, value=cost[column]) for client, cost in costs.items()]
            if bars:
                path = run.arguments.plots / f"{file}-{column.partition('_')[0]}.svg"
                title = f"{section_name}, {run.arguments.size / 2**30:g} GiB: {unit}"
                path.write_text(svg_of_bars(title, bars), encoding="utf-8")


if __name__ == "__main__":
    main()
