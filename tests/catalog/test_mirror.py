"""Mirrors: what is visible at the target is whole, whatever interrupted them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import anyio
import msgspec
import pytest

from asyncpipe import catalog, metadata
from asyncpipe.catalog.mirror.passing import Mirrored, mirror
from asyncpipe.catalog.mirror.selection import Wanted
from asyncpipe.catalog.mirror.uploads import Way
from asyncpipe.errors import (
    ChecksumError,
    DestinationTakenError,
    UsageError,
)
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry, Filler, encode_place
from asyncpipe.model.documents.release import End, Revocation
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import MIDDLE, NEW, OLD
from tests.metadata import documents as make

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


BAD = Revocation(reason="bad", by="me", revoked_utc=None)
WRITES = {"put", "upload_part", "create_upload", "complete_upload", "delete"}


async def publish(
    store: MemoryStore,
    timestamp: str,
    *,
    short_id: str = "debian12",
    body: bytes = b"xva",
    named: bool = True,
) -> CatalogEntry:
    """Publish a version whose log has the SHA-256 that its metadata names."""
    document: dict[str, Any] = dict(
        make.published(short_id=short_id, timestamp=timestamp, body=body)
    )
    log = f"log of {timestamp}".encode()
    files = document["files"]
    files["log"] |= {"sha256_hex": hashlib.sha256(log).hexdigest(), "size_bytes": len(log)}
    entry = catalog.entry_of(metadata.published(document))
    await store.put(entry.xva.key, body, content_type="application/x-xva", metadata={"a": "b"})
    await store.put(files["log"]["key"], log, content_type="text/plain")
    body = metadata.encode(document)
    await store.put(entry.metadata_key, body, content_type="application/json")
    if named:
        await catalog.move_pointer(store, entry)
    return entry


def way(source: MemoryStore, target: MemoryStore) -> Way:
    return Way(source=source, target=target, options=TransferOptions(part_size_bytes=MIB))


async def run(source: MemoryStore, target: MemoryStore, **wanted: Any) -> Mirrored:
    prune = wanted.pop("prune", False)
    return await mirror(way(source, target), Wanted(**wanted), prune=prune)


def contents(store: MemoryStore) -> dict[str, bytes]:
    return {key: stored.body for key, stored in store.objects.items()}


async def test_a_mirror_holds_the_same_objects_and_a_second_pass_writes_nothing() -> None:
    source, target = MemoryStore(), MemoryStore()
    old = await publish(source, OLD)
    await publish(source, NEW, body=random.Random(1).randbytes(2 * MIB + 3))
    await publish(source, NEW, short_id="debian13")
    await catalog.set_channel(source, "stable", old)
    why = catalog.Why(by="me", reason="", moved_utc="2026-11-23T00:00:00Z", timestamp=NEW)
    await catalog.move_channel(source, "testing", old, why)
    done = await run(source, target)
    assert contents(target) == contents(source)
    assert (len(done.versions), done.warnings) == (3, [])
    image = target.objects[store_keys.xva_key("debian12", NEW)]
    assert (image.info.content_type, image.info.metadata["a"]) == ("application/x-xva", "b")
    del target.calls[:]
    again = await run(source, target)
    assert (again.versions, again.objects) == ([], 0)
    assert [call for call in target.calls if call.operation in WRITES] == []


class CutError(Exception):
    """The machine went away."""


class Cutting(MemoryStore):
    """Lets a number of calls through, then every call fails as a lost machine's would."""

    def __init__(self, behind: MemoryStore, left: int, operation: str = "") -> None:
        super().__init__()
        self.objects, self.uploads, self._ids = behind.objects, behind.uploads, behind._ids
        self._left, self._counted = left, operation  # "": all of them

    async def _meet(self, operation: str, key: str, part_number: int | None = None) -> Any:
        self._left -= self._counted in {"", operation}
        if self._left < 0:
            raise CutError
        return await super()._meet(operation, key, part_number)


