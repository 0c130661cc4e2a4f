"""A folder whose disk fills: what is left below .asyncpipe-uploads is found and removed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe import reap
from asyncpipe.errors import UploadError
from asyncpipe.model.transfer import Keep, Target, TransferOptions
from asyncpipe.reap import Kind, Reaped
from asyncpipe.retry import RetryPolicy
from asyncpipe.stores.directory.records import UploadRecord
from asyncpipe.stores.directory.store import DirectoryStore
from tests.e2e.command import clean_environment
from tests.upload.helpers import MIB, published, some_bytes, written

pytestmark = pytest.mark.anyio

KEY = "templates/debian12/20261101T000000Z/debian12.xva"
BODY = some_bytes(6 * MIB + 5)
OPTIONS = TransferOptions(
    max_memory_bytes=4 * MIB,
    part_size_bytes=MIB,
    abort_timeout_s=5.0,
    retry=RetryPolicy(attempts=3, base_s=0.001, cap_s=0.002),
)
LATER = datetime.now(UTC) + timedelta(days=1)


@dataclass(slots=True)
class Disk:
    """Refuses to write once ``free_bytes`` are used up, as a full one does."""

    free_bytes: int

    def take(self, count_bytes: int) -> None:
        if count_bytes > self.free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.free_bytes -= count_bytes

    def fail_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the limit below the store: its parts, its small files, its records."""
        pwrite, write_bytes, dumps = os.pwrite, Path.write_bytes, json.dumps

        def limited_pwrite(descriptor: int, piece: memoryview, at: int) -> int:
            self.take(len(piece))
            return pwrite(descriptor, piece, at)

        def limited_write_bytes(path: Path, data: bytes) -> int:
            write_bytes(path, data[: self.free_bytes])
            self.take(len(data))
            return len(data)

        def limited_dumps(value: object, **more: Any) -> str:
            text = dumps(value, **more)
            self.take(len(text))
            return text

        monkeypatch.setattr(os, "pwrite", limited_pwrite)
        monkeypatch.setattr(Path, "write_bytes", limited_write_bytes)
        monkeypatch.setattr(json, "dumps", limited_dumps)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "published"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "image.xva", BODY)


async def upload(store: DirectoryStore, path: Path, journal: Path | None, keep: Keep) -> None:
    target = Target(key=KEY, content_type="application/octet-stream")
    await published(store, target, path, OPTIONS, journal_path=journal, keep=keep)


async def swept(store: DirectoryStore, *, dry_run: bool = False) -> Reaped:
    return await reap.sweep(store, before_utc=LATER, dry_run=dry_run, options=OPTIONS)


def left_in(root: Path) -> list[str]:
    """Everything below the store's hidden folder but what belongs there for good."""
    work = root / ".asyncpipe-uploads"
    found = (path.relative_to(work) for path in work.rglob("*"))
    return sorted(str(path) for path in found if str(path) not in {"lock", "objects"})


@pytest.mark.parametrize("keep", [Keep.NEVER, Keep.LOST])
async def test_an_upload_that_met_a_full_disk_is_dropped_or_kept_and_then_reaped(
    root: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: Keep
) -> None:
    store, journal = DirectoryStore(root), tmp_path / "work" / "upload.json"
    with monkeypatch.context() as patch:
        Disk(free_bytes=3 * MIB).fail_in(patch)
        with anyio.fail_after(30), pytest.raises(UploadError, match="No space") as caught:
            await upload(store, path, journal, keep)
    assert caught.value.exit_code == 40
    assert "resumed" in caught.value.hint
    assert bool(left_in(root)) == (keep is Keep.LOST)

    reaped = await swept(store)
    assert [finding.kind for finding in reaped.findings] == [Kind.UPLOAD] * (keep is Keep.LOST)
    assert not reaped.left_open
    assert left_in(root) == []


@pytest.mark.parametrize("free_bytes", [0, 100, 200, 400, 700])
async def test_a_small_file_that_met_a_full_disk_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int
) -> None:
    store = DirectoryStore(root)
    with monkeypatch.context() as patch:
        Disk(free_bytes=free_bytes).fail_in(patch)
        with pytest.raises(UploadError, match="No space"):
            await store.put("templates/index.json", b"x" * 900, content_type="application/json")
    assert left_in(root) == []
    assert not (await swept(store)).findings


def cut_in_abort(root: Path) -> None:
    """A kill between the record's end and the bytes' end: gigabytes that no upload lists."""
    folder = root / ".asyncpipe-uploads" / ("a" * 24)
    folder.mkdir(parents=True)
    written(folder / "data", BODY)
    written(folder / "part-00001.json", b"{}")


def cut_in_creation(root: Path) -> None:
    folder = root / ".asyncpipe-uploads" / ("b" * 24)
    folder.mkdir(parents=True)
    written(folder / "data", b"")
    written(folder / "upload.json.0a1b2c3d.new", b'{"key": ')


