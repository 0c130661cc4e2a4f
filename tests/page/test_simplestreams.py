"""The simplestreams view, read by the real client: ``sstream-query`` and its mirroring library."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.stores.directory.store import DirectoryStore
from tests.catalog.published import MIDDLE, NEW, OLD, publish
from tests.page.browser import from_pypi

pytestmark = pytest.mark.heavy("page")

CLIENT = "python-simplestreams==0.1.0.post59"
# Mirrors everything into a folder, checking each item's size and digest, as image servers do.
MIRROR = """
import sys
from simplestreams.mirrors import UrlMirrorReader, ObjectFilterMirror
from simplestreams.objectstores import FileStore
source = UrlMirrorReader(sys.argv[1], policy=lambda content, path: content)
target = ObjectFilterMirror(config={}, objectstore=FileStore(sys.argv[2]))
target.sync(source, "streams/v1/index.json")
"""


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    folder = tmp_path / "published"

    async def fill() -> None:
        store = DirectoryStore(folder)
        for timestamp in (OLD, MIDDLE, NEW):
            await publish(store, timestamp, body=timestamp.encode())
        await publish(store, NEW, short_id="debian13", body=b"trixie")
        await catalog.set_channel(store, "stable", await catalog.latest(store, "debian13"))
        await catalog.write_streams(store)

    anyio.run(fill)
    return folder


def client(*argv: str | Path) -> str:
    """Run the client; returns what it prints."""
    home = from_pypi(CLIENT)
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *argv], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sstream_query_lists_what_is_published(destination: Path) -> None:
    query = from_pypi(CLIENT) / "bin/sstream-query"
    index = f"{destination.as_uri()}/streams/v1/index.json"
    form = "%(product_name)s %(version_name)s %(label)s %(path)s %(size)s %(sha256)s"
    shown = client(query, "--no-verify", f"--output-format={form}", index, "release=13")
    digest = hashlib.sha256(b"trixie").hexdigest()
    key = f"templates/debian13/{NEW}/debian13.xva"
    assert shown.split() == [
        "com.asyncpipe:debian13:amd64",
        NEW,
        "latest,stable",
        key,
        "6",
        digest,
    ]
    newest = client(query, "--no-verify", "--max=1", f"--output-format={form}", index, "release=12")
    assert newest.split()[1] == NEW


def test_the_clients_library_mirrors_and_verifies_every_image(
    destination: Path, tmp_path: Path
) -> None:
    client("-c", MIRROR, destination.as_uri(), tmp_path / "copy")
    images = sorted(path.read_bytes() for path in (tmp_path / "copy").rglob("*.xva"))
    assert images == sorted([OLD.encode(), MIDDLE.encode(), NEW.encode(), b"trixie"])