async def _is_whole(store: MemoryStore) -> None:
    """Every version that anybody can see is there with all its bytes; names lead to such ones."""
    held = contents(store)
    for key, body in held.items():
        if key.endswith("/metadata.json"):
            for one in json.loads(body)["files"].values():
                assert hashlib.sha256(held[one["key"]]).hexdigest() == one["sha256_hex"]
        elif store_keys.parse_pointer_key(key):
            version = json.loads(body)["version"]
            assert version["metadata_key"] in held
    for entry in (await catalog.list_versions(store)).versions:
        assert entry.metadata_key in held


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.heavy)])
async def test_a_mirror_interrupted_20_times_at_random_ends_equal(count: int) -> None:
    source, target = MemoryStore(), MemoryStore()
    dice = random.Random(20261127)
    for number in range(count - 1):
        timestamp = f"202610{number % 28 + 1:02d}T{number // 28:02d}0000Z"
        place = f"debian{number % 4 + 10}"
        await publish(
            source, timestamp, short_id=place, body=b"x" * number, named=number > count - 6
        )
    await catalog.rebuild_index(source)
    big = await publish(source, NEW, body=dice.randbytes(5 * MIB))
    await catalog.set_channel(source, "stable", big)
    most = count // 7  # 20 times less than there is to do
    for _ in range(20):
        cut = Cutting(target, dice.randrange(1, most))
        with pytest.raises((CutError, ExceptionGroup)):
            await mirror(way(source, cut), Wanted())
        await _is_whole(target)
    await run(source, target)
    assert contents(target) == contents(source)
    del target.calls[:]
    await run(source, target)
    assert [call for call in target.calls if call.operation in WRITES] == []


async def test_an_interrupted_image_goes_on_with_the_parts_that_are_there() -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, NEW, body=random.Random(2).randbytes(4 * MIB))
    cut = Cutting(target, 2, "upload_part")
    with pytest.raises((CutError, ExceptionGroup)):
        await mirror(way(source, cut), Wanted())
    (upload,) = target.uploads.values()
    present = len(upload.parts)
    assert 0 < present < 4
    done = await run(source, target)
    sent = [call for call in target.calls if call.operation == "upload_part"]
    assert len(sent) == 4 - present
    assert done.copied_bytes < 4 * MIB
    assert contents(target) == contents(source)


@pytest.mark.parametrize("size_bytes", [10, 3 * MIB])
async def test_an_image_that_was_changed_at_the_source_is_refused_and_nothing_is_visible(
    size_bytes: int,
) -> None:
    source, target = MemoryStore(), MemoryStore()
    entry = await publish(source, NEW, body=bytes(size_bytes))
    stored = source.objects[entry.xva.key]
    source.objects[entry.xva.key] = replace(stored, body=b"\1" + stored.body[1:])
    with pytest.raises(ChecksumError, match="its SHA-256 is another one"):
        await run(source, target)
    assert not [key for key in target.objects if "/2026" in key and not key.endswith(".log")]
    assert not target.uploads


async def test_a_log_that_was_changed_is_refused_too() -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, NEW)
    key = f"templates/debian12/{NEW}/build.log"
    source.objects[key] = replace(source.objects[key], body=b"another")
    with pytest.raises(ChecksumError):
        await run(source, target)
    assert store_keys.latest_key("debian12") not in target.objects


async def test_revocations_travel_first_and_no_name_leads_to_a_revoked_version() -> None:
    source, target = MemoryStore(), MemoryStore()
    old, new = await publish(source, OLD), await publish(source, NEW)
    await catalog.set_channel(source, "stable", new)
    await run(source, target)
    await publish(source, "20261124T000000Z")
    await catalog.revoke(source, new, BAD)
    with pytest.raises((CutError, ExceptionGroup)):
        await run(source, Cutting(target, 1, "put"))
    assert store_keys.revoked_key("debian12", NEW) in target.objects
    done = await run(source, target)
    assert (await catalog.resolve(target, "debian12:stable")).timestamp == old.timestamp
    assert any("was left" in warning for warning in done.warnings)


async def test_the_end_of_a_version_travels_and_so_does_its_change() -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, OLD)
    new = await publish(source, NEW)
    end = End(
        expires_utc="2026-11-24T10:00:00Z", by="ann", reason="", set_utc="2026-11-23T10:00:00Z"
    )
    await catalog.set_end(source, new, end)
    await run(source, target)
    assert (await catalog.resolve(target, "debian12")).timestamp == OLD
    await catalog.set_end(source, new, msgspec.structs.replace(end, expires_utc=None))
    await run(source, target)
    assert (await catalog.resolve(target, "debian12")).timestamp == NEW


async def test_a_version_that_is_revoked_already_does_not_travel() -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, OLD)
    await catalog.revoke(source, await publish(source, NEW), BAD)
    done = await run(source, target)
    assert done.versions == [store_keys.folder_key("debian12", OLD)]
    assert (await catalog.resolve(target, "debian12")).timestamp == OLD


