"""`asyncpipe mirror` between folders and S3 servers at 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe import catalog, metadata
from asyncpipe.catalog.mirror.passing import mirror as one_pass
from asyncpipe.catalog.mirror.selection import Wanted
from asyncpipe.catalog.mirror.uploads import Way
from asyncpipe.cli import main
from asyncpipe.errors import AccessDeniedError, ChecksumError
from asyncpipe.model.store import crc64nvme_base64
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.stores.open import open_store
from asyncpipe.system.crc import crc64nvme
from tests.catalog.published import NEW, OLD
from tests.metadata import documents as make
from tests.s3_standin.faults import refuse
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn

MIB = 1024 * 1024
LARGE = random.Random(1).randbytes(5 * MIB + 1)  # two parts
SMALL_PARTS = TransferOptions(part_size_bytes=5 * MIB)


async def publish(folder: Path, timestamp: str, body: bytes) -> None:
    store = DirectoryStore(folder)
    document: dict[str, Any] = dict(make.published(timestamp=timestamp, body=body))
    document["files"]["log"] |= {"sha256_hex": hashlib.sha256(b"log").hexdigest()}
    document["files"]["xva"] |= {"crc64nvme_base64": crc64nvme_base64(crc64nvme(body))}
    entry = catalog.entry_of(metadata.published(document))
    await store.put(entry.xva.key, body, content_type="application/x-xva")
    await store.put(document["files"]["log"]["key"], b"log", content_type="text/plain")
    await store.put(entry.metadata_key, metadata.encode(document), content_type="application/json")
    await catalog.move_pointer(store, entry)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "published"
    anyio.run(publish, folder, OLD, b"old")
    anyio.run(publish, folder, NEW, random.Random(1).randbytes(300_000))
    return folder


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with running_standin() as standin:
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        yield standin


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".asyncpipe" not in str(path.relative_to(folder))
    }


def mirrored(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main.run(["mirror", *arguments, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_folder_goes_to_s3_to_another_server_and_back_to_a_disk_unchanged(
    shelf: Path,
    far: StandIn,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = f"s3://{far.bucket}/images"
    done = mirrored(capsys, str(shelf), bucket)
    assert len(done["versions"]) == 2
    assert mirrored(capsys, str(shelf), bucket)["objects"] == 0
    with running_standin() as other:  # another server: its settings are those of SRC now
        for name, value in far.environment.items():
            monkeypatch.setenv(f"ASYNCPIPE_SOURCE_{name}", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", other.endpoint_url)
        mirrored(capsys, bucket, f"s3://{other.bucket}/copy")
        assert {key.removeprefix("copy/") for key in other.objects()} == {
            key.removeprefix("images/") for key in far.objects()
        }
    disk = tmp_path / "disk"
    mirrored(capsys, bucket, str(disk))
    assert contents(disk) == contents(shelf)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_upload_that_broke_off_goes_on_at_an_s3_server(
    tmp_path: Path, far: StandIn
) -> None:
    await publish(tmp_path / "published", NEW, LARGE)
    source = DirectoryStore(tmp_path / "published")
    bucket = f"s3://{far.bucket}/images"
    async with open_store(bucket, environment=far.environment) as target:
        await target.probe()
        far.faults.add(refuse("CompleteMultipartUpload", "AccessDenied"))
        way = Way(source=source, target=target, options=SMALL_PARTS)
        with pytest.raises(AccessDeniedError):
            await one_pass(way, Wanted())
        assert not [key for key in far.objects() if "/templates/" in key and "build.log" not in key]
        assert [len(far.parts(one.upload_id)) for one in far.uploads()] == [2]
        before = len(far.seen("UploadPart"))
        await one_pass(way, Wanted())
    assert len(far.seen("UploadPart")) == before
    image = next(key for key in far.objects() if key.endswith(".xva"))
    assert far.read(image) == LARGE


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("flipped", [False, True])
async def test_one_endpoint_copies_by_itself_and_proves_what_came_out(
    flipped: bool, tmp_path: Path, far: StandIn
) -> None:
    await publish(tmp_path / "published", NEW, LARGE)
    urls = [f"s3://{far.bucket}/{prefix}" for prefix in ("images", "copy")]
    async with (
        open_store(urls[0], environment=far.environment) as first,
        open_store(urls[1], environment=far.environment) as second,
    ):
        await first.probe()
        await second.probe()
        disk = DirectoryStore(tmp_path / "published")
        await one_pass(Way(source=disk, target=first, options=SMALL_PARTS), Wanted())
        key = f"images/templates/debian12/{NEW}/debian12.xva"
        if flipped:
            path = far.storage.object_path(far.bucket, key)
            path.write_bytes(b"x" + path.read_bytes()[1:])
        sent = len(far.seen("UploadPart"))
        way = Way(source=first, target=second, options=SMALL_PARTS, copied_part_bytes=5 * MIB)
        if flipped:
            with pytest.raises(ChecksumError, match="its SHA-256 is another one"):
                await one_pass(way, Wanted())
            copied = [one for one in far.objects() if one.startswith("copy/templates/")]
            assert copied == [f"copy/templates/debian12/{NEW}/build.log"]
            assert not far.uploads()
            return
        done = await one_pass(way, Wanted())
    assert (len(far.seen("UploadPartCopy")), len(far.seen("UploadPart"))) == (2, sent)
    assert not [one for one in far.seen("GetObject") if one.key == key]
    assert (done.copied_bytes < MIB, done.warnings) == (True, [])
    assert far.read(key.replace("images", "copy")) == LARGE


def test_what_is_said_of_a_mirror_is_plain(
    shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["mirror", str(shelf), str(tmp_path / "disk"), "--os", "debian"]) == 0
    text = capsys.readouterr().out
    assert f"copied: debian12/{NEW}" in text
    assert "2 versions copied, 29" in text
    assert ", 1 name moved, 0 revocations" in text
    anyio.run(publish, tmp_path / "disk", "20261124T000000Z", b"own")
    assert main.run(["mirror", str(shelf), str(tmp_path / "disk")]) == 0
    captured = capsys.readouterr()
    assert "1 version more stay there: --prune removes them" in captured.out
    assert "which the source does not have, and was left" in captured.err


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("published", (), "SRC and DST are one destination"),
        ("disk", ("--channel", "stable"), "No version at"),
        ("disk", ("--os", "windows"), "No version at"),
    ],
)
@pytest.mark.usefixtures("shelf")
def test_a_mirror_that_makes_no_sense_is_refused(
    target: str, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["mirror", "published", target, *options]) == 2
    assert said in capsys.readouterr().err


def test_a_mirror_that_follows_takes_what_comes_survives_a_bad_pass_and_ends_at_a_signal(
    shelf: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "asyncpipe", "mirror", "published", "copy", "--follow"]
    child = subprocess.Popen(
        [*command, "--every", "0.05s", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    watchdog = threading.Timer(90, child.kill)
    watchdog.start()
    try:
        assert len(json.loads(child.stdout.readline())["versions"]) == 2
        assert json.loads(child.stdout.readline())["versions"] == []  # nothing new
        anyio.run(publish, shelf, "20261124T170000Z", b"newer")
        later = next(filter(lambda done: done["versions"], map(json.loads, child.stdout)))
        assert later["versions"] == ["templates/debian12/20261124T170000Z"]
        shelf.rename(tmp_path / "away")
        shelf.write_text("a file stands where the folder was")
        said = next(line for line in child.stdout if not line.startswith("{"))
        assert said.endswith("The next pass goes on.\n")
        shelf.unlink()
        (tmp_path / "away").rename(shelf)
        assert next(line for line in child.stdout if line.startswith("{"))
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
    finally:
        watchdog.cancel()
        child.kill()
        child.communicate()
    copied, there = contents(tmp_path / "copy"), contents(shelf)
    assert copied == there
