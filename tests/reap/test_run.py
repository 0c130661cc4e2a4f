from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncpipe import reap
from asyncpipe.errors import TransientStoreError
from asyncpipe.model.documents import run_state
from asyncpipe.model.documents.run_state import KnownRun
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.reap import Kind
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload.journal import Journal, JournalEntry

pytestmark = pytest.mark.anyio
STAMP = "20261123T170000Z"
FOLDER = f"templates/debian12/{STAMP}"
UUID = "0a1b2c3d-0000-4000-8000-0123456789ab"
QUICK = TransferOptions(abort_timeout_s=0.5)


class _Groups:
    def __init__(self, *, living: bool = False, stubborn: bool = False) -> None:
        self.living, self.stubborn = living, stubborn
        self.stopped: list[tuple[int, int]] = []
        self.output = b""

    async def find(self, marker: str) -> list[tuple[int, int]]:
        return [(4711, 99)] if self.living else []

    async def folder_of(self, pid: int, marker: str) -> str:
        return "debian"

    async def stop(
        self,
        pid: int,
        start_ticks: int,
        marker: str,
        *,
        grace_s: float,
        kill_s: float = 5.0,
        hear: Callable[[bytes], None] | None = None,
    ) -> bool:
        if hear:
            hear(self.output)
        self.stopped.append((pid, start_ticks))
        return not self.stubborn


def _run(folder: Path, **units: object) -> KnownRun:
    head = {"schema_version": 1, "run_id": "r", "timestamp": STAMP, "destination": "memory://"}
    record, unreadable = run_state.decode(json.dumps({**head, "units": units}).encode())
    return KnownRun(folder=folder, record=record, unreadable=unreadable)


async def _reap(
    run: KnownRun, store: MemoryStore, groups: _Groups | None = None, **options: Any
) -> reap.Reaped:
    return await reap.reap_run(
        run, store, groups or _Groups(), **{"dry_run": False, "options": QUICK, **options}
    )


async def test_a_killed_run_is_finished(tmp_path: Path) -> None:
    store, groups = MemoryStore(), _Groups(living=True)
    output = tmp_path / "debian" / "output"
    output.mkdir(parents=True)
    (output / "half.xva").write_bytes(b"x")
    await store.create_upload(f"{FOLDER}/debian12.xva", content_type="x/x", metadata={})
    await store.put(f"{FOLDER}/build.log", b"log", content_type="text/plain")
    unit = {
        "state": "building",
        "instance_uuids": [UUID],
        "output_directory": str(output),
        "folder_key": FOLDER,
    }
    reaped = await _reap(_run(tmp_path, debian=unit), store, groups)

    assert [f.kind for f in reaped.findings] == [
        Kind.PROCESS,
        Kind.VM,
        Kind.UPLOAD,
        Kind.FOLDER,
        Kind.FILES,
    ]
    assert groups.stopped == [(4711, 99)]
    assert not store.uploads
    assert not store.objects
    assert not output.exists()
    assert f"xe vm-uninstall force=true uuid={UUID}" in reaped.findings[1].advice
    assert "its host was not asked" in reaped.findings[1].problem
    assert reaped.left_open

    groups.living = False
    again = await _reap(_run(tmp_path, debian={**unit, "instance_uuids": []}), store, groups)
    assert again.findings == ()


async def test_what_was_published_stays(tmp_path: Path) -> None:
    store = MemoryStore()
    for name in ("debian12.xva", "build.log", "metadata.json"):
        await store.put(f"{FOLDER}/{name}", b"x", content_type="x/x")
    unit = {"state": "published", "folder_key": FOLDER, "instance_uuids": [UUID]}
    assert (await _reap(_run(tmp_path, debian=unit), store)).findings == ()
    assert len(store.objects) == 3


async def test_an_xva_that_can_be_resumed_stays_on_disk(tmp_path: Path) -> None:
    output = tmp_path / "debian" / "output"
    output.mkdir(parents=True)
    unit = {"state": "built", "output_directory": str(output), "folder_key": FOLDER}
    await _reap(_run(tmp_path, debian=unit), MemoryStore())
    assert output.exists()


