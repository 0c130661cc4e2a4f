"""Uploads of one file by every client that is compared; each runs in a process of its own.

boto3 and aioboto3 come with the project; obstore and rclone are installed by hand:
``pip install obstore``, ``apt install rclone``. Credentials are taken from the environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from asyncpipe.cli import gc
from benchmarks._job import MIB, REGION, Job, environment


def asyncpipe(job: Job, *, everything: bool) -> Callable[[], None]:
    gc.begin()  # as the command line does
    prepared: Callable[[], None] = importlib.import_module("benchmarks._ours").prepared(
        job, everything=everything
    )
    return prepared


def asyncpipe_many(job: Job) -> Callable[[], dict[str, float]]:
    gc.begin()
    prepared: Callable[[], dict[str, float]] = importlib.import_module(
        "benchmarks._ours"
    ).prepared_many(job, job.copies)
    return prepared


def boto3(job: Job) -> Callable[[], None]:
    client = importlib.import_module("boto3").client("s3", **boto_arguments(job))
    return partial(client.upload_file, str(job.path), job.bucket, job.key)


def aioboto3(job: Job) -> Callable[[], None]:
    session = importlib.import_module("aioboto3").Session()

    async def upload() -> None:
        async with session.client("s3", **boto_arguments(job)) as client:
            await client.upload_file(str(job.path), job.bucket, job.key)

    return lambda: asyncio.run(upload())


def obstore(job: Job) -> Callable[[], None]:
    module = importlib.import_module("obstore")
    return partial(module.put, obstore_store(job), job.key, job.path)


def obstore_store(job: Job) -> Any:
    """Open the bucket with obstore."""
    return importlib.import_module("obstore.store").S3Store(
        job.bucket,
        endpoint=job.endpoint,
        region=REGION,
        access_key_id=environment()["AWS_ACCESS_KEY_ID"],
        secret_access_key=environment()["AWS_SECRET_ACCESS_KEY"],
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": True,
            "allow_invalid_certificates": True,
            "timeout": "10 minutes",
        },
    )


def obstore_sha256(job: Job) -> Callable[[], None]:
    """The same work as ours but for the verdict: obstore, then SHA-256 of the file."""
    return _then_sha256(job, obstore(job))


def bare(job: Job) -> Callable[[], None]:
    """The least there is: one connection, read, SHA-256 and send in one loop, no S3, no checks."""
    size_bytes, part_bytes, piece_bytes = job.path.stat().st_size, 16 * MIB, MIB // 4
    host, _, port = job.host.partition(":")

    def upload() -> None:
        sha256 = hashlib.sha256()
        buffer = memoryview(bytearray(piece_bytes))
        connection = socket.create_connection((host, int(port)))
        if job.secure:
            context = ssl.create_default_context(cafile=job.ca_bundle)
            connection = context.wrap_socket(connection, server_hostname=host)
        with connection, job.path.open("rb", buffering=0) as file:
            for start in range(0, size_bytes, part_bytes):
                left_bytes = min(part_bytes, size_bytes - start)
                head = f"PUT /{job.bucket}/{job.key}-{start} HTTP/1.1\r\nHost: {job.host}\r\n"
                connection.sendall(f"{head}Content-Length: {left_bytes}\r\n\r\n".encode())
                while left_bytes:
                    count = file.readinto(buffer[: min(piece_bytes, left_bytes)])
                    sha256.update(buffer[:count])
                    connection.sendall(buffer[:count])
                    left_bytes -= count
                assert b" 200 " in connection.recv(65536)

    return upload


def awscrt(job: Job) -> Callable[[], None]:
    """AWS's C client with CRC64NVME in a header, as it is in aws-crt-s3-benchmarks."""
    auth = importlib.import_module("awscrt.auth")
    http = importlib.import_module("awscrt.http")
    crt_io = importlib.import_module("awscrt.io")
    s3 = importlib.import_module("awscrt.s3")
    tls = None
    if job.secure:
        context = crt_io.TlsContextOptions()
        context.verify_peer = False
        tls = crt_io.ClientTlsContext(context).new_connection_options()
    values = environment()
    client = s3.S3Client(
        region=REGION,
        tls_mode=s3.S3RequestTlsMode.ENABLED if job.secure else s3.S3RequestTlsMode.DISABLED,
        tls_connection_options=tls,
        credential_provider=auth.AwsCredentialsProvider.new_static(
            values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]
        ),
    )
    headers = [
        ("host", job.host),
        ("content-length", str(job.path.stat().st_size)),
        ("content-type", "application/octet-stream"),
    ]
    request = http.HttpRequest("PUT", f"/{job.bucket}/{job.key}", http.HttpHeaders(headers))

    def upload() -> None:
        done = threading.Event()
        failures: list[object] = []

        def finished(*, error: object = None, **_: object) -> None:
            failures.extend([error] if error else [])
            done.set()

        running = client.make_request(
            type=s3.S3RequestType.PUT_OBJECT,
            request=request,
            send_filepath=str(job.path),
            checksum_config=s3.S3ChecksumConfig(
                algorithm=s3.S3ChecksumAlgorithm.CRC64NVME,
                location=s3.S3ChecksumLocation.HEADER,
            ),
            on_done=finished,
        )
        done.wait()
        del running
        if failures:
            raise RuntimeError(str(failures[0]))

    return upload


