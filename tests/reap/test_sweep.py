from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asyncpipe import reap
from asyncpipe.errors import AccessDeniedError, UploadError
from asyncpipe.model.documents.catalog import encode_pointer
from asyncpipe.model.store import StoredBytes, UploadHandle
from asyncpipe.model.store_keys import PROBE_ROOT
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.reap import Kind
from asyncpipe.testing.store import MemoryStore
from tests.catalog.published import put_version

pytestmark = pytest.mark.anyio
BOUND = datetime(2026, 11, 22, tzinfo=UTC)
OLD, YOUNG = "2026-11-01T00:00:00Z", "2026-11-23T00:00:00Z"
XVA = "templates/debian12/20261101T000000Z/debian12.xva"
QUICK = TransferOptions(abort_timeout_s=0.5)


async def _begin(store: MemoryStore, key: str, begun_utc: str) -> UploadHandle:
    handle = await store.create_upload(key, content_type="x/x", metadata={})
    store.uploads[handle.upload_id].initiated_utc = begun_utc
    return handle


async def _put(store: MemoryStore, key: str, touched_utc: str = OLD, body: bytes = b"x") -> None:
    await store.put(key, body, content_type="x/x")
    stored = store.objects[key]
    store.objects[key] = StoredBytes(
        info=replace(stored.info, modified_utc=touched_utc), body=stored.body
    )


async def _sweep(store: MemoryStore, *, dry_run: bool = False) -> reap.Reaped:
    return await reap.sweep(store, before_utc=BOUND, dry_run=dry_run, options=QUICK)


async def test_old_uploads_of_ours_are_aborted_and_all_others_stay() -> None:
    store = MemoryStore()
    await _begin(store, XVA, OLD)
    await _begin(store, "failed/debian-12/20261101T000000Z/build.log", OLD)
    kept = [
        await _begin(store, XVA, YOUNG),
        await _begin(store, "templates/debian12/something-of-others.bin", OLD),
        await _begin(store, "backup/20261101T000000Z/disk.img", OLD),
    ]
    reaped = await _sweep(store)

    assert [finding.removed for finding in reaped.findings] == [True, True]
    assert set(store.uploads) == {handle.upload_id for handle in kept}
    assert not reaped.left_open


async def test_what_a_killed_probe_left_goes_and_a_probe_under_way_stays() -> None:
    store = MemoryStore()
    await _begin(store, f"{PROBE_ROOT}1234", OLD)
    await _put(store, f"{PROBE_ROOT}1234", OLD)
    young = await _begin(store, f"{PROBE_ROOT}5678", YOUNG)
    await _put(store, f"{PROBE_ROOT}5678", YOUNG)
    reaped = await _sweep(store)

    assert [finding.removed for finding in reaped.findings] == [True, True]
    assert set(store.uploads) == {young.upload_id}
    assert set(store.objects) == {f"{PROBE_ROOT}5678"}


async def test_a_store_that_tells_no_time_is_judged_by_the_key() -> None:
    store = MemoryStore()
    await _begin(store, XVA, "")
    await _begin(store, XVA.replace("20261101", "20261123"), "")
    assert len((await _sweep(store)).findings) == 1


async def test_an_upload_that_cannot_be_aborted_is_told_with_what_to_do() -> None:
    store = MemoryStore()
    await _begin(store, XVA, OLD)
    store.fail("abort_upload", AccessDeniedError("no right to abort"), times=1000)
    reaped = await _sweep(store)

    assert reaped.left_open
    assert "no right to abort" in reaped.findings[0].problem
    assert reaped.findings[0].advice


async def test_half_published_folders_go_and_whole_young_or_named_ones_stay() -> None:
    store = MemoryStore()
    half = "templates/debian12/20261101T000000Z"
    whole = "templates/debian12/20261102T000000Z"
    young = "templates/debian12/20261123T000000Z"
    named = "templates/rocky9/20261101T000000Z"
    await _put(store, f"{half}/debian12.xva")
    await _put(store, f"{half}/build.log")
    await _put(store, f"{whole}/debian12.xva")
    await _put(store, f"{whole}/metadata.json")
    await _put(store, f"{young}/debian12.xva", YOUNG)
    await _put(store, f"{named}/rocky9.xva")
    await _put(store, "templates/rocky9/channels/stable.json", body=f'"{named}"'.encode())
    await _put(store, "failed/alpine/20261101T000000Z/build.log")
    again = "failed/alpine/20261102T000000Z"
    await _put(store, f"{again}/build-2.log")
    await _put(store, f"{again}/metadata-2.json")
    await _put(store, "templates/readme.txt")

    reaped = await _sweep(store)

    assert [finding.kind for finding in reaped.findings] == [Kind.FOLDER, Kind.FOLDER]
    assert all(finding.removed for finding in reaped.findings)
    assert set(store.objects) == {
        f"{whole}/debian12.xva",
        f"{whole}/metadata.json",
        f"{young}/debian12.xva",
        f"{named}/rocky9.xva",
        f"{again}/build-2.log",
        f"{again}/metadata-2.json",
        "templates/readme.txt",
        "templates/rocky9/channels/stable.json",
    }


