"""A folder that others may write to: links, FIFOs, odd names and forged records reach nothing."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from asyncpipe import catalog, reap
from asyncpipe.catalog.swap import swap
from asyncpipe.errors import AccessDeniedError, ObjectMissingError, UploadError, UploadMissingError
from asyncpipe.model.store import UploadHandle
from asyncpipe.stores.directory.store import DirectoryStore
from tests.stores.helpers import TEXT, XVA

pytestmark = pytest.mark.anyio
ID = "0123456789abcdef01234567"
KEY = "templates/debian12/20261101T000000Z/debian12.xva"
LATEST = "templates/debian12/latest.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "published"
    (root / LATEST).parent.mkdir(parents=True)
    return root


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "upload.json").write_text("{}")
    (folder / "secret").write_text("do not copy")
    return folder


def plant(path: Path, kind: str, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "link":
            path.symlink_to(target)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()


def all_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def sweep(root: Path) -> reap.Reaped:
    now = datetime.now(UTC)
    return await reap.sweep(DirectoryStore(root), before_utc=now, dry_run=False)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
async def test_what_is_not_a_regular_file_is_no_object(
    root: Path, precious: Path, kind: str
) -> None:
    store = DirectoryStore(root)
    plant(root / LATEST, kind, precious / "secret")
    with anyio.fail_after(10):
        assert await store.head(LATEST) is None
        with pytest.raises(ObjectMissingError):
            await store.get(LATEST, max_bytes=100)
        with pytest.raises(ObjectMissingError):
            async with store.stream(LATEST):
                pass
        assert [info.key async for info in store.list("")] == []
        with pytest.raises(ObjectMissingError):
            await catalog.latest(store, "debian12")
        await sweep(root)


async def test_a_link_planted_under_a_name_is_not_taken_for_what_we_publish(
    root: Path,
) -> None:
    store = DirectoryStore(root)
    handle = await store.create_upload(KEY, content_type=XVA, metadata={})
    data = root / ".asyncpipe-uploads" / handle.upload_id / "data"
    plant(root / KEY, "link", data)
    with pytest.raises(UploadError):
        await store.put(KEY, b"image", content_type=XVA, create_only=True)
    assert data.is_file()


@pytest.mark.parametrize(
    ("kind", "named"), [("link", "symbolic link"), ("fifo", "FIFO"), ("folder", "folder")]
)
async def test_a_pointer_that_is_no_file_is_named_for_what_it_is(
    root: Path, precious: Path, kind: str, named: str
) -> None:
    store = DirectoryStore(root)
    plant(root / LATEST, kind, precious / "secret")
    with anyio.fail_after(10), pytest.raises(UploadError, match=f"latest.json is a {named}"):
        await swap(store, LATEST, lambda _: b"{}")


@pytest.mark.parametrize(
    "record",
    [
        "[]",
        "5",
        "{}",
        '{"key": 5}',
        '{"key": "../../x", "content_type": "", "metadata": {}, "initiated_utc": ""}',
        '{"key": "a", "content_type": "", "metadata": {}, "initiated_utc": "", "odd": 1}',
        '{"key": "a", "content_type": "", "metadata": [], "initiated_utc": 1e400}',
        '{"key": "a", "content_type": "", "metadata": {}, "initiated_utc": "", "stride_bytes": 0}',
        "[" * 100_000,
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
async def test_a_forged_record_of_an_upload_stops_nothing(root: Path, record: str) -> None:
    store = DirectoryStore(root)
    kept = await store.create_upload(KEY, content_type=XVA, metadata={})
    folder = root / ".asyncpipe-uploads" / ID
    folder.mkdir()
    (folder / "upload.json").write_text(record, encoding="latin-1")
    uploads = await store.list_uploads("templates/")
    assert [upload.handle for upload in uploads] == [kept]
    assert not (await sweep(root)).left_open


@pytest.mark.parametrize("place", ["folder", "work", "record"])
async def test_a_linked_folder_of_an_upload_leads_nobody_out(
    root: Path, precious: Path, place: str
) -> None:
    work = root / ".asyncpipe-uploads"
    record = {"key": KEY, "content_type": "", "metadata": {}, "initiated_utc": "2026-01-01"}
    (precious / "upload.json").write_text(json.dumps(record))
    if place == "folder":
        plant(work / ID, "link", precious)
    elif place == "work":
        (precious / ID).mkdir()
        (precious / ID / "upload.json").write_text(json.dumps(record))
        plant(work, "link", precious)
    else:
        plant(work / ID / "upload.json", "link", precious / "upload.json")
    store = DirectoryStore(root)
    before = all_below(precious)
    assert await store.list_uploads("") == []
    if place != "record":
        with pytest.raises(UploadMissingError):
            await store.abort_upload(UploadHandle(key=KEY, upload_id=ID))
    await sweep(root)
    assert all_below(precious) == before


async def test_linked_sidecars_are_neither_read_written_nor_removed(
    root: Path, precious: Path
) -> None:
    plant(root / ".asyncpipe-uploads" / "objects", "link", precious)
    store = DirectoryStore(root)
    before = all_below(precious)
    with pytest.raises(AccessDeniedError):
        await store.put("templates/index.json", b"{}", content_type=TEXT)
    await sweep(root)
    assert all_below(precious) == before


async def test_a_forged_part_reads_nothing_outside(root: Path, precious: Path) -> None:
    store = DirectoryStore(root)
    handle = await store.create_upload(KEY, content_type=XVA, metadata={})
    folder = root / ".asyncpipe-uploads" / handle.upload_id
    places = ("../../../precious/secret", "/etc/hostname", "part-00001.data")
    for number, file in enumerate(places, 1):
        part = {"file": file, "offset_bytes": 0, "size_bytes": 3, "crc64nvme": 2**70}
        (folder / f"part-{number:05d}.json").write_text(json.dumps(part))
    (folder / "part-1e400.json").write_text("{}")
    assert await store.list_parts(handle) == []


async def test_names_that_no_key_can_have_stop_no_command(root: Path) -> None:
    store = DirectoryStore(root)
    folder = (root / KEY).parent
    folder.mkdir()
    odd = [folder / os.fsdecode(name) for name in (b"x\xffy", b"a\nb", b"\x1b[31m")]
    for path in odd:
        path.write_bytes(b"x")
    await store.put(KEY, b"x", content_type=XVA)
    assert [info.key async for info in store.list("templates/")] == [KEY]
    assert (await catalog.list_versions(store, fresh=True)).versions == ()
    assert (await catalog.channels(store)).found == ()
    await catalog.rebuild_index(store)
    await catalog.plan_pruning(store, keep=1)
    await sweep(root)
    assert not (root / KEY).exists()
    assert all(path.exists() for path in odd)


async def test_folders_are_closed_to_other_writers_whatever_the_umask(root: Path) -> None:
    before = os.umask(0)
    try:
        await DirectoryStore(root).put(KEY, b"x", content_type=XVA)
    finally:
        os.umask(before)
    made = [path for path in all_below(root) if path.is_dir() and path.name != "debian12"]
    assert len(made) >= 3
    assert all(path.stat().st_mode & 0o022 == 0 for path in made)
