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
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._sources import make_xva, parsed_size
from benchmarks._turns import Costs, Results, Turns, median_of, run_json

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


def measured(arguments: argparse.Namespace, path: Path, turns: Turns | None = None) -> Results:
    clients = [*arguments.ours, *(peer for peer in arguments.peers.split(",") if peer)]

    def run(client: str, number: int) -> Costs:
        job = {
            "endpoint": arguments.endpoint,
            "bucket": arguments.bucket,
            "key": key_of(client, number),
            "path": str(path),
            "profile": arguments.profile,
            "ca_bundle": arguments.ca_bundle,
        }
        return run_child(client, job)

    return (turns or Turns(rounds=arguments.rounds)).take(clients, run)


def key_of(client: str, number: int) -> str:
    """The object, or the prefix, of one run."""
    return f"benchmark/{client}-{number}"


def run_child(client: str, job: dict[str, Any]) -> Costs:
    """Run one upload in a fresh process."""
    return run_json([sys.executable, "-m", "benchmarks._child", client, json.dumps(job)])


def print_table(results: Results) -> None:
    medians = {client: median_of(runs) for client, runs in results.items() if runs}
    ours = [name for name in OURS if name in medians]
    print(f"| client | rounds | wall s | CPU s | of it imports | peak MiB |{ratio_titles(ours)}")
    print("|---|---|---|---|---|---|" + "---|" * len(ours) * len(COLUMNS))
    for client, own in medians.items():
        ratios = [medians[name][column] / own[column] for name in ours for column in COLUMNS]
        print(
            f"| {client} | {len(results[client])} | {own['wall_s']:.2f} | {own['cpu_s']:.2f}"
            f" | {own['imports_s']:.2f} | {own['peak_mib']:.0f} |"
            + "".join(f" {value:.2f} |" for value in ratios)
        )


def ratio_titles(ours: Sequence[str]) -> str:
    names = {"wall_s": "wall", "cpu_s": "CPU", "peak_mib": "RSS"}
    return "".join(f" {name} / it: {names[column]} |" for name in ours for column in COLUMNS)


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
