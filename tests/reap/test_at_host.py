"""What a run left at its host goes; what is somebody else's, or wanted, stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asyncpipe.errors import HostUnreachableError, UsageError
from asyncpipe.model.documents.run_state import KnownRun, RunRecord, UnitRecord, UnitState
from asyncpipe.model.host import Mark
from asyncpipe.reap import Finding, Kind, at_host
from asyncpipe.testing.pool import FakePool
from asyncpipe.text.format import timestamp_of

pytestmark = pytest.mark.anyio
RUN = "20261123T170000Z-0a1b2c3d"
OURS = Mark(run_id=RUN, unit="debian")
THEIRS = Mark(run_id="20261123T170000Z-ffffffff", unit="debian")


def _run(folder: Path, **unit: Any) -> KnownRun:
    record = UnitRecord(**{"state": UnitState.BUILDING, "host": "pool.example", **unit})
    known = RunRecord(
        run_id=RUN, timestamp="20261123T170000Z", destination="x", units={"debian": record}
    )
    return KnownRun(folder=folder, record=known)


async def _clean(
    run: KnownRun, pool: FakePool, *said: bytes, dry_run: bool = False
) -> list[Finding]:
    @asynccontextmanager
    async def open_host(address: str) -> AsyncIterator[FakePool]:
        assert address == "pool.example"
        yield pool

    words = {"debian": b"".join(said)}
    return await at_host.clean(run, words, open_host, dry_run=dry_run)


async def test_what_the_run_marked_goes_with_its_disks(tmp_path: Path) -> None:
    pool = FakePool()
    pool.add_vm("debian", mark=OURS)
    pool.add_vdi("debian.iso", mark=OURS, is_iso=True)
    theirs = pool.add_vm("debian", mark=THEIRS)
    plain = pool.add_vm("production")
    found = await _clean(_run(tmp_path), pool)
    assert [one.kind for one in found] == [Kind.VM, Kind.VDI]
    assert all(one.removed for one in found)
    assert set(pool.machines) == {theirs, plain}
    assert await _clean(_run(tmp_path), pool) == []


async def test_what_only_the_journal_names_goes_unless_it_is_another_runs(tmp_path: Path) -> None:
    pool = FakePool()
    ours = pool.add_vm("debian")
    theirs = pool.add_vm("debian", mark=THEIRS)
    await _clean(_run(tmp_path, instance_uuids=(ours, theirs)), pool)
    assert set(pool.machines) == {theirs}


async def test_what_only_the_log_or_packers_last_words_name_goes(tmp_path: Path) -> None:
    pool = FakePool()
    logged, said = pool.add_vm("a"), pool.add_vm("b")
    line = "==> xenserver-iso.x: Created instance '{}'\n"
    for name in ("rocky", "debian"):
        (tmp_path / name).mkdir()
    stamp = "2026-11-23T17:12:59.123Z "
    (tmp_path / "rocky/build.log").write_text(stamp + line.format(logged))
    begun = "==> xenserver-iso.x: Step: Create Instance\n"
    (tmp_path / "debian/build.log").write_text(stamp + begun)
    await _clean(_run(tmp_path), pool, line.format(said).encode())
    assert pool.machines == {}


async def test_an_image_whose_upload_the_log_did_not_see_goes(tmp_path: Path) -> None:
    pool = FakePool()
    image = pool.add_vdi("x.iso", is_iso=True)
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/build.log").write_text("==> x.d: Step: Upload VDI 'x.iso'\n")
    await _clean(_run(tmp_path), pool, f"==> x.d: PUT 'https://h/i?vdi={image}'\n".encode())
    assert pool.disks == {}


async def test_what_packers_own_log_alone_names_goes_and_no_guest_can_forge_it(
    tmp_path: Path,
) -> None:
    pool = FakePool()
    image, precious = pool.add_vdi("x.iso", is_iso=True), pool.add_vdi("precious.iso", is_iso=True)
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/build.log").write_text("==> x.d: Step: Upload VDI 'x.iso'\n")
    log = "2026/11/23 17:12:56 ui: ==> x.d: {}\n"
    (tmp_path / "debian/packer.log").write_text(
        "2026/11/23 17:12:55 [INFO] Packer version: 1.16.0\n"
        + log.format("Step: Upload VDI 'x.iso'")
        + log.format(f"PUT 'https://h/i?session_id=OpaqueRef:1&vdi={image}'")
        + log.format("Step: Create Instance")
        + log.format("Step: Start VM Paused")
        + log.format("Step: Upload VDI 'y.iso'")
        + log.format(f"PUT 'https://h/i?vdi={precious}'")
    )
    found = await _clean(_run(tmp_path), pool)
    assert [one.removed for one in found] == [True]
    assert set(pool.disks) == {precious}


async def test_an_image_of_which_nothing_tells_whether_it_is_ours_is_named_and_stays(
    tmp_path: Path,
) -> None:
    pool = FakePool()
    image = pool.add_vdi("x.iso", is_iso=True)
    pool.add_vdi("x.iso", is_iso=True, mark=THEIRS)
    pool.add_vdi("x.iso", is_iso=True, used_by=("somebody",))
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/build.log").write_text("==> x.d: Step: Upload VDI 'x.iso'\n")
    for dry_run in (True, False):
        (found,) = await _clean(_run(tmp_path), pool, dry_run=dry_run)
        assert (found.removed, found.advice) == (False, f"xe vdi-destroy uuid={image}")
        assert "this run began to upload an image of that name" in found.problem
    assert len(pool.disks) == 3


async def test_a_vm_that_nothing_names_is_known_by_the_runs_id_in_its_name(tmp_path: Path) -> None:
    pool = FakePool()
    pool.add_vm(f"debian12-{RUN}")
    imported = pool.add_vm(f"debian12-{RUN}")
    pool.machines[imported].other_config["import_task"] = "OpaqueRef:1"  # type: ignore[index]
    pool.add_vdi(f"debian12-{RUN}")
    found = await _clean(_run(tmp_path, disk_names=(f"debian12-{RUN}",)), pool)
    assert len(found) == 2
    assert set(pool.machines) == {imported}


async def test_a_guest_cannot_name_somebody_elses_machine(tmp_path: Path) -> None:
    pool = FakePool()
    precious = pool.add_vm("production")
    (tmp_path / "debian").mkdir()
    log = "==> xenserver-iso.x: Step: Start VM Paused\n"
    (tmp_path / "debian/build.log").write_text(log)
    forged = f"==> xenserver-iso.x: Created instance '{precious}'\n"
    await _clean(_run(tmp_path), pool, forged.encode())
    assert precious in pool.machines


async def test_a_forged_journal_names_nothing_but_uuids(tmp_path: Path) -> None:
    pool = FakePool()
    run = _run(tmp_path, instance_uuids=("$(reboot)",), vdis=("../x",), disk_names=("",))
    assert await _clean(run, pool) == []


async def test_what_is_kept_for_a_person_stays_until_its_time_has_passed(tmp_path: Path) -> None:
    pool = FakePool()
    until = timestamp_of(datetime.now(UTC) + timedelta(hours=1))
    kept = pool.add_vm("debian", mark=Mark(run_id=RUN, unit="debian", keep_until_utc=until))
    pool.add_vm("debian", mark=Mark(run_id=RUN, unit="debian", keep_until_utc="20200101T000000Z"))
    run = _run(tmp_path, clean_up="kept", keep_until_utc=until)
    found = await _clean(run, pool)
    assert set(pool.machines) == {kept}
    assert [one.problem for one in found] == ["", ""]
    assert f"kept until {until}" in found[0].what + found[1].what


async def test_a_vm_that_the_template_keeps_is_not_touched(tmp_path: Path) -> None:
    pool = FakePool()
    kept = pool.add_vm("debian", mark=OURS)
    assert await _clean(_run(tmp_path, clean_up="kept", instance_uuids=(kept,)), pool) == []
    assert kept in pool.machines


async def test_what_cannot_be_removed_is_named_with_its_command(tmp_path: Path) -> None:
    pool = FakePool()
    uuid = pool.add_vm("debian", mark=OURS)
    pool.refuse(uuid, "it is protected")
    (vm, disk) = await _clean(_run(tmp_path), pool)
    assert (vm.removed, vm.problem) == (False, "it is protected")
    assert vm.advice == f"xe vm-destroy uuid={uuid}"
    assert disk.problem == "its VM remains"


@pytest.mark.parametrize(
    "error", [HostUnreachableError("no answer"), UsageError("There is no password for the host.")]
)
async def test_a_host_that_cannot_be_asked_counts_as_left(tmp_path: Path, error: Exception) -> None:
    def open_host(address: str) -> Any:
        raise error

    uuid = "0a1b2c3d-0000-4000-8000-0123456789ab"
    (found,) = await at_host.clean(
        _run(tmp_path, instance_uuids=(uuid,)), {}, open_host, dry_run=False
    )
    assert str(error) in found.problem
    assert uuid in found.advice


async def test_a_dry_run_removes_nothing_and_shows_a_vm_with_the_size_of_its_disks(
    tmp_path: Path,
) -> None:
    pool = FakePool()
    vm = pool.add_vm("debian", mark=OURS, disk_bytes=(3 * 1024, 5 * 1024))
    image = pool.add_vdi("debian.iso", mark=OURS, is_iso=True, size_bytes=7)
    found = await _clean(_run(tmp_path), pool, dry_run=True)
    assert [(one.removable, one.size_bytes) for one in found] == [(True, 8 * 1024), (True, 7)]
    assert [uuid in one.what for uuid, one in zip((vm, image), found, strict=True)] == [True, True]
    assert len(pool.machines) == 1


async def test_a_dry_run_does_not_promise_to_remove_what_is_kept(tmp_path: Path) -> None:
    pool = FakePool()
    until = timestamp_of(datetime.now(UTC) + timedelta(hours=1))
    pool.add_vm("debian", mark=Mark(run_id=RUN, unit="debian", keep_until_utc=until))
    (found,) = await _clean(_run(tmp_path), pool, dry_run=True)
    assert not found.removable
    assert f"kept until {until}" in found.what