async def test_a_place_in_which_nothing_is_left_is_free_again() -> None:
    store = MemoryStore()
    whole = "templates/debian12/20261102T000000Z"
    for name in ("debian12", "debian12-web"):
        await _put(store, f"templates/{name}/place.json")
        await _put(store, f"templates/{name}/20261101T000000Z/claim.json")  # of a killed run
    await _put(store, f"{whole}/debian12.xva")
    await _put(store, f"{whole}/metadata.json")
    await _sweep(store, dry_run=True)
    assert len(store.objects) == 6
    await _sweep(store)
    assert set(store.objects) == {
        "templates/debian12/place.json",
        f"{whole}/debian12.xva",
        f"{whole}/metadata.json",
    }


@pytest.mark.parametrize("body", [b"?", b"{}", b" " * (2 << 20)])
async def test_a_pointer_that_cannot_be_read_saves_every_folder_of_its_template(
    body: bytes,
) -> None:
    store = MemoryStore()
    await _put(store, "templates/debian12/20261101T000000Z/debian12.xva")
    await _put(store, "templates/rocky9/20261101T000000Z/rocky9.xva")
    await _put(store, "templates/debian12/latest.json", body=body)
    reaped = await _sweep(store)
    assert "templates/debian12/20261101T000000Z/debian12.xva" in store.objects
    assert "templates/rocky9/20261101T000000Z/rocky9.xva" not in store.objects
    assert any("debian12/latest.json" in warning for warning in reaped.warnings)


async def test_a_folder_named_with_escapes_is_named_all_the_same() -> None:
    store = MemoryStore()
    entry = await put_version(store, "20261101T000000Z")
    await store.delete(entry.metadata_key)
    for key, stored in list(store.objects.items()):
        store.objects[key] = replace(stored, info=replace(stored.info, modified_utc=OLD))
    channel = encode_pointer(entry).replace(b"/", b"\\/").replace(b"debian", b"deb\\u0069an")
    await _put(store, "templates/debian12/channels/stable.json", body=channel)
    assert (await _sweep(store)).findings == ()


async def test_the_claim_of_a_run_that_was_killed_after_it_had_published_goes() -> None:
    store = MemoryStore()
    for stamp, touched_utc in (("20261101T000000Z", OLD), ("20261123T000000Z", YOUNG)):
        for name in ("debian12.xva", "metadata.json", "claim.json"):
            await _put(store, f"templates/debian12/{stamp}/{name}", touched_utc)
    reaped = await _sweep(store)
    assert [(one.kind, one.removed) for one in reaped.findings] == [(Kind.CLAIM, True)]
    assert len(store.objects) == 5
    assert "templates/debian12/20261101T000000Z/claim.json" not in store.objects


async def test_a_dry_run_changes_nothing() -> None:
    store = MemoryStore()
    await _begin(store, XVA, OLD)
    await _put(store, "templates/debian12/20261102T000000Z/debian12.xva")
    reaped = await _sweep(store, dry_run=True)

    assert len(reaped.findings) == 2
    assert not any(finding.removed for finding in reaped.findings)
    assert not reaped.left_open
    assert len(store.uploads) == len(store.objects) == 1


async def test_a_folder_that_cannot_be_removed_is_told_and_the_rest_goes_on() -> None:
    store = MemoryStore()
    await _put(store, "templates/a1/20261102T000000Z/a1.xva")
    await _put(store, "templates/b1/20261102T000000Z/b1.xva")
    store.fail("delete", AccessDeniedError("locked"))
    reaped = await _sweep(store)
    assert [bool(finding.problem) for finding in reaped.findings] == [True, False]
    assert reaped.left_open


class _Ruled(MemoryStore):
    def __init__(self, days: int | UploadError | None) -> None:
        super().__init__()
        self.days = days

    async def abort_rule_days(self) -> int | None:
        if isinstance(self.days, UploadError):
            raise self.days
        return self.days


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (None, "no lifecycle rule"),
        (7, ""),
        (UploadError("Rules cannot be read."), "Rules cannot"),
    ],
)
async def test_the_lifecycle_rule_is_looked_for(
    days: int | UploadError | None, expected: str
) -> None:
    warnings = (await _sweep(_Ruled(days))).warnings
    assert expected in "".join(warnings)
    assert bool(warnings) == bool(expected)
