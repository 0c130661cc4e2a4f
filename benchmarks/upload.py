"""Paired runs of clients that upload the same file to the same endpoint.

``python -m benchmarks.upload --endpoint http://127.0.0.1:9100 --size 2GiB``. The clients take
turns, so that a change of the machine's mood meets all of them; the table shows medians, and
ratios of medians to the first client. CPU is that of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._sources import make_xva, parsed_size

OURS = ("asyncpipe-crc", "asyncpipe")
COLUMNS = ("wall_s", "cpu_s", "peak_mib")


def main() -> None:
    arguments = parsed_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = arguments.file or make_xva(Path(folder) / "benchmark.xva", arguments.size)
        size_bytes = path.stat().st_size
        warm(path)
        results = measured(arguments, path)
    print(f"\n{machine()}; {size_bytes} bytes, {arguments.rounds} rounds\n")
    print_table(results)


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.upload", description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--bucket", default="bucket")
    parser.set_defaults(ours=OURS)
    parser.add_argument("--size", type=parsed_size, default=parsed_size("2GiB"))
    parser.add_argument("--file", type=Path, help="an XVA to send instead of a generated one")
    parser.add_argument("--folder", type=Path, default=None, help="where to generate it")
    parser.add_argument("--peers", default="boto3,aioboto3,obstore,awscrt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", default="aws", help="--s3-profile of the endpoint")
    parser.add_argument("--ca-bundle", default=None)
    return parser.parse_args()


def warm(path: Path) -> None:
    """Bring the file into the page cache: the disk is not what is measured."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def measured(arguments: argparse.Namespace, path: Path) -> dict[str, list[dict[str, float]]]:
    clients = [*arguments.ours, *(peer for peer in arguments.peers.split(",") if peer)]
    results: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
    for number in range(arguments.rounds):
        for client in clients:
            job = {
                "endpoint": arguments.endpoint,
                "bucket": arguments.bucket,
                "key": f"benchmark/{client}-{number}",
                "path": str(path),
                "profile": arguments.profile,
                "ca_bundle": arguments.ca_bundle,
            }
            results[client].append(run_child(client, job))
            print(f"round {number + 1} {client}: {results[client][-1]}", file=sys.stderr)
    return results


def run_child(client: str, job: dict[str, Any]) -> dict[str, float]:
    """Run one upload in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._child", client, json.dumps(job)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_table(results: dict[str, list[dict[str, float]]]) -> None:
    medians = {client: median_of(runs) for client, runs in results.items()}
    print("| client | wall s | CPU s | of it imports | peak MiB | " + ratio_titles() + " |")
    print("|---|---|---|---|---|" + "---|" * len(OURS) * len(COLUMNS))
    for client, own in medians.items():
        ratios = [
            f"{medians[ours][column] / own[column]:.2f}" for ours in OURS for column in COLUMNS
        ]
        print(
            f"| {client} | {own['wall_s']:.2f} | {own['cpu_s']:.2f} | {own['imports_s']:.2f}"
            f" | {own['peak_mib']:.0f} | {' | '.join(ratios)} |"
        )


def ratio_titles() -> str:
    names = {"wall_s": "wall", "cpu_s": "CPU", "peak_mib": "RSS"}
    return " | ".join(f"{ours} / it: {names[column]}" for ours in OURS for column in COLUMNS)


def median_of(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {column: statistics.median(run[column] for run in runs) for column in runs[0]}


def machine() -> str:
    """Name the machine by what matters here."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "CPU")
    return (
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()},"
        f" Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
