"""The journal survives what a crash leaves of it."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.upload.journal import (
    Journal,
    JournalEntry,
    JournalPart,
    decoded,
    encoded,
    read_journal,
)
from tests.upload.helpers import written

CLOCK = ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0.05)})
TEXTS = st.text(max_size=20)
PARTS = st.builds(
    JournalPart, size_bytes=st.integers(1, 1 << 40), etag=TEXTS, crc64nvme_base64=TEXTS
)
ENTRIES = st.builds(
    JournalEntry,
    store_url=TEXTS,
    key=TEXTS,
    upload_id=TEXTS,
    nonce=TEXTS,
    part_size_bytes=st.integers(1, 1 << 40),
    parts=st.dictionaries(st.integers(1, 10_000), PARTS, max_size=5),
)
ENTRY = JournalEntry(
    store_url="s3://bucket/",
    key="image.xva",
    upload_id="upload-1",
    nonce="0" * 32,
    part_size_bytes=1,
)
PART = JournalPart(size_bytes=1, etag="e", crc64nvme_base64="c")


@given(entry=ENTRIES)
def test_what_is_written_is_what_is_read(entry: JournalEntry) -> None:
    assert decoded(encoded(entry)) == entry


@given(entry=ENTRIES, cut=st.integers(0, 200), tail=st.binary(max_size=4))
def test_a_torn_journal_is_no_journal(entry: JournalEntry, cut: int, tail: bytes) -> None:
    whole = encoded(entry)
    torn = whole[: min(cut, len(whole) - 1)] + tail
    assert decoded(torn) in {None, entry} if torn == whole else decoded(torn) is None


@pytest.mark.parametrize(
    "change",
    [
        {"part_size_bytes": 0},
        {"part_size_bytes": "1"},
        {"upload_id": 7},
        {"unknown": 1},
        {"parts": {"x": {}}},
        {"parts": {"1": {"size_bytes": -1, "etag": "", "crc64nvme_base64": ""}}},
        {"parts": {"1": {"size_bytes": 1, "etag": "", "crc64nvme_base64": "", "unknown": 1}}},
        {"format": "asyncpipe-upload/2"},
    ],
    ids=str,
)
def test_a_journal_that_makes_no_sense_is_no_journal(change: dict[str, object]) -> None:
    document = json.loads(encoded(ENTRY)) | change
    assert decoded(json.dumps(document).encode()) is None


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [CLOCK], ids=["virtual-clock"])
async def test_parts_are_written_in_rounds_not_one_by_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "work" / "upload.json")
    await journal.begin(ENTRY)
    writes: list[int] = []
    write = journal.write

    async def counted() -> None:
        writes.append(1)
        await write()

    journal.write = counted  # type: ignore[method-assign]  # to see when the disk is used
    async with anyio.create_task_group() as group:
        group.start_soon(journal.keep)
        for number in range(1, 21):
            journal.note(number, PART)
            await anyio.sleep(0.5)
        await anyio.sleep(2)
        group.cancel_scope.cancel()
    entry = await read_journal(journal.path)
    assert entry is not None
    assert set(entry.parts) == set(range(1, 21))
    assert len(writes) <= 13


@pytest.mark.anyio
async def test_a_missing_or_foreign_file_is_no_journal(tmp_path: Path) -> None:
    assert await read_journal(tmp_path / "none.json") is None
    assert await read_journal(tmp_path) is None
    assert await read_journal(written(tmp_path / "other", b"\x00\xff")) is None