def cut_in_a_small_put(root: Path) -> None:
    class KilledError(BaseException):
        pass

    class Store(DirectoryStore):
        def _check(self, key: str, found: int | None, expected: int) -> None:
            raise KilledError

    store = Store(root)
    store._files.remove_upload = lambda handle: None  # type: ignore[method-assign]  # a kill
    put = store._put
    record = UploadRecord(
        key="templates/debian12/latest.json",
        content_type="application/json",
        metadata={},
        initiated_utc="2026-11-01T00:00:00Z",
        small=True,
    )
    with pytest.raises(KilledError):
        put(record, b"{}", create_only=False, if_match=None)


def cut_in_a_sidecar(root: Path) -> None:
    folder = root / ".asyncpipe-uploads" / "objects"
    written(folder / ("c" * 32 + ".json.0a1b2c3d.new"), b"{")


def an_object_removed_by_hand(root: Path) -> None:
    put_at_once(root, "templates/debian12/20261101T000000Z/build.log")
    shutil.rmtree(root / "templates/debian12/20261101T000000Z")


def put_at_once(root: Path, key: str) -> None:
    store = DirectoryStore(root)
    record = UploadRecord(
        key=key, content_type="text/plain", metadata={}, initiated_utc="", small=True
    )
    store._put(record, b"x", create_only=True, if_match=None)


@pytest.mark.parametrize(
    "deed",
    [
        cut_in_abort,
        cut_in_creation,
        cut_in_a_small_put,
        cut_in_a_sidecar,
        an_object_removed_by_hand,
    ],
)
async def test_what_a_kill_leaves_beside_the_uploads_is_found_shown_and_removed(
    root: Path, deed: Callable[[Path], None]
) -> None:
    store = DirectoryStore(root)
    whole = "templates/debian12/20261102T000000Z"
    for name in ("debian12.xva", "metadata.json"):
        await store.put(f"{whole}/{name}", b"{}", content_type="x/x", metadata={"nonce": "n"})
    before = left_in(root)
    deed(root)
    left = set(left_in(root)) - set(before)
    assert left

    young = await reap.sweep(
        store, before_utc=datetime.now(UTC) - timedelta(days=1), dry_run=False, options=OPTIONS
    )
    assert not young.findings
    shown = await swept(store, dry_run=True)
    assert set(left_in(root)) == left | set(before)
    reaped = await swept(store)
    assert [finding.kind for finding in reaped.findings] == [Kind.FILES]
    assert [one.what for one in shown.findings] == [one.what for one in reaped.findings]
    assert not reaped.left_open
    assert left_in(root) == before
    info = await store.head(f"{whole}/debian12.xva")
    assert info is not None
    assert dict(info.metadata) == {"nonce": "n"}
    assert not (await swept(store)).findings


async def test_remains_that_cannot_be_removed_are_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_in_abort(root)

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    reaped = await swept(DirectoryStore(root))
    assert reaped.left_open
    assert "Permission denied" in reaped.findings[0].problem


async def test_a_reap_of_a_folder_that_is_not_there_does_not_make_it(root: Path) -> None:
    assert not (await swept(DirectoryStore(root))).findings
    assert not is_there(root)


@pytest.mark.parametrize("keep", [Keep.NEVER, Keep.LOST])
async def test_a_journal_that_finds_no_room_is_told_and_leaves_no_upload_without_one(
    root: Path, path: Path, tmp_path: Path, keep: Keep
) -> None:
    store = DirectoryStore(root)
    taken = written(tmp_path / "work", b"")  # a file where the journal's folder should be
    with anyio.fail_after(30), pytest.raises(UploadError, match="journal") as caught:
        await upload(store, path, taken / "upload.json", keep)
    assert "--work-directory" in caught.value.hint
    assert left_in(root) == []


def test_on_a_file_system_that_is_really_full_the_upload_fails_and_reap_leaves_nothing(
    tmp_path: Path,
) -> None:
    """In a mount namespace of its own: the small file system goes with its processes."""
    unshare = ["unshare", "--mount", "--map-root-user"]
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=6m tmpfs {small}"
    try:
        tried = subprocess.run([*unshare, "sh", "-c", mount], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare(1) here")
    if tried.returncode:
        pytest.skip(f"no file system can be mounted here: {tried.stderr.decode().strip()}")
    (tmp_path / "disk.raw").write_bytes(some_bytes(12 * MIB))
    asyncpipe = f"{sys.executable} -m asyncpipe"
    script = f"""
        {mount} || exit 99
        {asyncpipe} xva create --name x --disk disk.raw -o debian-12.xva || exit 98
        {asyncpipe} publish debian-12.xva --destination {small}/published
        echo "published: $?"
        echo "before: $(find {small} -name data -size +1M | wc -l)"
        {asyncpipe} reap --older-than 0s --destination {small}/published
        echo "reaped: $?"
        echo "after: $(cd {small}/published/.asyncpipe-uploads && echo *) $(find {small} -size +0c -type f ! -name .gitignore)"
    """  # noqa: E501 - a line of shell
    ended = subprocess.run(
        [*unshare, "sh", "-c", script],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    shown = ended.stdout + ended.stderr
    assert "published: 40" in shown, shown
    assert "No space left on device" in shown
    assert "before: 1" in shown
    assert "removed: upload" in shown
    assert "reaped: 0" in shown
    assert ended.stdout.splitlines()[-1].split() in (
        ["after:", "lock"],
        ["after:", "lock", "objects"],
    )


def is_there(path: Path) -> bool:
    return path.exists()
