from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from asyncpipe import catalog
from asyncpipe.catalog.fetch import streaming
from asyncpipe.catalog.fetch.streaming import AHEAD
from asyncpipe.errors import (
    AccessDeniedError,
    ChecksumError,
    ObjectMissingError,
    TransientStoreError,
    UsageError,
    XvaInvalidError,
)
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.model.store import StoredBytes
from asyncpipe.retry import RetryPolicy
from asyncpipe.testing.store import MemoryStore
from asyncpipe.xva.read.validator import XvaValidator
from tests.catalog.published import NEW, publish
from tests.upload.helpers import until

pytestmark = pytest.mark.anyio
BODY = os.urandom(3 * 1024 * 1024 + 17)


@pytest.fixture
def anyio_backend() -> str:
    """Worker threads and trio's virtual clock do not mix."""
    return "asyncio"


class _Breaking(MemoryStore):
    """Streams break off after one piece, as often as told."""

    def __init__(self, breaks: int) -> None:
        super().__init__()
        self.breaks = breaks
        self.offsets: list[int] = []

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.offsets.append(offset_bytes)
        reading = super().stream(key, offset_bytes=offset_bytes, size_bytes=size_bytes)
        async with reading as pieces:
            yield self._broken(pieces)

    async def _broken(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            if self.breaks:
                self.breaks -= 1
                raise TransientStoreError("reset")


async def test_what_is_fetched_is_what_was_published(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    pulled = await catalog.pull(store, entry, tmp_path / "new" / "debian.xva")
    assert pulled.path.read_bytes() == BODY
    assert pulled.verified == ("size", "sha256")
    assert _names(pulled.path.parent) == ["debian.xva"]


async def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW)
    target = tmp_path / "debian.xva"
    target.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        await catalog.pull(store, entry, target)
    assert target.read_text() == "mine"


async def test_a_broken_stream_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    store = _Breaking(breaks=2)
    entry = await publish(store, NEW, body=BODY)
    with anyio.fail_after(30):
        await catalog.pull(store, entry, tmp_path / "x.xva")
    assert (tmp_path / "x.xva").read_bytes() == BODY
    assert store.offsets == [0, 1024 * 1024, 2 * 1024 * 1024]


async def test_an_interrupted_pull_goes_on_where_it_stopped(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    token = entry.xva.sha256_hex[:16]
    (tmp_path / f".x.xva.{token}.partial").write_bytes(BODY[:1000])
    pulled = await catalog.pull(store, entry, tmp_path / "x.xva")
    assert pulled.resumed_bytes == 1000
    assert pulled.path.read_bytes() == BODY


async def test_a_damaged_beginning_of_an_earlier_attempt_is_fetched_again(
    tmp_path: Path,
) -> None:
    store = _Breaking(breaks=0)
    entry = await publish(store, NEW, body=BODY)
    _partial(tmp_path, entry).write_bytes(bytes(1000))
    pulled = await catalog.pull(store, entry, tmp_path / "x.xva")
    assert (pulled.resumed_bytes, store.offsets) == (0, [1000, 0])
    assert pulled.path.read_bytes() == BODY
    assert _names(tmp_path) == ["x.xva"]


async def test_a_pull_that_was_killed_after_its_last_byte_fetches_nothing_again(
    tmp_path: Path,
) -> None:
    store = _Breaking(breaks=0)
    entry = await publish(store, NEW, body=BODY)
    _partial(tmp_path, entry).write_bytes(BODY)
    pulled = await catalog.pull(store, entry, tmp_path / "x.xva")
    assert (pulled.resumed_bytes, store.offsets) == (len(BODY), [])
    assert pulled.path.read_bytes() == BODY


async def test_a_partial_file_that_is_too_long_is_fetched_anew(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    _partial(tmp_path, entry).write_bytes(BODY + b"x")
    pulled = await catalog.pull(store, entry, tmp_path / "x.xva")
    assert pulled.resumed_bytes == 0
    assert pulled.path.read_bytes() == BODY


@pytest.mark.parametrize("ranges", [0, 1])
async def test_what_a_lost_store_has_sent_is_kept_for_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: int
) -> None:
    monkeypatch.setattr(streaming, "_RETRY", RetryPolicy(attempts=2, base_s=0.001))
    size_bytes = ranges * AHEAD.range_bytes
    store = _Gone(size_bytes, tmp_path)
    body = bytes(range(256)) * (AHEAD.range_bytes // 256) + BODY
    entry = await publish(store, NEW, body=body)
    with anyio.fail_after(30), pytest.raises(TransientStoreError):
        await catalog.pull(store, entry, tmp_path / "x.xva")
    assert _bodies(tmp_path) == [body[:size_bytes]] * ranges


def _bodies(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


class _Gone(MemoryStore):
    """A store that goes away for good once so many bytes are in the folder."""

    def __init__(self, size_bytes: int, folder: Path) -> None:
        super().__init__()
        self._size_bytes, self._folder = size_bytes, folder

    @asynccontextmanager
    async def stream(
        self, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        if offset_bytes < self._size_bytes:
            reading = super().stream(key, offset_bytes=offset_bytes, size_bytes=size_bytes)
            async with reading as pieces:
                yield pieces
            return
        await until(lambda: sum(map(len, _bodies(self._folder))) >= self._size_bytes)
        raise TransientStoreError("reset")


@pytest.mark.parametrize("missing_bytes", [0, 1])
async def test_only_what_is_not_fetched_yet_needs_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing_bytes: int
) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    _partial(tmp_path, entry).write_bytes(BODY[:1000])
    free_bytes = len(BODY) - 1000 + (64 << 20) - missing_bytes
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    if missing_bytes:
        with pytest.raises(UsageError, match="are needed"):
            await catalog.pull(store, entry, tmp_path / "x.xva")
    else:
        await catalog.pull(store, entry, tmp_path / "x.xva")


def _partial(folder: Path, entry: CatalogEntry) -> Path:
    return folder / f".x.xva.{entry.xva.sha256_hex[:16]}.partial"


async def test_wrong_bytes_never_get_the_name(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    stored = store.objects[entry.xva.key]
    store.objects[entry.xva.key] = StoredBytes(info=stored.info, body=b"X" + BODY[1:])
    with pytest.raises(ChecksumError, match="SHA-256"):
        await catalog.pull(store, entry, tmp_path / "x.xva")
    assert _names(tmp_path) == []


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"more"])
async def test_another_size_is_refused(tmp_path: Path, body: bytes) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    stored = store.objects[entry.xva.key]
    store.objects[entry.xva.key] = StoredBytes(info=stored.info, body=body)
    with anyio.fail_after(60), pytest.raises(ChecksumError):
        await catalog.pull(store, entry, tmp_path / "x.xva")
    assert not (tmp_path / "x.xva").exists()


async def test_a_version_that_is_gone_is_told(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW)
    await store.delete(entry.metadata_key)
    with pytest.raises(ObjectMissingError):
        await catalog.pull(store, entry, tmp_path / "x.xva")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_without_a_published_digest_only_the_size_is_called_verified(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    await _respell(store, entry, entry.xva.sha256_hex, "")
    pulled = await catalog.pull(store, entry, tmp_path / "x.xva")
    assert pulled.verified == ("size",)


@pytest.mark.parametrize("digest", ["a/b", "../../x", "0" * 63, "G" * 64])
async def test_what_is_no_digest_makes_the_metadata_unreadable(tmp_path: Path, digest: str) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    await _respell(store, entry, entry.xva.sha256_hex, digest)
    with pytest.raises(UnreadableError, match="sha256_hex"):
        await catalog.pull(store, entry, tmp_path / "x.xva")
    assert _names(tmp_path) == []


async def _respell(store: MemoryStore, entry: CatalogEntry, old: str, new: str) -> None:
    body = store.objects[entry.metadata_key].body.replace(old.encode(), new.encode())
    await store.put(entry.metadata_key, body, content_type="application/json")


async def test_a_refusal_leaves_no_partial_file(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    store.fail("stream", AccessDeniedError("no"))
    with pytest.raises(AccessDeniedError):
        await catalog.pull(store, entry, tmp_path / "x.xva")
    await store.delete(entry.xva.key)
    with pytest.raises(ObjectMissingError):
        await catalog.pull(store, entry, tmp_path / "x.xva")
    assert _names(tmp_path) == []


@pytest.mark.parametrize("end", [b"end", b""])
async def test_zeros_cost_no_disk(tmp_path: Path, end: bytes) -> None:
    store = MemoryStore()
    body = BODY[: 1024 * 1024] + bytes(16 * 1024 * 1024) + end
    entry = await publish(store, NEW, body=body)
    pulled = await catalog.pull(store, entry, tmp_path / "x.xva")
    assert pulled.path.read_bytes() == body
    assert pulled.path.stat().st_blocks * 512 < 4 * 1024 * 1024


async def test_an_xva_that_is_not_valid_never_gets_the_name(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await publish(store, NEW, body=BODY)
    with pytest.raises(XvaInvalidError, match="not valid"):
        await catalog.pull(store, entry, tmp_path / "x.xva", validator=XvaValidator())
    assert _names(tmp_path) == []
