from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.errors import (
    AccessDeniedError,
    BucketMissingError,
    ChecksumError,
    ConflictError,
    DestinationTakenError,
    ObjectMissingError,
    ObjectTooLargeError,
    UploadError,
    UploadMissingError,
    UsageError,
)
from asyncpipe.stores.directory.store import DirectoryStore
from tests.stores.contract import ObjectStoreContract
from tests.stores.helpers import TEXT, XVA, complete, digests_of, payload, send

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "published")


def seen_in(root: Path) -> list[str]:
    """Every file a reader of the folder meets, hidden work aside."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != ".asyncpipe-uploads")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestDirectoryStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> DirectoryStore:
        return DirectoryStore(tmp_path / "published")


async def test_a_published_folder_holds_the_objects_and_nothing_else(
    store: DirectoryStore, tmp_path: Path
) -> None:
    handle = await store.create_upload("t/1/x.xva", content_type=XVA, metadata={"nonce": "n"})
    parts = await send(store, handle, [b"abc", b"de"])
    assert seen_in(tmp_path / "published") == []
    await complete(store, handle, parts, [b"abc", b"de"], create_only=True)
    await store.put("t/1/metadata.json", b"{}", content_type="application/json", create_only=True)
    assert names_in(tmp_path / "published" / "t" / "1") == ["metadata.json", "x.xva"]
    assert handle.upload_id not in names_in(tmp_path / "published" / ".asyncpipe-uploads")


async def test_files_are_readable_as_the_umask_allows(
    store: DirectoryStore, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        await store.put("a", b"x", content_type=TEXT)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "published" / "a").stat().st_mode) == 0o640


async def test_equal_parts_are_published_without_a_second_copy(
    store: DirectoryStore, tmp_path: Path
) -> None:
    handle = await store.create_upload("x", content_type=XVA, metadata={})
    bodies = [payload(1000, 1), payload(1000, 2), payload(10, 3)]
    parts = await send(store, handle, bodies)
    data = tmp_path / "published" / ".asyncpipe-uploads" / handle.upload_id / "data"
    inode = data.stat().st_ino
    await complete(store, handle, parts, bodies, create_only=True)
    assert (tmp_path / "published" / "x").stat().st_ino == inode


async def test_an_upload_goes_on_in_another_process_with_the_parts_that_are_whole(
    store: DirectoryStore, tmp_path: Path
) -> None:
    bodies = [payload(1000, 1), payload(1000, 2), payload(10, 3)]
    handle = await store.create_upload("x", content_type=XVA, metadata={"nonce": "n"})
    await send(store, handle, bodies, order=(1, 2))
    data = tmp_path / "published" / ".asyncpipe-uploads" / handle.upload_id / "data"
    with data.open("r+b") as file:  # what a power loss leaves: a journal entry, other bytes
        file.seek(1500)
        file.write(b"\x00")
    later = DirectoryStore(tmp_path / "published")
    [upload] = await later.list_uploads("")
    assert [part.number for part in await later.list_parts(upload.handle)] == [1]
    await send(later, upload.handle, bodies, order=(2, 3))
    info = await complete(later, upload.handle, await later.list_parts(handle), bodies)
    assert dict(info.metadata) == {"nonce": "n"}
    assert (tmp_path / "published" / "x").read_bytes() == b"".join(bodies)


async def test_a_complete_cut_after_the_link_can_be_repeated_but_not_written_to(
    store: DirectoryStore, tmp_path: Path
) -> None:
    handle = await store.create_upload("x", content_type=XVA, metadata={"nonce": "n"})
    parts = await send(store, handle, [b"abc"])
    data = tmp_path / "published" / ".asyncpipe-uploads" / handle.upload_id / "data"
    (tmp_path / "published" / "x").hardlink_to(data)
    with pytest.raises(UploadMissingError):
        await store.upload_part(handle, 1, memoryview(b"XXX"), digests_of(store, b"XXX"))
    assert (tmp_path / "published" / "x").read_bytes() == b"abc"
    # the refused part took its journal entry along: the object stands, the rest is for reap
    await store.abort_upload(handle)
    assert (tmp_path / "published" / "x").read_bytes() == b"abc"
    assert parts[0].size_bytes == 3


async def test_repeating_a_complete_that_was_cut_after_the_link_succeeds(
    store: DirectoryStore, tmp_path: Path
) -> None:
    handle = await store.create_upload("x", content_type=XVA, metadata={"nonce": "n"})
    parts = await send(store, handle, [b"abc"])
    data = tmp_path / "published" / ".asyncpipe-uploads" / handle.upload_id / "data"
    (tmp_path / "published" / "x").hardlink_to(data)
    info = await complete(store, handle, parts, [b"abc"], create_only=True)
    assert dict(info.metadata) == {"nonce": "n"}
    assert await store.list_uploads("") == []


async def test_bytes_that_change_between_digest_and_disk_are_refused(
    store: DirectoryStore,
) -> None:
    handle = await store.create_upload("x", content_type=XVA, metadata={})
    with pytest.raises(ChecksumError):
        await store.upload_part(handle, 1, memoryview(b"abd"), digests_of(store, b"abc"))


@pytest.mark.parametrize("sizes", [(1000, 1000, 10), (1000, 1010, 5)], ids=["in-place", "joined"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_byte_that_changes_on_disk_before_complete_makes_nothing_visible(
    store: DirectoryStore, tmp_path: Path, sizes: tuple[int, ...], number: int
) -> None:
    bodies = [payload(size, seed) for seed, size in enumerate(sizes)]
    handle = await store.create_upload("x", content_type=XVA, metadata={})
    parts = await send(store, handle, bodies)
    flip_stored_byte(tmp_path / "published/.asyncpipe-uploads" / handle.upload_id, bodies, number)
    with pytest.raises(ChecksumError, match="not those that were written") as caught:
        await complete(store, handle, parts, bodies, create_only=True)
    assert caught.value.exit_code == 41
    assert seen_in(tmp_path / "published") == []
    # a resumed upload finds the damaged part and sends it again
    whole = [part.number for part in await store.list_parts(handle)]
    assert whole == [other for other in (1, 2, 3) if other != number]
    await send(store, handle, bodies, order=(number,))
    await complete(store, handle, await store.list_parts(handle), bodies, create_only=True)
    assert (tmp_path / "published" / "x").read_bytes() == b"".join(bodies)


def flip_stored_byte(folder: Path, bodies: list[bytes], number: int) -> None:
    """Change the middle byte of a part where it lies: in place, or in a file of its own."""
    middle = len(bodies[number - 1]) // 2
    path, at = folder / f"part-{number:05d}.data", middle
    if not path.exists():
        path, at = folder / "data", (number - 1) * len(bodies[0]) + middle
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)[0]
        file.seek(at)
        file.write(bytes([old ^ 1]))


async def test_a_file_changed_by_hand_loses_its_metadata_and_its_etag(
    store: DirectoryStore, tmp_path: Path
) -> None:
    before = await store.put("x", b"abc", content_type=TEXT, metadata={"nonce": "n"})
    path = tmp_path / "published" / "x"
    path.write_bytes(b"abcd")
    after = await store.head("x")
    assert after is not None
    assert (dict(after.metadata), after.crc64nvme_base64) == ({}, None)
    with pytest.raises(ConflictError):
        await store.put("x", b"e", content_type=TEXT, if_match=before.etag)


async def test_racing_creators_have_one_winner(store: DirectoryStore) -> None:
    outcomes: list[str] = []

    async def create(body: bytes) -> None:
        try:
            await store.put("x", body, content_type=TEXT, create_only=True)
            outcomes.append("won")
        except DestinationTakenError:
            outcomes.append("lost")

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(16):
                tasks.start_soon(create, str(number).encode())
    assert sorted(outcomes) == ["lost"] * 15 + ["won"]


async def test_racing_swappers_lose_no_update(store: DirectoryStore) -> None:
    await store.put("n", b"0", content_type=TEXT)

    async def increment() -> None:
        while True:
            stored = await store.get("n", max_bytes=10)
            try:
                await store.put(
                    "n",
                    str(int(stored.body) + 1).encode(),
                    content_type=TEXT,
                    if_match=stored.info.etag,
                )
            except ConflictError:
                continue
            return

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(increment)
    assert (await store.get("n", max_bytes=10)).body == b"8"


async def test_a_symbolic_link_out_of_the_root_is_not_followed(
    store: DirectoryStore, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AccessDeniedError):
        await store.put("out/x", b"x", content_type=TEXT)
    assert names_in(tmp_path / "elsewhere") == []


async def test_a_file_in_the_place_of_the_folder_is_told(
    store: DirectoryStore, tmp_path: Path
) -> None:
    (tmp_path / "published").write_text("a file")
    with pytest.raises(BucketMissingError) as caught:
        await store.probe()
    assert caught.value.exit_code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_cannot_be_written_is_access_denied(
    store: DirectoryStore, tmp_path: Path
) -> None:
    (tmp_path / "published").mkdir(mode=0o500)
    with pytest.raises(AccessDeniedError):
        await store.probe()


async def test_a_file_system_without_hard_links_is_told(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(UploadError, match="hard links") as caught:
        await store.probe()
    assert not isinstance(caught.value, AccessDeniedError)
    assert seen_in(tmp_path / "published") == []


async def test_looking_needs_no_right_to_write_and_makes_nothing(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "published"
    assert [info.key async for info in store.list("")] == []
    with pytest.raises(ObjectMissingError):
        await store.get("a.json", max_bytes=10)
    assert not root.exists()

    await store.put("a.json", b"{}", content_type="application/json")
    really_open = os.open

    def only_for_reading(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return really_open(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", only_for_reading)
    assert (await store.get("a.json", max_bytes=10)).body == b"{}"
    assert await store.remains(datetime.now(UTC)) == []
    with pytest.raises(AccessDeniedError):
        await store.put("b.json", b"{}", content_type="application/json")


async def test_probes_leave_nothing_and_harm_no_one_who_begins_at_the_same_time(
    tmp_path: Path,
) -> None:
    root = tmp_path / "not" / "there"
    await DirectoryStore(root).probe()
    assert names_in(tmp_path) == []

    async def probe() -> None:
        for _ in range(10):
            await DirectoryStore(root).probe()

    async def publish(number: int) -> None:
        for turn in range(10):
            store, key = DirectoryStore(root), f"t/{number}/{turn}"
            await store.put(key, b"x", content_type=TEXT, create_only=True)
            await store.delete(key)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(probe)
                tasks.start_soon(publish, number)
    assert seen_in(root) == []


async def test_many_objects_are_read_at_once_and_what_is_wrong_with_one_stands_in_its_place(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, body in {"a/1": b"one", "a/2": b"two", "b": b"12345"}.items():
        await store.put(key, body, content_type=TEXT)
    keys = ["a/2", "a/none", "none/1", "b", "a/1"]
    first, absent, neither, large, last = await store.get_many(keys, max_bytes=4)
    assert (first, last) == (b"two", b"one")
    assert isinstance(absent, ObjectMissingError)
    assert isinstance(neither, ObjectMissingError)
    assert isinstance(large, ObjectTooLargeError)

    monkeypatch.setattr("asyncpipe.stores.directory.looking._MANY_BYTES", 5)
    assert list(await store.get_many(["b", "a/1"], max_bytes=9)) == [b"12345"]
    assert list(await store.get_many(["a/1", "b", "a/2"], max_bytes=9)) == [b"one", b"12345"]


async def test_reading_many_follows_a_link_to_a_folder_of_the_root_only(
    store: DirectoryStore, tmp_path: Path
) -> None:
    await store.put("real/1", b"here", content_type=TEXT)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/1").write_text("secret")
    (tmp_path / "published/within").symlink_to("real")
    (tmp_path / "published/out").symlink_to(tmp_path / "elsewhere")
    assert list(await store.get_many(["within/1"], max_bytes=9)) == [b"here"]
    with pytest.raises(AccessDeniedError, match="symbolic link"):
        await store.get_many(["real/1", "out/1"], max_bytes=9)
    with pytest.raises(UsageError):
        await store.get_many(["../elsewhere/1"], max_bytes=9)
    assert [info.key async for info in store.list("out/")] == []
    assert [info.key async for info in store.list("../elsewhere/")] == []
