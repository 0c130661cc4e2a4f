"""Real S3 servers of one process each: MinIO, versitygw, gofakes3, rclone and s3rver, on loopback.

They are built once, with Go or npm, into the cache folder, and can be killed and started again in
the middle of a test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.stores.real_servers import RealServer, await_http, cache_folder, free_ports, with_bucket

_ACCESS: Final = "test-access"
_SECRET: Final = "test-secret-key"
_MINIO: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallServer:
    """How to get and to start one server."""

    name: str
    version: str
    module: str  # of Go with "/" and a domain, else of npm
    argv: Callable[[Path, Path, int, int], list[str | Path]]  # program, folder, two ports
    environment: Mapping[str, str] = field(default_factory=dict)
    access_key: str = _ACCESS
    secret_key: str = _SECRET
    keeps_uploads: bool = True  # through a restart


SMALL: Final = {
    server.name: server
    for server in (
        SmallServer(
            name="minio",
            version=_MINIO,
            module="github.com/minio/minio",
            argv=lambda program, folder, port, other: [
                program,
                "server",
                "--quiet",
                "--address",
                f"127.0.0.1:{port}",
                "--console-address",
                f"127.0.0.1:{other}",
                folder,
            ],
            environment={"MINIO_ROOT_USER": _ACCESS, "MINIO_ROOT_PASSWORD": _SECRET},
        ),
        SmallServer(
            name="versitygw",
            version="v1.8.0",
            module="github.com/versity/versitygw/cmd/versitygw",
            argv=lambda program, folder, port, _: [
                program,
                "--access",
                _ACCESS,
                "--secret",
                _SECRET,
                "--region",
                "us-east-1",
                "--port",
                f"127.0.0.1:{port}",
                "posix",
                folder,
            ],
        ),
        SmallServer(
            name="gofakes3",
            version="v1.2.0",
            module="github.com/johannesboyne/gofakes3/cmd/gofakes3",
            argv=lambda program, _, port, __: [
                program,
                "-host",
                f"127.0.0.1:{port}",
                "-backend",
                "memory",  # of its folders, fs answers 500 to HEAD after a refused PUT
                "-initialbucket",
                "images",
            ],
            keeps_uploads=False,
        ),
        SmallServer(
            name="rclone",
            version="v1.76.0",
            module="github.com/rclone/rclone",
            argv=lambda program, folder, port, _: [
                program,
                "serve",
                "s3",
                "--config",
                "/dev/null",
                "--addr",
                f"127.0.0.1:{port}",
                "--auth-key",
                f"{_ACCESS},{_SECRET}",
                folder,
            ],
            keeps_uploads=False,
        ),
        SmallServer(
            name="s3rver",
            version="3.7.1",
            module="s3rver",
            argv=lambda program, folder, port, _: [
                program,
                "-d",
                folder,
                "-a",
                "127.0.0.1",
                "-p",
                str(port),
                "--no-vhost-buckets",
            ],
            access_key="S3RVER",
            secret_key="S3RVER",
        ),
    )
}


@dataclass(slots=True)
class Running:
    """The process of a server; ``restart`` kills it and starts it again on the same port."""

    server: SmallServer
    program: Path
    folder: Path
    ports: tuple[int, int]
    child: subprocess.Popen[bytes] | None = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        """Start and wait until it answers HTTP, whatever it says."""
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                self.server.argv(self.program, data, *self.ports),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.server.environment, "HOME": str(self.folder)},
                cwd=self.folder,
                start_new_session=True,
            )
        await_http(self.endpoint_url, self.child, any_status=True)

    def kill(self) -> None:
        """End it at once."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def restart(self) -> None:
        """Kill -9 and start again."""
        self.kill()
        self.start()


@contextlib.contextmanager
def running_small(name: str, folder: Path) -> Iterator[tuple[RealServer, Running]]:
    """Start one of ``SMALL`` with a bucket in it."""
    server = SMALL[name]
    first, second = free_ports(2)
    running = Running(server, program_of(server), folder, (first, second))
    try:
        running.start()
        yield (
            with_bucket(name, running.endpoint_url, server.access_key, server.secret_key),
            running,
        )
    finally:
        running.kill()


def program_of(server: SmallServer) -> Path:
    """The server's program, built when the cache does not have it; skips where it cannot be."""
    home = cache_folder() / f"{server.name}-{server.version}"
    is_npm = "/" not in server.module
    program = home / ("node_modules/.bin" if is_npm else "bin") / server.name
    if program.exists():
        return program
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    tool = "npm" if is_npm else "go"
    if shutil.which(tool) is None:
        pytest.skip(f"{server.name} is built with {tool}, which is not installed here")
    if is_npm:
        _run(home, "npm", "install", "--no-save", "--prefix", home, f"s3rver@{server.version}")
    elif server.name == "rclone":
        _build_rclone(home, program, server)
    else:
        _run(home, "go", "install", f"{server.module}@{server.version}", GOBIN=str(program.parent))
    return program


def _build_rclone(home: Path, program: Path, server: SmallServer) -> None:
    """A main of our own: all of rclone's backends would take ten times as long."""
    shutil.copy(Path(__file__).with_name("rclone_serve_s3.go"), home / "main.go")
    _run(home, "go", "mod", "init", "example.invalid/rclone")
    _run(home, "go", "get", f"{server.module}@{server.version}")
    _run(home, "go", "mod", "tidy")
    _run(home, "go", "build", "-o", program, ".")


def _run(folder: Path, *argv: str | Path, **variables: str) -> None:
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false", **variables}
    done = subprocess.run(
        ["nice", "-n", "15", *argv],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"{argv[0]} {argv[1]} failed here: {done.stderr.strip()[-300:]}")
