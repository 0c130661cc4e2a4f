"""Compressed on the way: whatever the store holds, decompressed it is the file."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncpipe.errors import SourceChangedError, TransientStoreError, XvaInvalidError
from asyncpipe.model.transfer import Keep, PublishedObject, Target, TransferOptions, Zstd
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload.feed import compressor
from asyncpipe.upload.feed.compressor import Compressor, most_bytes
from asyncpipe.upload.source import FinishedFile, GrowingFile
from tests.upload.helpers import (
    MIB,
    Recorder,
    published,
    sha256_hex,
    some_bytes,
    until,
    uploading,
    written,
)

pytestmark = pytest.mark.anyio

# half of it noise, so that there are several parts however well the rest compresses
BODY = some_bytes(9 * MIB // 2) + bytes(3 * MIB) + b"text that repeats. " * 40_000


def plain(stored: bytes) -> bytes:
    """As ``zstd -d`` does it: the whole file, nothing behind the frame."""
    stream = zstandard.ZstdDecompressor(max_window_size=8 * MIB).decompressobj()
    body = stream.decompress(stored)
    assert stream.eof
    assert not stream.unused_data
    return body


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "image.xva", BODY)


async def stored_at(store: MemoryStore | DirectoryStore, target: Target) -> bytes:
    return (await store.get(target.key, max_bytes=64 * MIB)).body


async def compressed_to(
    store: MemoryStore, target: Target, path: Path, options: TransferOptions, journal: Path
) -> tuple[PublishedObject, list[tuple[str, str]]]:
    """Resume what the journal names, or begin; returns what was warned of too."""
    warned: list[tuple[str, str]] = []
    result = await published(
        store,
        target,
        path,
        options,
        journal_path=journal,
        resume=True,
        keep=Keep.LOST,
        zstd=Zstd(),
        warn=lambda code, text: warned.append((code, text)),
    )
    return result, warned


async def interrupted(
    store: MemoryStore, target: Target, path: Path, options: TransferOptions, journal: Path
) -> None:
    """Let the fourth part fail for good."""
    store.fail("upload_part", TransientStoreError("link lost"), times=1000, part_number=4)
    with pytest.raises(TransientStoreError):
        await compressed_to(store, target, path, options, journal)
    store._faults.clear()
    store.calls.clear()


def parts_sent(store: MemoryStore) -> list[int | None]:
    return [call.part_number for call in store.calls if call.operation == "upload_part"]


async def test_both_digests_are_known_and_the_inspector_sees_the_plain_bytes(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    seen = Recorder()
    result = await published(store, target, path, options, zstd=Zstd(), inspector=seen)
    stored = await stored_at(store, target)
    assert plain(stored) == BODY
    assert bytes(seen.seen) == BODY
    assert result.digests.sha256_hex == sha256_hex(stored)
    assert result.digests.size_bytes == len(stored) < len(BODY)
    assert result.compressed is not None
    assert result.compressed.plain_sha256_hex == sha256_hex(BODY)
    assert result.compressed.plain_size_bytes == len(BODY)
    assert result.compressed.level == 1
    assert zstandard.__version__ in (result.compressed.compressor or "")
    frame = zstandard.get_frame_parameters(stored)
    assert frame.has_checksum
    assert frame.window_size <= 8 * MIB


async def test_a_folder_gets_the_same_bytes(
    tmp_path: Path, target: Target, options: TransferOptions, path: Path
) -> None:
    store = DirectoryStore(tmp_path / "published")
    await published(store, target, path, options, zstd=Zstd())
    assert plain(await stored_at(store, target)) == BODY


@pytest.mark.parametrize("body", [b"", b"x", bytes(MIB), some_bytes(4 * MIB), bytes(4 * MIB)])
async def test_small_and_empty_files_come_back(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path, body: bytes
) -> None:
    result = await published(
        store, target, written(tmp_path / "small.xva", body), options, zstd=Zstd()
    )
    assert plain(await stored_at(store, target)) == body
    assert result.compressed is not None
    assert result.compressed.plain_sha256_hex == sha256_hex(body)


async def test_a_growing_file_is_compressed_while_it_grows(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path
) -> None:
    path, finished = tmp_path / "growing.xva", anyio.Event()

    async def grow() -> None:
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(BODY), 700_001):
                await anyio.to_thread.run_sync(file.write, BODY[start : start + 700_001])
                await anyio.lowlevel.checkpoint()
        finished.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(grow)
            source = GrowingFile(path, finished, poll_interval_s=0.001)
            await published(store, target, source, options, zstd=Zstd())
    assert plain(await stored_at(store, target)) == BODY


@pytest.mark.parametrize("start", [b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd\x04"])
async def test_what_is_compressed_already_is_sent_as_it_is_and_says_so(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path, start: bytes
) -> None:
    path, warned = written(tmp_path / "vm.xva", start + some_bytes(MIB)), []
    result = await published(
        store, target, path, options, zstd=Zstd(), warn=lambda code, _: warned.append(code)
    )
    assert await stored_at(store, target) == path.read_bytes()
    assert result.compressed is None
    assert warned == ["compressed-already"]


async def test_a_rejected_file_is_not_sent_to_its_end(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    with pytest.raises(XvaInvalidError):
        await published(
            store, target, path, options, zstd=Zstd(), inspector=Recorder(reject_at_bytes=MIB)
        )
    assert not store.uploads
    assert await store.head(target.key) is None


async def test_a_file_rewritten_while_it_is_compressed_is_refused(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path
) -> None:
    class Rewriting(Recorder):
        def feed(self, data: memoryview) -> None:
            super().feed(data)
            if len(self.seen) == len(BODY):
                with path.open("r+b") as file:
                    file.write(b"changed")
                os.utime(path, ns=(1, 1))

    with pytest.raises(SourceChangedError):
        await published(store, target, path, options, zstd=Zstd(), inspector=Rewriting())
    assert await store.head(target.key) is None


# -- interrupted --------------------------------------------------------------------------------


async def test_a_resumption_sends_only_what_the_store_lacks(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "upload.json"
    await interrupted(store, target, path, options, journal)
    result, warned = await compressed_to(store, target, path, options, journal)
    assert plain(await stored_at(store, target)) == BODY
    assert warned == []
    assert result.resumed_bytes > 0
    assert 1 not in parts_sent(store)


async def test_with_another_library_the_upload_starts_anew_and_says_so(
    store: MemoryStore,
    target: Target,
    options: TransferOptions,
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = tmp_path / "upload.json"
    await interrupted(store, target, path, options, journal)
    monkeypatch.setattr(compressor, "library", lambda: "zstandard 9.9, zstd 9.9.9")
    result, warned = await compressed_to(store, target, path, options, journal)
    assert plain(await stored_at(store, target)) == BODY
    assert [code for code, _ in warned] == ["upload-anew"]
    assert "9.9.9" in warned[0][1]
    assert result.resumed_bytes == 0
    assert not store.uploads, "the earlier upload is gone"


async def test_without_compression_a_compressed_upload_is_not_continued(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, tmp_path: Path
) -> None:
    journal, warned = tmp_path / "upload.json", []
    await interrupted(store, target, path, options, journal)
    await published(
        store,
        target,
        path,
        options,
        journal_path=journal,
        resume=True,
        warn=lambda code, _: warned.append(code),
    )
    assert await stored_at(store, target) == BODY
    assert warned == ["upload-anew"]
    assert not store.uploads


async def test_parts_that_differ_although_the_recipe_is_the_same_are_sent_again(
    store: MemoryStore,
    target: Target,
    options: TransferOptions,
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = tmp_path / "upload.json"
    await interrupted(store, target, path, options, journal)
    monkeypatch.setattr(compressor, "_JOB_BYTES", MIB)
    entry = journal.read_bytes().replace(b"jobs of 4194304", b"jobs of 1048576")
    journal.write_bytes(entry)
    _, warned = await compressed_to(store, target, path, options, journal)
    assert plain(await stored_at(store, target)) == BODY
    assert [code for code, _ in warned] == ["upload-anew"]


@pytest.mark.parametrize("parts", [0, 1, 3])
async def test_cancelled_at_any_phase_nothing_is_left(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path, parts: int
) -> None:
    """0: while it waits for the file to grow; 1 and 3: while parts are on their way."""
    path = written(tmp_path / "growing.xva", BODY)
    growing = GrowingFile(path, anyio.Event(), poll_interval_s=0.001)
    source = FinishedFile(path) if parts else growing
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:

            async def upload() -> None:
                async with uploading(store, target, source, options, zstd=Zstd()) as session:
                    await session.stage()
                    await anyio.sleep_forever()

            tasks.start_soon(upload)
            await until(lambda: len(parts_sent(store)) >= parts)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert not store.uploads
    assert await store.head(target.key) is None


# -- the stream itself --------------------------------------------------------------------------


def compressed(body: bytes, cuts: list[int], level: int = 3) -> bytes:
    stream = Compressor(Zstd(level=level))
    out, at = bytearray(), 0
    for cut in [*sorted(cuts), len(body)]:
        out += stream.feed(memoryview(body)[at:cut])
        at = cut
    return bytes(out + stream.finish())


@settings(max_examples=15, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=2000),
            st.integers(0, 300_000).map(bytes),
            st.integers(0, 99).map(lambda seed: some_bytes(70_000, seed)),
        ),
        max_size=6,
    ),
    shares=st.lists(st.floats(0, 1), max_size=8),
    level=st.sampled_from([1, 3]),
)
def test_any_bytes_in_any_pieces_come_back_and_the_pieces_do_not_matter(
    pieces: list[bytes], shares: list[float], level: int
) -> None:
    body = b"".join(pieces)
    stored = compressed(body, [int(share * len(body)) for share in shares], level)
    assert plain(stored) == body
    assert stored == compressed(body, [], level)
    assert len(stored) <= most_bytes(len(body))


def test_the_number_of_processors_does_not_change_the_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = some_bytes(3 * MIB) + b"abc" * 3 * MIB
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    one = compressed(body, [])
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert compressed(body, [5, 4 * MIB]) == one


@pytest.mark.parametrize("level", [1, 3, 9, 15, 19])
def test_no_level_needs_a_larger_window_than_every_decoder_takes(level: int) -> None:
    frame = zstandard.get_frame_parameters(compressed(b"x" * 100, [], level))
    assert frame.window_size <= 8 * MIB
    assert frame.has_checksum