async def test_uploads_of_another_run_with_the_same_timestamp_are_left_alone(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    await store.create_upload(
        f"templates/rocky9/{STAMP}/rocky9.xva", content_type="x/x", metadata={}
    )
    await _reap(_run(tmp_path, debian={"state": "building", "folder_key": FOLDER}), store)
    assert len(store.uploads) == 1


async def test_an_upload_noted_only_in_its_own_journal_is_found(tmp_path: Path) -> None:
    store = MemoryStore()
    key = f"templates/ubuntu24.04/{STAMP}/ubuntu24.04.xva"
    handle = await store.create_upload(key, content_type="x/x", metadata={})
    journal = Journal(tmp_path / "debian" / "upload.json")
    await journal.begin(
        JournalEntry(
            store_url=store.url,
            key=key,
            upload_id=handle.upload_id,
            nonce="n",
            part_size_bytes=1,
        )
    )
    reaped = await _reap(_run(tmp_path, debian={"state": "building"}), store)
    assert [f.kind for f in reaped.findings] == [Kind.UPLOAD]
    assert not store.uploads


async def test_a_forged_journal_reaches_nothing_outside_the_run(tmp_path: Path) -> None:
    store = MemoryStore()
    precious = tmp_path / "precious"
    precious.mkdir()
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "link").symlink_to(precious)
    await store.put("backup/disk.img", b"x", content_type="x/x")
    handle = await store.create_upload("backup/disk.img", content_type="x/x", metadata={})
    forged = {
        "state": "building",
        "folder_key": "backup",
        "uploads": [{"key": handle.key, "upload_id": handle.upload_id}, "nonsense"],
        "packer_pid": 1,
        "packer_started_ticks": 1,
        "instance_uuids": ["$(reboot)"],
    }
    groups = _Groups()
    reaped = await _reap(
        _run(
            run_folder,
            one={**forged, "output_directory": str(precious)},
            two={**forged, "output_directory": str(run_folder / "link")},
            three={**forged, "output_directory": str(run_folder / ".." / "precious")},
            four={**forged, "output_directory": str(run_folder)},
        ),
        store,
        groups,
    )
    assert precious.exists()
    assert run_folder.exists()
    assert list(store.objects) == ["backup/disk.img"]
    assert store.uploads
    assert groups.stopped == []
    assert not any(f.removed or f.advice for f in reaped.findings)


async def test_what_resists_is_told(tmp_path: Path) -> None:
    store = MemoryStore()
    store.fail("list_uploads", TransientStoreError("no route"), times=9)
    groups = _Groups(living=True, stubborn=True)
    reaped = await _reap(_run(tmp_path, debian={"state": "building"}), store, groups)

    assert reaped.left_open
    assert [f.problem for f in reaped.findings] == ["it does not end", "no route"]
    assert all(f.advice for f in reaped.findings)


async def test_a_dry_run_stops_and_removes_nothing(tmp_path: Path) -> None:
    store, groups = MemoryStore(), _Groups(living=True)
    await store.create_upload(f"{FOLDER}/debian12.xva", content_type="x/x", metadata={})
    unit = {
        "state": "building",
        "folder_key": FOLDER,
    }
    reaped = await _reap(_run(tmp_path, debian=unit), store, groups, dry_run=True)
    assert groups.stopped == []
    assert len(store.uploads) == 1
    assert len(reaped.findings) == 2
    assert not reaped.left_open


@pytest.mark.parametrize("entry", [None, {"uploads": 5}, {"state": "asleep"}])
async def test_a_damaged_entry_is_named_and_the_others_are_finished(
    tmp_path: Path, entry: object
) -> None:
    output = tmp_path / "whole" / "output"
    output.mkdir(parents=True)
    whole = {"state": "building", "output_directory": str(output)}
    reaped = await _reap(_run(tmp_path, damaged=entry, whole=whole), MemoryStore())
    assert not output.exists()
    assert reaped.left_open
    assert "damaged" in reaped.findings[-1].what
