"""An interrupted upload goes on where it was, and trusts only what is proven."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import (
    DestinationTakenError,
    SourceChangedError,
    TransientStoreError,
)
from asyncpipe.model.store import ChecksumMode
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.stores.directory.store import DirectoryStore
from asyncpipe.testing.store import MEMORY_CAPABILITIES, MemoryStore
from tests.upload.helpers import (
    MIB,
    published,
    sha256_hex,
    some_bytes,
    staged_to_be_resumed,
    written,
)

pytestmark = pytest.mark.anyio

BODY = some_bytes(6 * MIB + 31)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "image.xva", BODY)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "work" / "upload.json"


async def interrupted(
    store: MemoryStore,
    target: Target,
    options: TransferOptions,
    path: Path,
    journal: Path,
) -> None:
    """Let the fifth part fail for good."""
    store.fail("upload_part", TransientStoreError("link lost"), times=1000, part_number=5)
    with pytest.raises(TransientStoreError):
        await staged_to_be_resumed(store, target, path, options, journal)


def there(path: Path) -> bool:
    return path.exists()


def read(path: Path) -> bytes:
    return path.read_bytes()


def parts_sent(store: MemoryStore) -> list[int | None]:
    return [call.part_number for call in store.calls if call.operation == "upload_part"]


def heal(store: MemoryStore) -> None:
    store._faults.clear()
    store.calls.clear()


async def test_only_what_the_store_lacks_is_sent_again(
    store: MemoryStore,
    target: Target,
    options: TransferOptions,
    path: Path,
    journal: Path,
) -> None:
    with anyio.fail_after(20):
        await interrupted(store, target, options, path, journal)
    assert len(store.uploads) == 1
    kept = sorted(next(iter(store.uploads.values())).parts)
    heal(store)
    with anyio.fail_after(20):
        result = await published(store, target, path, options, journal_path=journal, resume=True)
    assert store.objects[target.key].body == BODY
    assert result.digests.sha256_hex == sha256_hex(BODY)
    assert not set(kept) & set(parts_sent(store))
    assert result.resumed_bytes >= 4 * MIB
    assert not store.uploads
    assert not there(journal)


@pytest.mark.parametrize(
    "mode",
    [ChecksumMode.NONE, ChecksumMode.SHA256_COMPOSITE, ChecksumMode.CONTENT_MD5],
)
@pytest.mark.parametrize("comparable", [True, False])
async def test_stores_without_crc_are_resumed_by_what_they_do_tell(
    target: Target,
    options: TransferOptions,
    path: Path,
    journal: Path,
    mode: ChecksumMode,
    comparable: bool,
) -> None:
    store = MemoryStore(
        capabilities=replace(MEMORY_CAPABILITIES, checksum=mode, comparable_etag=comparable)
    )
    with anyio.fail_after(20):
        await interrupted(store, target, options, path, journal)
        heal(store)
        result = await published(store, target, path, options, journal_path=journal, resume=True)
    assert store.objects[target.key].body == BODY
    assert result.resumed_bytes >= 4 * MIB


async def test_a_part_whose_bytes_changed_meanwhile_is_sent_again(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, journal: Path
) -> None:
    with anyio.fail_after(20):
        await interrupted(store, target, options, path, journal)
        heal(store)
        body = BODY[: MIB + 3] + b"other" + BODY[MIB + 8 :]
        await published(
            store, target, written(path, body), options, journal_path=journal, resume=True
        )
    assert store.objects[target.key].body == body
    assert 2 in parts_sent(store)
    assert 1 not in parts_sent(store)


async def test_an_upload_that_the_store_forgot_begins_anew(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, journal: Path
) -> None:
    with anyio.fail_after(20):
        await interrupted(store, target, options, path, journal)
        heal(store)
        store.uploads.clear()
        result = await published(store, target, path, options, journal_path=journal, resume=True)
    assert store.objects[target.key].body == BODY
    assert result.resumed_bytes == 0


async def test_an_upload_that_was_completed_before_the_crash_is_recognised(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, journal: Path
) -> None:
    with anyio.fail_after(20):
        await interrupted(store, target, options, path, journal)
        text = read(journal)
        heal(store)
        await published(store, target, path, options, journal_path=journal, resume=True)
        written(journal, text)  # the crash came before it was removed
        store.calls.clear()
        result = await published(store, target, path, options, journal_path=journal, resume=True)
    assert result.digests.sha256_hex == sha256_hex(BODY)
    assert parts_sent(store) == []
    assert not there(journal)


async def test_a_published_object_outlives_a_resumption_with_another_file(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, journal: Path
) -> None:
    with anyio.fail_after(20):
        await interrupted(store, target, options, path, journal)
        text = read(journal)
        heal(store)
        await published(store, target, path, options, journal_path=journal, resume=True)
        written(journal, text)
        written(path, BODY[1:])
        with pytest.raises(DestinationTakenError):
            await published(store, target, path, options, journal_path=journal, resume=True)
    assert store.objects[target.key].body == BODY


async def test_a_folder_is_a_store_that_resumes_as_well(
    target: Target, options: TransferOptions, path: Path, journal: Path, tmp_path: Path
) -> None:
    folder = DirectoryStore(tmp_path / "published")

    error = TransientStoreError("told by the caller")
    with anyio.fail_after(20):
        with pytest.raises(TransientStoreError):
            await staged_to_be_resumed(folder, target, path, options, journal, error=error)
        result = await published(folder, target, path, options, journal_path=journal, resume=True)
    assert read(tmp_path / "published" / target.key) == BODY
    assert result.resumed_bytes == len(BODY)
    assert not await folder.list_uploads("")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"format":"other"}', b'{"format":"asyncpipe-upload/1"}']
)
async def test_a_damaged_journal_means_a_new_upload(
    store: MemoryStore,
    target: Target,
    options: TransferOptions,
    path: Path,
    tmp_path: Path,
    text: bytes,
) -> None:
    journal = written(tmp_path / "upload.json", text)
    with anyio.fail_after(20):
        await published(store, target, path, options, journal_path=journal, resume=True)
    assert store.objects[target.key].body == BODY
    assert not there(journal)


async def test_a_wrong_file_keeps_nothing_for_a_resumption(
    store: MemoryStore, target: Target, options: TransferOptions, path: Path, journal: Path
) -> None:
    error = SourceChangedError("told by the caller")
    with anyio.fail_after(20), pytest.raises(SourceChangedError):
        await staged_to_be_resumed(store, target, path, options, journal, error=error)
    assert not store.uploads
    assert not there(journal)


async def test_a_part_that_another_hand_replaced_at_the_store_is_sent_again(
    target: Target, options: TransferOptions, path: Path, journal: Path
) -> None:
    capabilities = replace(MEMORY_CAPABILITIES, checksum=ChecksumMode.NONE, comparable_etag=False)
    store = MemoryStore(capabilities=capabilities)  # which tells no checksum of a part
    with anyio.fail_after(20):
        await interrupted(store, target, options, path, journal)
        heal(store)
        parts = next(iter(store.uploads.values())).parts
        part, body = parts[2]
        parts[2] = (replace(part, etag="of-other-bytes"), b"\0" * len(body))
        await published(store, target, path, options, journal_path=journal, resume=True)
    assert store.objects[target.key].body == BODY
    assert 2 in parts_sent(store)
