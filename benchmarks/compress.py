"""End to end with compression: an export at a rate, a store behind a link, five ways between.

``python -m benchmarks.compress --endpoint http://127.0.0.1:9100 --disk installed.raw``. The disk is
a raw image of an installed system; it is made into an XVA first. Every way begins when the export
does and ends when the whole object is at the store:

* ours: the upload follows the growing export, plain and with zstd (SHA-256, verdict, checksums);
* host gzip: the export passes through ``pigz -p1``, then ``aws s3 cp`` sends the file;
* pipe: the export passes through ``zstd -T2`` into ``aws s3 cp -``;
* rclone: the export is written, then sent through rclone's compress remote (its gzip).

The ways take turns; the table has medians. Memory is the largest process of the way.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import anyio

from asyncpipe.model.transfer import TransferOptions, Zstd
from asyncpipe.model.xva import Compression
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import open_upload
from asyncpipe.upload.source import GrowingFile
from asyncpipe.xva.read.validator import XvaValidator
from asyncpipe.xva.write.records import VmSpec
from asyncpipe.xva.write.writer import RawSource, write_xva
from benchmarks._bars import Bar, svg_of_bars
from benchmarks._child import cpu_s, peak_mib
from benchmarks._job import ENVIRONMENT, Job
from benchmarks._ours import opened, target_of
from benchmarks.tail import link_to
from benchmarks.upload import machine

GOAL_SHARE, GOAL_MIB = 0.45, 350


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run of one way."""

    endpoint: str
    bucket: str
    key: str
    image: Path
    folder: Path
    export_bytes_per_s: float
    rclone: str

    @property
    def writer(self) -> list[str]:
        """The command that exports to a path, which is to follow."""
        return [sys.executable, "-m", "benchmarks._copier", str(self.image)]

    @property
    def piped(self) -> str:
        """The command that exports into a pipe; its own words go nowhere."""
        words = [*self.writer, "/dev/stderr", str(self.export_bytes_per_s)]
        return f"{' '.join(words)} 2>&1 >/dev/null"

    @property
    def aws(self) -> str:
        """``aws s3 cp`` to the store; what is to be sent stands before ``TARGET``."""
        program = shutil.which("aws") or f"{sys.executable} -m awscli"
        return f"{program} --endpoint-url {self.endpoint} s3 cp --only-show-errors"

    @property
    def target(self) -> str:
        """Where ``aws`` sends to."""
        return f"s3://{self.bucket}/{self.key}"