def awscrt_sha256(job: Job) -> Callable[[], None]:
    """AWS's C client, then SHA-256 of the file."""
    return _then_sha256(job, awscrt(job))


def _then_sha256(job: Job, upload: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        upload()
        with job.path.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    return both


def publish(job: Job) -> Callable[[], None]:
    """The whole command: start, probe, SHA-256, the XVA's verdict, metadata, pointer and index."""
    gc.begin()
    run = importlib.import_module("asyncpipe.cli.main").run
    words = ["publish", str(job.path), "--os", "debian", "--os-version", "12"]
    place = ["--destination", f"s3://{job.bucket}/{job.key}", "--endpoint-url", job.endpoint]

    def command() -> None:
        if code := run([*words, *place, "--s3-profile", job.profile]):
            sys.exit(f"asyncpipe publish ended with {code}")

    return command


def rclone(job: Job) -> Callable[[], None]:
    return partial(run_rclone, str(job.path), rclone_remote(job))


def rclone_remote(job: Job) -> str:
    return (
        f":s3,provider=Other,env_auth,region={REGION},endpoint='{job.endpoint}',"
        f"force_path_style:{job.bucket}/{job.key}"
    )


def run_rclone(source: str, target: str) -> None:
    command = ["rclone", "copyto", "--no-check-certificate", "--no-check-dest", source, target]
    clean = {name: value for name, value in environment().items() if name != "AWS_CA_BUNDLE"}
    subprocess.run(command, env=clean, check=True, stdout=subprocess.DEVNULL)


def boto_arguments(job: Job) -> dict[str, object]:
    values = environment()
    verify: object = job.ca_bundle or not job.secure
    return {
        "endpoint_url": job.endpoint,
        "region_name": REGION,
        "aws_access_key_id": values["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": values["AWS_SECRET_ACCESS_KEY"],
        "verify": verify,
    }


CLIENTS: dict[str, Callable[[Job], Callable[[], dict[str, float] | None]]] = {
    "asyncpipe-crc": partial(asyncpipe, everything=False),
    "asyncpipe": partial(asyncpipe, everything=True),
    "asyncpipe-many": asyncpipe_many,
    "boto3": boto3,
    "aioboto3": aioboto3,
    "obstore": obstore,
    "obstore-sha256": obstore_sha256,
    "awscrt": awscrt,
    "awscrt-sha256": awscrt_sha256,
    "publish": publish,
    "bare": bare,
    "rclone": rclone,
}
