"""Paired runs of clients that fetch one published XVA from the same endpoint.

``python -m benchmarks.download --endpoint http://127.0.0.1:9000 --size 2GiB``. A generated XVA is
published first, with ``asyncpipe publish``; then the clients take turns to fetch it to a new file.
``asyncpipe`` checks SHA-256 and structure; no peer checks anything but ``obstore-sha256``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._job import environment
from benchmarks._sources import make_xva, parsed_size
from benchmarks.upload import machine, median_of

OURS = "asyncpipe"
TEMPLATE = ("--os", "debian", "--os-version", "12")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.download", description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--bucket", default="bucket")
    parser.add_argument("--size", type=parsed_size, default=parsed_size("2GiB"))
    parser.add_argument("--folder", type=Path, default=None, help="where to fetch to")
    parser.add_argument("--peers", default="obstore-sha256,obstore,boto3,awscrt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", default="auto", help="--s3-profile of the endpoint")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        key = published(arguments, Path(folder))
        results = measured(arguments, Path(folder), key)
    print(f"\n{machine()}; {arguments.size} bytes, {arguments.rounds} rounds\n")
    print_table(results)


def published(arguments: argparse.Namespace, folder: Path) -> str:
    """Publish an XVA and return its key below the bucket."""
    path = make_xva(folder / "benchmark.xva", arguments.size)
    place = ["--destination", f"s3://{arguments.bucket}/benchmark-{os.getpid()}"]
    place += ["--endpoint-url", arguments.endpoint, "--s3-profile", arguments.profile]
    asyncpipe(folder, "publish", str(path), *TEMPLATE, *place)
    path.unlink()
    found = json.loads(asyncpipe(folder, "latest", "debian12", "--json", *place))
    url: str = found["url"]
    return url.removeprefix(f"s3://{arguments.bucket}/")


def asyncpipe(folder: Path, *words: str) -> str:
    """Run the command line in ``folder``."""
    command = [sys.executable, "-m", "asyncpipe", *words]
    variables = {**environment(), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def measured(
    arguments: argparse.Namespace, folder: Path, key: str
) -> dict[str, list[dict[str, float]]]:
    clients = [OURS, *(peer for peer in arguments.peers.split(",") if peer)]
    results: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
    for number in range(arguments.rounds):
        for client in clients:
            path = folder / "fetched.xva"
            job = {
                "endpoint": arguments.endpoint,
                "bucket": arguments.bucket,
                "key": key,
                "path": str(path),
                "profile": arguments.profile,
            }
            command = [sys.executable, "-m", "benchmarks._fetch", client, json.dumps(job)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment())
            results[client].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1} {client}: {results[client][-1]}", file=sys.stderr)
            path.unlink()
    return results


def print_table(results: dict[str, list[dict[str, float]]], *, ours: str = OURS) -> None:
    medians = {client: median_of(runs) for client, runs in results.items()}
    own_first = medians[ours]
    print("| client | wall s | CPU s | peak MiB | ours / it: wall | CPU | RSS |")
    print("|---|---|---|---|---|---|---|")
    for client, own in medians.items():
        columns = ("wall_s", "cpu_s", "peak_mib")
        ratios = [f"{own_first[column] / own[column]:.2f}" for column in columns]
        print(
            f"| {client} | {own['wall_s']:.2f} | {own['cpu_s']:.2f} | {own['peak_mib']:.0f}"
            f" | {' | '.join(ratios)} |"
        )


if __name__ == "__main__":
    main()
