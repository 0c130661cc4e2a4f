"""A file that changes under a running upload is noticed, and told from one that was touched."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import ArtifactError, SourceChangedError
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.system import disk
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload.source import FinishedFile
from tests.system.inline import disk_calls_inline
from tests.upload.helpers import MIB, Recorder, published, some_bytes, until, uploading, written

pytestmark = pytest.mark.anyio

BODY = some_bytes(4 * MIB + 99)


class Meddler(Recorder):
    """Does something to the file after its third MiB was read."""

    def __init__(self, deed: Callable[[Path], None], path: Path) -> None:
        super().__init__()
        self._deed: Callable[[Path], None] | None = deed
        self._path = path

    def feed(self, data: memoryview) -> None:
        super().feed(data)
        if len(self.seen) >= 3 * MIB and self._deed is not None:
            deed, self._deed = self._deed, None
            deed(self._path)


def truncate(path: Path) -> None:
    os.truncate(path, 3 * MIB + 10)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace_by_another(path: Path) -> None:
    written(path.with_suffix(".new"), BODY).replace(path)


def rewrite_the_second_part(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(MIB)
        file.write(b"other")
    touch(path)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))


async def staged_with(
    deed: Callable[[Path], None], path: Path, store: MemoryStore, options: TransferOptions
) -> None:
    await published(
        store,
        Target(key="k", content_type="application/octet-stream"),
        path,
        options,
        inspector=Meddler(deed, path),
    )


@pytest.mark.parametrize("deed", [truncate, append, replace_by_another, rewrite_the_second_part])
async def test_a_changed_file_is_never_published(
    store: MemoryStore, options: TransferOptions, tmp_path: Path, deed: Callable[[Path], None]
) -> None:
    path = written(tmp_path / "image.xva", BODY)
    with anyio.fail_after(20), pytest.raises(SourceChangedError):
        await staged_with(deed, path, store, options)
    assert not store.objects
    assert not store.uploads


async def test_a_touched_file_is_read_again_and_published(
    store: MemoryStore, options: TransferOptions, tmp_path: Path
) -> None:
    path = written(tmp_path / "image.xva", BODY)
    with anyio.fail_after(20):
        await staged_with(touch, path, store, options)
    assert store.objects["k"].body == BODY


async def test_a_small_file_rewritten_before_completion_is_not_stored(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path
) -> None:
    path = written(tmp_path / "build.log", b"first")

    async def run() -> None:
        async with uploading(store, target, path, options) as upload:
            await upload.stage()
            written(path, b"other")
            await upload.complete()

    with anyio.fail_after(20), pytest.raises(SourceChangedError):
        await run()
    assert not store.objects


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
async def test_what_is_no_file_is_refused(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    if kind == "fifo":
        os.mkfifo(path)
    with anyio.fail_after(20), pytest.raises(ArtifactError, match=kind):
        await published(store, target, path, options)


async def test_a_source_is_closed_at_once(tmp_path: Path) -> None:
    source = FinishedFile(written(tmp_path / "f", BODY))
    await source.open()
    descriptor = source.descriptor
    with disk_calls_inline():
        await source.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


async def test_a_source_whose_disk_stalls_is_closed_once_the_disk_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "GRACE_S", 0.01)
    source, answers = FinishedFile(written(tmp_path / "f", BODY)), threading.Event()
    await source.open()
    descriptor = source.descriptor
    with anyio.fail_after(20):
        with anyio.move_on_after(0.01):
            await source.read(answers.wait, 1)
        assert source.is_lost
        await source.close()
        os.fstat(descriptor)  # the thread may still read from it
        answers.set()
        await until(lambda: not Path(f"/proc/self/fd/{descriptor}").exists())
