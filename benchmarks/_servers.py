"""Servers on loopback to measure against: MinIO, built as a Go module, and one that drops all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import pytest

from tests.stores.real_servers import RealServer, cache_folder
from tests.stores.small_servers import SMALL, running_small


@contextmanager
def null_server() -> Iterator[str]:
    """Run a server that keeps nothing; yields its endpoint."""
    command = [sys.executable, "-m", "benchmarks._null"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


@contextmanager
def minio(folder: Path) -> Iterator[RealServer | None]:
    """Run MinIO on ``folder``, with a bucket; None where it can be neither found nor built."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with running_small("minio", folder) as (server, _):
            yield server
    except pytest.skip.Exception as why:
        print(f"MinIO is left out: {why}", file=sys.stderr)
        yield None


def rclone_folder() -> Path | None:
    """The folder of an rclone that copies from S3: installed, or built here; None: neither."""
    found = shutil.which("rclone")
    if found is not None:
        return Path(found).parent
    version, source = SMALL["rclone"].version, Path(__file__).with_name("rclone_copy.go")
    home = cache_folder() / f"rclone-copy-{version}-{crc32(source.read_bytes()):08x}"
    program = home / "bin" / "rclone"
    if not program.exists() and not _built(home, source, version):
        return None
    return program.parent


def _built(home: Path, source: Path, version: str) -> bool:
    if shutil.which("go") is None:
        return False
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    shutil.copy(source, home / "main.go")
    program = home / "bin" / "rclone"
    for words in (
        ["mod", "init", "example.invalid/rclone"],
        ["get", f"github.com/rclone/rclone@{version}"],
        ["build", "-mod=mod", "-o", str(program), "."],  # "mod tidy" fetches what tests need
    ):
        environment = {**os.environ, "GOFLAGS": "-buildvcs=false"}
        done = subprocess.run(["go", *words], cwd=home, env=environment, check=False)
        if done.returncode:
            return False
    return True
