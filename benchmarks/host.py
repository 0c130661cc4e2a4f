"""``python -m benchmarks.host --size 1GiB``: ``import`` beside ``pull`` and ``curl -T``.

From a folder and from an S3 server, into the tests' stand-in for XAPI, which judges what arrives.
The two ways take turns; the table shows medians, and the highest memory of the import's process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import xmlrpc.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks._sources import make_xva, parsed_size

LIMIT_S = 900.0
# the command line, and at its end the most memory that the process held
PEAK = """
import atexit, pathlib, re, sys
from asyncpipe.cli.main import main

@atexit.register
def tell():
    status = pathlib.Path("/proc/self/status").read_text()
    pathlib.Path("peak_kib").write_text(re.search(r"VmHWM:\\s+(\\d+)", status)[1])

main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.host", description=__doc__)
    parser.add_argument("--size", type=parsed_size, default=parsed_size("1GiB"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where files are generated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        measure(Path(name), arguments.size, arguments.rounds)


def measure(folder: Path, size_bytes: int, rounds: int) -> None:
    xva = make_xva(folder / "benchmark.xva", size_bytes)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {xva.stat().st_size} bytes\n")
    print("| from | import s | pull + curl s | ratio of medians | import peak MiB |")
    print("|---|---|---|---|---|")
    with serving_s3(folder / "s3") as (bucket, keys), serving_xapi(folder / "xapi") as xapi:
        for where, destination in (("folder", str(folder / "published")), ("S3", bucket)):
            environment = {**os.environ, **keys, **xapi, "ASYNCPIPE_DESTINATION": destination}
            command = ["publish", str(xva), "--os", "debian", "--os-version", "12", "-q"]
            asyncpipe(folder, environment, *command)
            row(where, [one_round(folder, environment, xapi) for _ in range(rounds)])


def one_round(
    folder: Path, environment: Mapping[str, str], xapi: Mapping[str, str]
) -> tuple[float, float, float]:
    """Seconds of ``import``, seconds of the two commands, MiB of the import."""
    began_s = time.perf_counter()
    asyncpipe(folder, environment, "import", "debian12")
    imported_s = time.perf_counter() - began_s
    peak_mib = int((folder / "peak_kib").read_text()) / 1024
    target = folder / "pulled.xva"
    began_s = time.perf_counter()
    asyncpipe(folder, environment, "pull", "debian12", "-o", str(target))
    curl(target, xapi)
    pulled_s = time.perf_counter() - began_s
    target.unlink()
    print(f"round: {imported_s:.2f} {pulled_s:.2f} {peak_mib:.0f}", file=sys.stderr)
    return imported_s, pulled_s, peak_mib


def row(where: str, rounds: list[tuple[float, float, float]]) -> None:
    imported, pulled, peaks = zip(*rounds, strict=True)
    own_s, other_s = statistics.median(imported), statistics.median(pulled)
    print(f"| {where} | {own_s:.2f} | {other_s:.2f} | {own_s / other_s:.2f} | {max(peaks):.0f} |")


def asyncpipe(folder: Path, environment: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "-c", PEAK, *arguments]
    subprocess.run(
        command, cwd=folder, env=dict(environment), check=True, stdout=sys.stderr, timeout=LIMIT_S
    )


def curl(path: Path, xapi: Mapping[str, str]) -> None:
    """As people import without us: a session, a task, curl, and the task's verdict."""
    address, ca_file = xapi["ASYNCPIPE_HOST"], xapi["ASYNCPIPE_HOST_CA"]
    context = ssl.create_default_context(cafile=ca_file)
    server: Any = xmlrpc.client.ServerProxy(f"https://{address}/", context=context)
    user, password = xapi["ASYNCPIPE_HOST_USER"], xapi["ASYNCPIPE_HOST_PASSWORD"]
    session = server.session.login_with_password(user, password, "1.0", "curl")["Value"]
    task = server.task.create(session, "curl", "")["Value"]
    url = f"https://{address}/import?session_id={quote(session)}&task_id={quote(task)}"
    subprocess.run(
        ["curl", "-sS", "--cacert", ca_file, "-T", str(path), url], check=True, timeout=LIMIT_S
    )
    while (status := server.task.get_status(session, task)["Value"]) == "pending":
        time.sleep(0.05)
    assert status == "success", server.task.get_record(session, task)


@contextlib.contextmanager
def serving_s3(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The tests' S3 server in a process of its own: its destination and keys."""
    module = "tests.s3_standin.server"
    with serving([sys.executable, "-m", module, "--dir", str(folder)]) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        yield line["destination"], line["environment"]


@contextlib.contextmanager
def serving_xapi(folder: Path) -> Iterator[dict[str, str]]:
    """The tests' XAPI in a process of its own: what to export."""
    module = "tests.xapi_standin"
    with serving([sys.executable, "-m", module, "--dir", str(folder)]) as process:
        assert process.stdout is not None
        exported: dict[str, str] = {}
        while "ASYNCPIPE_HOST_CA" not in exported:
            name, _, value = process.stdout.readline().strip().partition("=")
            exported[name.removeprefix("export ")] = value.strip("'")
        state = f"https://{exported['ASYNCPIPE_HOST']}/state"
        context = ssl.create_default_context(cafile=exported["ASYNCPIPE_HOST_CA"])
        assert urllib.request.urlopen(state, context=context).status == 200
        yield exported


@contextlib.contextmanager
def serving(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
