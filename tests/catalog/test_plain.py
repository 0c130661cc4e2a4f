"""A compressed version read as it was exported: whole and right, or refused, in bounded memory."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
import zstandard
from msgspec.structs import replace

from asyncpipe.catalog.fetch.plain import pull_plain, stream_plain
from asyncpipe.errors import ChecksumError, UsageError, XvaInvalidError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import NEW, publish
from tests.host.sources import xva

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024
PLAIN = xva(6)
PACKED = {
    "zstd": zstandard.ZstdCompressor(level=1, write_checksum=True).compress(PLAIN),
    "gzip": gzip.compress(PLAIN, 1),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def compressed(
    store: MemoryStore, stored: bytes, form: str = "zstd", *, plain: bytes = PLAIN
) -> CatalogEntry:
    """Publish ``stored`` as what ``plain`` became."""
    entry = await publish(store, NEW, body=stored)
    xva_entry = replace(
        entry.xva,
        compression=form,
        plain_size_bytes=len(plain),
        plain_sha256_hex=hashlib.sha256(plain).hexdigest(),
    )
    return replace(entry, xva=xva_entry)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def read(store: MemoryStore, entry: CatalogEntry) -> bytes:
    with anyio.fail_after(60):
        async with stream_plain(store, entry) as pieces:
            return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("form", PACKED)
async def test_it_is_read_decompressed(form: str) -> None:
    store = MemoryStore()
    assert await read(store, await compressed(store, PACKED[form], form)) == PLAIN


async def test_pieces_are_bounded_however_well_it_compresses() -> None:
    plain = bytes(40 * MIB)
    store = MemoryStore()
    entry = await compressed(store, zstandard.ZstdCompressor().compress(plain), plain=plain)
    with anyio.fail_after(60):
        async with stream_plain(store, entry) as pieces:
            sizes = [len(piece) async for piece in pieces]
    assert sum(sizes) == len(plain)
    assert max(sizes) < 2 * MIB


async def test_a_reader_that_leaves_early_is_not_waited_for() -> None:
    store = MemoryStore()
    entry = await compressed(store, PACKED["zstd"])
    with anyio.fail_after(10):
        async with stream_plain(store, entry) as pieces:
            assert len(await anext(pieces)) >= MIB


async def test_a_cancelled_reader_is_not_waited_for() -> None:
    store = MemoryStore()
    entry = await compressed(store, PACKED["zstd"])
    with anyio.fail_after(10), anyio.CancelScope() as scope:
        async with stream_plain(store, entry) as pieces:
            assert await anext(pieces)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


@pytest.mark.parametrize("reader", ["stream", "pull"])
@pytest.mark.parametrize("damage", ["bit", "cut", "bomb", "other"])
async def test_what_is_not_what_was_published_is_refused(
    tmp_path: Path, damage: str, reader: str
) -> None:
    """The digest of what is stored fits: whoever wrote it had written its metadata too."""
    stored = bytearray(PACKED["zstd"])
    stored[len(stored) // 2] ^= 1
    body = {
        "bit": bytes(stored),
        "cut": PACKED["zstd"][:-10],
        "bomb": zstandard.ZstdCompressor().compress(PLAIN + bytes(64 * MIB)),
        "other": zstandard.ZstdCompressor().compress(xva(6)[:-MIB]),
    }[damage]
    store = MemoryStore()
    entry = await compressed(store, body)
    if reader == "stream" and damage == "other":
        assert len(await read(store, entry)) < len(PLAIN), "for the reader's judge to refuse"
        return
    way: Callable[[], Awaitable[object]] = partial(read, store, entry)
    if reader == "pull":
        way = partial(pull_plain, store, entry, tmp_path / "out.xva", trusted=True)
    with pytest.raises((ChecksumError, XvaInvalidError)):
        await way()
    assert names_in(tmp_path) == []


async def test_a_file_is_whole_verified_and_has_holes_for_zeros(tmp_path: Path) -> None:
    store = MemoryStore()
    entry = await compressed(store, PACKED["zstd"])
    pulled = await pull_plain(store, entry, tmp_path / "out.xva", trusted=True)
    assert (tmp_path / "out.xva").read_bytes() == PLAIN
    assert pulled.verified == ("size", "sha256", "xva", "content-sha256")
    with pytest.raises(UsageError, match="exists"):
        await pull_plain(store, entry, tmp_path / "out.xva", trusted=True)
    assert names_in(tmp_path) == ["out.xva"]
