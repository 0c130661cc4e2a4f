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
from benchmarks._turns import ClientError, Costs, Results, Turns, median_of, run_json
from benchmarks.upload import machine

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
        key, _ = published(arguments, Path(folder))
        results = measured(arguments, Path(folder), key)
    print(f"\n{machine()}; {arguments.size} bytes, {arguments.rounds} rounds\n")
    print_table(results)


def published(
    arguments: argparse.Namespace, folder: Path, source: Path | None = None
) -> tuple[str, str]:
    """Publish an XVA; returns its key below the bucket, and the prefix of all that was stored."""
    path = source or make_xva(folder / "to-publish.xva", arguments.size)
    prefix = f"benchmark-{os.getpid()}"
    place = ["--destination", f"s3://{arguments.bucket}/{prefix}"]
    place += ["--endpoint-url", arguments.endpoint, "--s3-profile", arguments.profile]
    asyncpipe(folder, "publish", str(path), *TEMPLATE, *place)
    if source is None:
        path.unlink()
    found = json.loads(asyncpipe(folder, "latest", "debian12", "--json", *place))
    url: str = found["url"]
    return url.removeprefix(f"s3://{arguments.bucket}/"), prefix


def asyncpipe(folder: Path, *words: str) -> str:
    """Run the command line in ``folder``."""
    command = [sys.executable, "-m", "asyncpipe", *words]
    variables = {**environment(), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False)
    if done.returncode:
        raise ClientError(f"asyncpipe {words[0]}: {(done.stdout + done.stderr)[-1500:].decode()}")
    return done.stdout.decode()


def measured(
    arguments: argparse.Namespace, folder: Path, key: str, turns: Turns | None = None
) -> Results:
    clients = [OURS, *(peer for peer in arguments.peers.split(",") if peer)]
    path = folder / "fetched.xva"
    job = {
        "endpoint": arguments.endpoint,
        "bucket": arguments.bucket,
        "key": key,
        "path": str(path),
        "profile": arguments.profile,
    }

    def run(client: str, _: int) -> Costs:
        command = [sys.executable, "-m", "benchmarks._fetch", client, json.dumps(job)]
        try:
            return run_json(command, environment())
        finally:
            path.unlink(missing_ok=True)

    return (turns or Turns(rounds=arguments.rounds)).take(clients, run)


def print_table(results: Results, *, ours: str = OURS) -> None:
    medians = {client: median_of(runs) for client, runs in results.items() if runs}
    own_first = medians.get(ours)
    print("| client | rounds | wall s | CPU s | peak MiB | ours / it: wall | CPU | RSS |")
    print("|---|---|---|---|---|---|---|---|")
    for client, own in medians.items():
        columns = ("wall_s", "cpu_s", "peak_mib")
        ratios = [
            f"{own_first[column] / own[column]:.2f}" if own_first else "" for column in columns
        ]
        print(
            f"| {client} | {len(results[client])} | {own['wall_s']:.2f} | {own['cpu_s']:.2f}"
            f" | {own['peak_mib']:.0f} | {' | '.join(ratios)} |"
        )


if __name__ == "__main__":
    main()
