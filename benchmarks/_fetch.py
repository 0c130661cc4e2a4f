"""``python -m benchmarks._fetch CLIENT JOB``: one download, one line of JSON with what it cost.

obstore and rclone are installed by hand: ``pip install obstore``, ``apt install rclone``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from asyncpipe.cli import gc
from benchmarks._child import cpu_s, peak_mib
from benchmarks._clients import boto_arguments, obstore_store, rclone_remote, run_rclone
from benchmarks._job import REGION, Job, environment

MAX_PIECE_BYTES = 10 * 1024 * 1024


def main() -> None:
    client, job = sys.argv[1], json.loads(sys.argv[2])
    fetch = CLIENTS[client](Job(**{**job, "path": Path(job["path"])}))
    imports_s, began_s = cpu_s(), time.perf_counter()
    fetch()
    wall_s = time.perf_counter() - began_s
    costs = {"wall_s": wall_s, "cpu_s": cpu_s(), "imports_s": imports_s, "peak_mib": peak_mib()}
    print(json.dumps(costs))


def asyncpipe(job: Job) -> Callable[[], object]:
    """The command itself: SHA-256 and the XVA's verdict."""
    gc.begin()  # as the command line does
    run = importlib.import_module("asyncpipe.cli.main").run
    template = job.key.split("/")[-3]
    prefix = job.key.split("/templates/")[0]
    destination = f"s3://{job.bucket}/{prefix}"
    words = ["pull", template, "--output", str(job.path), "--destination", destination]
    more = ["--endpoint-url", job.endpoint, "--s3-profile", job.profile]

    def fetch() -> None:
        if code := run([*words, *more]):
            sys.exit(f"asyncpipe pull ended with {code}")

    return fetch


def obstore(job: Job) -> Callable[[], object]:
    """One GET, streamed to the file."""
    module = importlib.import_module("obstore")
    store = obstore_store(job)

    def fetch() -> None:
        with job.path.open("wb", buffering=0) as file:
            for piece in module.get(store, job.key).stream(min_chunk_size=MAX_PIECE_BYTES):
                file.write(piece)

    return fetch


def obstore_sha256(job: Job) -> Callable[[], object]:
    """The same, then SHA-256 of what was fetched."""
    fetch = obstore(job)

    def both() -> None:
        fetch()
        with job.path.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    return both


def boto3(job: Job) -> Callable[[], object]:
    client = importlib.import_module("boto3").client("s3", **boto_arguments(job))
    return partial(client.download_file, job.bucket, job.key, str(job.path))


def awscrt(job: Job) -> Callable[[], object]:
    """AWS's C client, straight into the file."""
    auth, http = (importlib.import_module(f"awscrt.{name}") for name in ("auth", "http"))
    s3 = importlib.import_module("awscrt.s3")
    values = environment()
    client = s3.S3Client(
        region=REGION,
        tls_mode=s3.S3RequestTlsMode.DISABLED,
        credential_provider=auth.AwsCredentialsProvider.new_static(
            values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]
        ),
    )
    request = http.HttpRequest(
        "GET", f"/{job.bucket}/{job.key}", http.HttpHeaders([("host", job.host)])
    )

    def fetch() -> None:
        done = threading.Event()
        failures: list[object] = []

        def on_done(*, error: object = None, **_: object) -> None:
            failures.extend([error] if error else [])
            done.set()

        client.make_request(
            request=request,
            type=s3.S3RequestType.GET_OBJECT,
            recv_filepath=str(job.path),
            on_done=on_done,
        )
        done.wait()
        if failures:
            raise RuntimeError(failures)

    return fetch


def rclone(job: Job) -> Callable[[], object]:
    """The program, with its defaults."""
    return partial(run_rclone, rclone_remote(job), str(job.path))


CLIENTS: dict[str, Callable[[Job], Callable[[], object]]] = {
    "asyncpipe": asyncpipe,
    "obstore": obstore,
    "obstore-sha256": obstore_sha256,
    "boto3": boto3,
    "awscrt": awscrt,
    "rclone": rclone,
}

if __name__ == "__main__":
    main()
