"""The catalogue against the number of versions, in a folder.

``python -m benchmarks.catalog --versions 10,100,1000,10000 --templates 40``. Each number is a
destination of its own: metadata with 300 packages, images of three bytes. Commands are timed as
whole processes, start included. ``--writers 20 --each 50`` then lets processes publish at once.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from asyncpipe import catalog, metadata
from asyncpipe.model.documents.catalog import CatalogEntry, encode_pointer
from asyncpipe.model.store import ObjectInfo
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.text.format import timestamp_of
from benchmarks.upload import machine
from tests.metadata import documents

_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
_PACKAGES = 300
COMMANDS = {
    "list": ("list",),
    "list NAME": ("list", "debian10"),
    "prune": ("prune", "--keep", "10"),
    "repair": ("index", "repair"),
    "rebuild": ("index", "rebuild"),
}


class Counting(DirectoryStore):
    """A folder that notes what is written to the index."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: dict[str, int] = {}

    async def put(self, key: str, body: bytes, **more: Any) -> ObjectInfo:
        """Store it, and note its size if it is part of the index."""
        if "/index" in key:
            self.written[key] = len(body)
        return await super().put(key, body, **more)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.catalog", description=__doc__)
    parser.add_argument("--versions", default="10,100,1000,10000")
    parser.add_argument("--templates", type=int, default=40)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--publish", nargs=3, help=argparse.SUPPRESS)  # folder, writer, number
    arguments = parser.parse_args()
    if arguments.publish:
        folder, writer, number = arguments.publish
        anyio.run(publish_many, Path(folder), int(writer), int(number))
        return
    print(f"\n{machine()}\n")
    titles = ("versions", "objects", "bytes", *COMMANDS)
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for text in arguments.versions.split(","):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            measure(Path(folder), int(text), min(arguments.templates, int(text)))
    if arguments.writers:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            at_once(Path(folder), arguments.writers, arguments.each)


def measure(folder: Path, number: int, templates: int) -> None:
    entries = fill(folder, number, templates)
    objects = anyio.run(publish_one, folder, len(entries) // templates + 1)
    row: list[str] = [f"{number:,}", str(len(objects)), f"{sum(objects.values()):,}"]
    for name, words in COMMANDS.items():
        row.append(command(folder, *words))
        print(f"{number}: {name} {row[-1]}", file=sys.stderr, flush=True)
    print("| " + " | ".join(row) + " |", flush=True)


def fill(folder: Path, number: int, templates: int) -> list[CatalogEntry]:
    """Write versions as files, an hour apart, and list them."""
    entries = [make(folder, at % templates, at // templates) for at in range(number)]
    store = DirectoryStore(folder)
    anyio.run(lambda: catalog.change_index(store, add=entries))
    for entry in entries[-templates:]:
        pointer = folder / f"templates/{entry.short_id}/latest.json"
        pointer.write_bytes(encode_pointer(entry))
    return entries


def make(folder: Path, template: int, at: int) -> CatalogEntry:
    """Write the three objects of one version."""
    short_id, timestamp = f"debian{template + 10}", timestamp_of(_FIRST + timedelta(hours=at))
    body = _document().replace(b"debian12", short_id.encode()).replace(_STAMP, timestamp.encode())
    entry = catalog.entry_of(metadata.published(json.loads(body)))
    place = folder / entry.folder_key
    place.mkdir(parents=True)
    (place / f"{short_id}.xva").write_bytes(b"xva")
    (place / "build.log").write_bytes(b"log")
    (place / "metadata.json").write_bytes(body)
    return entry


_STAMP = b"20201231T235959Z"
_made: list[bytes] = []


def _document() -> bytes:
    if not _made:
        document = dict(documents.published(timestamp=_STAMP.decode(), body=b"xva"))
        document["packages"] = [
            {"name": f"package-{number}", "version": "5.2.15-2+b9", "arch": "amd64"}
            for number in range(_PACKAGES)
        ]
        _made.append(metadata.encode(document))
    return _made[0]


async def publish_one(folder: Path, at: int) -> Mapping[str, int]:
    store = Counting(folder)
    await catalog.move_pointer(store, make(folder, 0, at))
    return store.written


async def publish_many(folder: Path, writer: int, number: int) -> None:
    store = DirectoryStore(folder)
    for at in range(number):
        result = await catalog.move_pointer(store, make(folder, 0, at * 100 + writer))
        for warning in result.warnings:
            print(warning, file=sys.stderr)


def at_once(folder: Path, writers: int, each: int) -> None:
    """Let processes publish versions of one template at once, and look what is listed."""
    begun_s = time.perf_counter()
    own = [sys.executable, "-m", "benchmarks.catalog", "--publish", str(folder)]
    running = [subprocess.Popen([*own, str(n), str(each)]) for n in range(writers)]
    codes = [process.wait() for process in running]
    took_s = time.perf_counter() - begun_s
    store = DirectoryStore(folder)
    listing = anyio.run(catalog.list_versions, store)
    newest = anyio.run(catalog.latest, store, "debian10")
    right = newest == listing.versions[0] if listing.versions else False
    print(
        f"\n{writers} processes x {each} versions of one template: {took_s:.1f} s, exit codes"
        f" {set(codes)}, {len(listing.versions)} listed, latest is the newest: {right}"
    )


def command(folder: Path, *arguments: str) -> str:
    """Run a command; ``wall s / CPU s``: on a machine with other work only the latter compares."""
    begun_s = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "asyncpipe", *arguments, "--destination", str(folder)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{time.perf_counter() - begun_s:.2f} / {cpu_s:.2f}"


if __name__ == "__main__":
    main()