async def test_a_channel_alone_takes_its_versions_and_latest_names_the_newest_of_them() -> None:
    source, target = MemoryStore(), MemoryStore()
    old = await publish(source, OLD)
    await publish(source, NEW)
    await publish(source, NEW, short_id="debian13")
    await catalog.set_channel(source, "stable", old)
    await run(source, target, channel="stable")
    listing = await catalog.list_versions(target)
    assert [entry.folder_key for entry in listing.versions] == [old.folder_key]
    assert (await catalog.latest(target, "debian12")).timestamp == OLD
    assert (await catalog.resolve(target, "debian12:stable")).timestamp == OLD


@pytest.mark.parametrize("system", ["debian13", "debian", "ubuntu"])
async def test_a_system_is_named_by_its_place_its_series_or_its_family(system: str) -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, NEW)
    await publish(source, NEW, short_id="debian13")
    if system == "ubuntu":
        with pytest.raises(UsageError, match="fits"):
            await run(source, target, systems=(system,))
        return
    await run(source, target, systems=(system,))
    found = {entry.short_id for entry in (await catalog.list_versions(target)).versions}
    assert found == {one for one in ("debian12", "debian13") if one.startswith(system)}


async def test_what_the_source_does_not_have_goes_only_with_prune() -> None:
    source, target = MemoryStore(), MemoryStore()
    first = await publish(source, OLD)
    await publish(source, NEW)
    await catalog.set_channel(source, "testing", first)
    await run(source, target)
    await catalog.unset_channel(source, "debian12", "testing")
    await catalog.prune(source, await catalog.plan_pruning(source, keep=1))
    done = await run(source, target)
    assert (done.extra, done.removed) == (1, [])
    assert first.metadata_key in target.objects
    done = await run(source, target, prune=True)
    assert contents(target) == contents(source)
    assert store_keys.channel_key("debian12", "testing") in done.removed


async def test_prune_leaves_other_places_and_what_an_unreadable_pointer_may_name() -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, NEW)
    foreign = await publish(target, MIDDLE, short_id="debian13")
    mine = await publish(target, OLD)
    key = store_keys.channel_key("debian12", "odd")
    await target.put(key, b"{", content_type="application/json")
    done = await run(source, target, systems=("debian12",), prune=True)
    assert foreign.metadata_key in target.objects
    assert mine.metadata_key in target.objects
    assert any("Nothing of debian12 was removed" in warning for warning in done.warnings)


async def test_an_empty_source_removes_nothing() -> None:
    target = MemoryStore()
    await publish(target, NEW)
    before = contents(target)
    with pytest.raises(UsageError, match="fits"):
        await run(MemoryStore(), target, prune=True)
    assert contents(target) == before


async def test_a_pointer_to_a_version_of_the_targets_own_stays() -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, OLD)
    own = await publish(target, NEW)
    done = await run(source, target)
    assert (await catalog.latest(target, "debian12")).timestamp == own.timestamp
    assert any("the source does not have" in warning for warning in done.warnings)


async def test_a_place_of_another_template_is_refused_before_anything_is_copied() -> None:
    source, target = MemoryStore(), MemoryStore()
    await publish(source, NEW)
    for store, path in ((source, "templates/debian/12"), (target, "other/debian")):
        filler = Filler(repository="example.org/it", path=path)
        body = encode_place(filler, OLD)
        await store.put(store_keys.place_key("debian12"), body, content_type="application/json")
    with pytest.raises(DestinationTakenError, match="another template"):
        await run(source, target)
    assert list(target.objects) == [store_keys.place_key("debian12")]


async def test_a_version_that_vanishes_at_the_source_meanwhile_is_left_out() -> None:
    class Vanishing(MemoryStore):
        is_mirrored = False

        def list(self, prefix: str) -> AsyncIterator[Any]:
            return self._then_gone(super().list(prefix), prefix)

        async def _then_gone(self, listing: AsyncIterator[Any], prefix: str) -> AsyncIterator[Any]:
            found = [info async for info in listing]
            if self.is_mirrored and prefix == "templates/":
                self.objects.pop(f"templates/debian12/{OLD}/metadata.json", None)
            for info in found:
                yield info

    source, target = Vanishing(), MemoryStore()
    await publish(source, OLD)
    await publish(source, NEW)
    source.is_mirrored = True
    done = await run(source, target)
    assert done.versions == [store_keys.folder_key("debian12", NEW)]
    assert any("went away" in warning for warning in done.warnings)
    await anyio.lowlevel.checkpoint()
    await _is_whole(target)
