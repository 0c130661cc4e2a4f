"""Time from the end of an export to its publication, when the upload follows the export.

``python -m benchmarks.tail --endpoint http://127.0.0.1:9100 --sizes 1GiB,2GiB,8GiB``. A writer
exports a valid XVA at ``--export`` bytes per second; the upload follows it through a link of
``--link`` bytes per second. The clock runs from the writer's last byte until the object is
completed and compared, metadata is stored and the pointer has moved. One part time is the time
that one part needs on the link. Of ``--rounds`` a file of 1 GiB has all, a larger one fewer.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from asyncpipe.model.transfer import TransferOptions
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import open_upload
from asyncpipe.upload.source import GrowingFile
from asyncpipe.xva.read.validator import XvaValidator
from benchmarks._job import Job
from benchmarks._ours import opened, target_of
from benchmarks._sources import MIB, parsed_size
from benchmarks.upload import machine

ALL_ROUNDS_BYTES = 32 * 1024 * MIB  # of all runs of one size


def main() -> None:
    arguments = parsed_arguments()
    print(f"\n{machine()}; export {arguments.export:g} B/s, link {arguments.link:g} B/s\n")
    print("| size GiB | rounds | writer's end to pointer s | part MiB | part times | parts |")
    print("|---|---|---|---|---|---|")
    for size_text in arguments.sizes.split(","):
        run_size(arguments, parsed_size(size_text))


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.tail", description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--bucket", default="bucket")
    parser.add_argument("--sizes", default="1GiB,2GiB,8GiB")
    parser.add_argument("--export", type=float, default=100e6, help="bytes per second")
    parser.add_argument("--link", type=float, default=120e6, help="bytes per second")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--profile", default="aws")
    return parser.parse_args()


def run_size(arguments: argparse.Namespace, disk_bytes: int) -> None:
    """Measure a size, and print the median; the larger it is, the fewer rounds."""
    rounds = max(1, min(arguments.rounds, ALL_ROUNDS_BYTES // disk_bytes))
    runs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            runs.append(run_one(arguments, disk_bytes, Path(folder)))
        print(f"{disk_bytes} bytes: {runs[-1][0]:.3f} s", file=sys.stderr)
    tail_s = statistics.median(seconds for seconds, _, _ in runs)
    _, parts, size_bytes = runs[0]
    part_bytes = -(-size_bytes // parts // MIB) * MIB
    part_times = tail_s / (part_bytes / arguments.link)
    columns = f"{tail_s:.3f} | {part_bytes // MIB} | {part_times:.2f} | {parts}"
    print(f"| {disk_bytes / 1024 / MIB:g} | {rounds} | {columns} |", flush=True)


def run_one(arguments: argparse.Namespace, disk_bytes: int, folder: Path) -> tuple[float, int, int]:
    """Return seconds of the tail, parts, bytes."""
    with link_to(arguments.endpoint, arguments.link) as endpoint:
        job = Job(
            endpoint=endpoint,
            bucket=arguments.bucket,
            key=f"tail/{disk_bytes}",
            path=folder / "export.xva",
            profile=arguments.profile,
        )
        return anyio.run(followed, job, disk_bytes, arguments.export)


async def followed(job: Job, disk_bytes: int, export_bytes_per_s: float) -> tuple[float, int, int]:
    """Export and upload at once; return (seconds of the tail, parts, bytes)."""
    options = TransferOptions()
    finished = anyio.Event()
    ended_s = 0.0

    async def export() -> None:
        nonlocal ended_s
        command = [sys.executable, "-m", "benchmarks._writer", str(job.path), str(disk_bytes)]
        done = await anyio.run_process([*command, str(export_bytes_per_s)], stderr=None)
        ended_s = float(done.stdout)
        finished.set()

    async with (
        Budget(options) as budget,
        opened(job) as store,
        anyio.create_task_group() as group,
        open_upload(
            UploadRequest(
                store=store,
                target=target_of(job.key),
                source=GrowingFile(job.path, finished),
                budget=budget,
                options=options,
                inspector=XvaValidator(),
                expected_size_bytes=disk_bytes,
            )
        ) as upload,
    ):
        group.start_soon(export)
        await upload.stage()
        published = await upload.complete()
        for name in ("metadata.json", "latest.json"):
            await store.put(f"{job.key}-{name}", b"{}", content_type="application/json")
        tail_s = time.monotonic() - ended_s
    return tail_s, published.part_count, published.digests.size_bytes


@contextmanager
def link_to(endpoint: str, bytes_per_s: float) -> Iterator[str]:
    """Put a link of limited rate before a plain http endpoint."""
    where = urlsplit(endpoint)
    assert where.scheme == "http", "the link carries plain http"
    command = [sys.executable, "-m", "benchmarks._link", str(where.hostname)]
    with subprocess.Popen(
        [*command, str(where.port or 80), str(bytes_per_s)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    main()