def main() -> None:
    arguments = parsed_arguments()
    if arguments.one:  # a fresh process for one run: its memory and CPU are its own
        case = json.loads(arguments.one)
        paths = {name: Path(case[name]) for name in ("image", "folder")}
        print(json.dumps(run_here(arguments.way, Case(**{**case, **paths}))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        image = Path(name) / "image.xva"
        make_image(arguments.disk, image, arguments.virtual_gib)
        table(arguments, image, Path(name))


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.compress", description=__doc__)
    parser.add_argument("--endpoint", default="http://127.0.0.1:9100")
    parser.add_argument("--bucket", default="bucket")
    parser.add_argument("--disk", type=Path, help="a raw image of an installed system")
    parser.add_argument("--virtual-gib", type=int, default=10)
    parser.add_argument("--export", type=float, default=200e6, help="bytes per second")
    parser.add_argument("--links", default="50e6,500e6", help="bytes per second")
    parser.add_argument("--ways", default="plain,zstd,gzip,pipe,rclone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rclone", default="rclone")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--plot", type=Path, default=None)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_image(disk: Path, image: Path, virtual_gib: int) -> None:
    """Make an XVA of the disk, grown to its virtual size by a hole."""
    with tempfile.NamedTemporaryFile(dir=image.parent, suffix=".raw") as grown:
        subprocess.run(["cp", "--sparse=always", str(disk), grown.name], check=True)
        os.truncate(grown.name, virtual_gib << 30)
        with image.open("wb") as out:
            source = RawSource(path=Path(grown.name), name="root")
            spec = VmSpec(name="benchmark")
            write_xva(
                out, spec, [source], date_utc="20261127T00:00:00Z", compression=Compression.NONE
            )


def table(arguments: argparse.Namespace, image: Path, folder: Path) -> None:
    plain_bytes = image.stat().st_size
    print(f"\n{machine()}; load {os.getloadavg()[0]:.1f}; export {arguments.export:g} B/s;")
    print(f"XVA of {plain_bytes} bytes, disk of {arguments.virtual_gib} GiB\n")
    print("| link MB/s | way | wall s | stored bytes | of plain | CPU s | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    bars = []
    for link in map(float, arguments.links.split(",")):
        results: dict[str, list[dict[str, float]]] = {}
        for number in range(arguments.rounds):
            for way in arguments.ways.split(","):
                key = f"compress/{way}-{link:g}-{number}"
                try:
                    one = run_one(arguments, way, link, Places(image=image, folder=folder, key=key))
                except subprocess.CalledProcessError as error:
                    print(f"{link:g} {way} {number} failed: {error}", file=sys.stderr, flush=True)
                    continue
                results.setdefault(way, []).append(one)
                print(f"{link:g} {way} {number}: {one}", file=sys.stderr, flush=True)
        for way, runs in results.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            share = middle["stored_bytes"] / plain_bytes
            print(
                f"| {link / 1e6:g} | {way} | {middle['wall_s']:.1f} | {middle['stored_bytes']:.0f}"
                f" | {share:.2f} | {middle['cpu_s']:.1f} | {middle['peak_mib']:.0f} |",
                flush=True,
            )
            bars.append(Bar(label=f"{way}, {link / 1e6:g} MB/s", value=middle["wall_s"]))
    if arguments.plot is not None:
        arguments.plot.write_text(svg_of_bars("seconds from export to store", bars), "utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run reads, writes and stores."""

    image: Path
    folder: Path
    key: str


def run_one(
    arguments: argparse.Namespace, way: str, link: float, places: Places
) -> dict[str, float]:
    with link_to(arguments.endpoint, link) as endpoint:
        case = {
            "endpoint": endpoint,
            "bucket": arguments.bucket,
            "key": places.key,
            "image": str(places.image),
            "folder": str(places.folder),
            "export_bytes_per_s": arguments.export,
            "rclone": arguments.rclone,
        }
        command = [sys.executable, "-m", "benchmarks.compress", "--way", way]
        done = subprocess.run(
            [*command, "--one", json.dumps(case)],
            env={**os.environ, **ENVIRONMENT},
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def run_here(way: str, case: Case) -> dict[str, float]:
    """Run one way; returns its time, what it stored, and what it cost."""
    path = case.folder / f"export-{os.getpid()}.xva"
    began_s = time.monotonic()
    try:
        stored_bytes = WAYS[way](case, path)
        wall_s = time.monotonic() - began_s
    finally:
        path.unlink(missing_ok=True)
    return {
        "wall_s": wall_s,
        "stored_bytes": stored_bytes,
        "cpu_s": cpu_s(),
        "peak_mib": peak_mib(),
    }


def ours(zstd: Zstd | None, case: Case, path: Path) -> int:
    return anyio.run(_followed, zstd, case, path)


async def _followed(zstd: Zstd | None, case: Case, path: Path) -> int:
    options, finished = TransferOptions(), anyio.Event()
    job = Job(endpoint=case.endpoint, bucket=case.bucket, key=case.key, path=path)

    async def export() -> None:
        await anyio.run_process([*case.writer, str(path), str(case.export_bytes_per_s)])
        finished.set()

    async with (
        Budget(options) as budget,
        opened(job) as store,
        anyio.create_task_group() as group,
        open_upload(
            UploadRequest(
                store=store,
                target=target_of(job.key),
                source=GrowingFile(path, finished),
                budget=budget,
                options=options,
                inspector=XvaValidator(),
                expected_size_bytes=case.image.stat().st_size,
                zstd=zstd,
            )
        ) as upload,
    ):
        group.start_soon(export)
        await upload.stage()
        published = await upload.complete()
    return published.digests.size_bytes


def host_gzip(case: Case, path: Path) -> int:
    """One thread of pigz, as a host compresses; a host's own processor is usually slower."""
    program = "pigz -p1" if shutil.which("pigz") else "gzip"
    shell(f"{case.piped} | {program} > {path}")
    shell(f"{case.aws} {path} {case.target}")
    return path.stat().st_size


def pipe(case: Case, path: Path) -> int:
    """What a script does: nothing is verified, nothing resumes."""
    counted = f"tee >(wc -c > {path})"
    shell(f"{case.piped} | zstd -T2 -q | {counted} | {case.aws} - {case.target}")
    return int(path.read_text())


def rclone(case: Case, path: Path) -> int:
    """The compress remote compresses a file while it sends it."""
    shell(" ".join([*case.writer, str(path), str(case.export_bytes_per_s), "> /dev/null"]))
    remote = (
        f":s3,provider=Other,endpoint='{case.endpoint}',env_auth=true,force_path_style=true:"
        f"{case.bucket}/{Path(case.key).name}"
    )
    settings = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_SMALL_TYPE": "compress",
        "RCLONE_CONFIG_SMALL_REMOTE": remote,
        "RCLONE_CONFIG_SMALL_LEVEL": "5",  # without it, such a remote does not compress
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
        "RCLONE_S3_DISABLE_CHECKSUM": "true",
    }
    os.environ.update(settings)
    os.environ.pop("AWS_CA_BUNDLE", None)
    before_bytes = received_bytes(case)
    # without a look at what is stored: the server that drops all has no digests to compare with
    words = ["copyto", "-v", "--stats-one-line", "--retries", "1", "--ignore-checksum"]
    done = subprocess.run(
        [case.rclone, *words, str(path), "small:x"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return received_bytes(case) - before_bytes


def received_bytes(case: Case) -> int:
    """What the server has received; rclone says nowhere what it stored."""
    with urlopen(f"{case.endpoint}/_stats") as answer:
        return int(json.load(answer)["body_bytes"])


def shell(line: str) -> None:
    subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True)


WAYS: dict[str, Callable[[Case, Path], int]] = {
    "plain": lambda case, path: ours(None, case, path),
    "zstd": lambda case, path: ours(Zstd(), case, path),
    "zstd3": lambda case, path: ours(Zstd(level=3), case, path),
    "gzip": host_gzip,
    "pipe": pipe,
    "rclone": rclone,
}


if __name__ == "__main__":
    main()
