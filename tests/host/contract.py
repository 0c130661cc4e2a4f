"""What every ``Pool`` promises; run by the shipped fake and by the real client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import pytest

from asyncpipe.errors import HostMissingError, NotOursError
from asyncpipe.model.host import Mark, Proof
from asyncpipe.ports import Pool

GIB = 1024**3
RUN = "20261126T170000Z-0123abcd"
MARK = Mark(run_id=RUN, unit="debian-12", machine="runner-1", since_utc="20261126T170100Z")
PROOF = Proof(run_id=RUN)
JOURNALLED = Proof(run_id=RUN, journalled=True)
NOBODY = "00000000-0000-4000-8000-000000000000"


class Furniture(ABC):
    """Puts things on a pool and breaks it, whatever the pool is."""

    @abstractmethod
    def add_vm(self, name: str, *, running: bool = False, disks: Sequence[int] = (GIB,)) -> str:
        """Returns its uuid."""

    @abstractmethod
    def add_iso(self, name: str) -> str:
        """Returns its uuid."""

    @abstractmethod
    def clone(self, vm_uuid: str, name: str) -> None:
        """Clone a VM, as a person does; its other_config is copied."""

    @abstractmethod
    def export(self, vm_uuid: str) -> None:
        """Let an export of the VM run that ends when it is cancelled."""

    @abstractmethod
    def refuse(self, kind: str, uuid: str) -> None:
        """Let its destruction fail."""

    @abstractmethod
    def names(self) -> list[str]:
        """Everything that a person made."""


class PoolContract:
    async def test_what_is_not_there_is_none(self, pool: Pool) -> None:
        assert await pool.vm(NOBODY) is None
        assert await pool.vdi(NOBODY) is None
        assert not await pool.vms(name="nobody")
        assert not await pool.vdis(run_id=RUN)
        with pytest.raises(HostMissingError):
            await pool.mark_vm(NOBODY, MARK)
        with pytest.raises(HostMissingError):
            await pool.disks_of(NOBODY)

    async def test_a_mark_is_found_again_on_the_vm_and_on_its_disks(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        ours, other = furniture.add_vm("debian12"), furniture.add_vm("debian12")
        await pool.mark_vm(ours, MARK)
        (found,) = await pool.vms(run_id=RUN)
        (disk,) = await pool.vdis(run_id=RUN)
        assert found.uuid == ours
        assert found.mark == MARK
        assert disk.used_by == (ours,)
        assert [vm.uuid for vm in await pool.vms(name="debian12")] == sorted([ours, other])

    async def test_every_mark_is_listed_and_what_has_none_is_not(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        assert await pool.marks() == []
        other = Mark(run_id="20261127T170000Z-89abcdef", unit="rocky-9")
        await pool.mark_vm(furniture.add_vm("debian12"), MARK)
        await pool.mark_vdi(furniture.add_iso("rocky.iso"), other)
        furniture.add_vm("mail server")
        assert sorted(map(str, await pool.marks())) == sorted(map(str, (MARK, MARK, other)))

    async def test_a_mark_can_be_renewed_but_not_taken_over(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        uuid = furniture.add_vm("debian12")
        await pool.mark_vm(uuid, MARK)
        kept = replace(MARK, keep_until_utc="20261127T000000Z")
        await pool.mark_vm(uuid, kept)
        with pytest.raises(NotOursError):
            await pool.mark_vm(uuid, Mark(run_id="another", unit="x"))
        vm = await pool.vm(uuid)
        assert vm is not None
        assert vm.mark == kept

    async def test_a_running_vm_of_ours_goes_with_its_disks(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        uuid = furniture.add_vm("debian12", running=True, disks=(GIB, 2 * GIB))
        furniture.add_vm("mail server")
        await pool.mark_vm(uuid, MARK)
        removal = await pool.remove_vm(uuid, PROOF)
        assert len(removal.removed_uuids) == 3
        assert removal.freed_bytes == 3 * GIB
        assert not removal.remaining
        assert [name for name in furniture.names() if "disk" not in name] == ["mail server"]

    async def test_an_export_ends_and_the_vm_goes(self, pool: Pool, furniture: Furniture) -> None:
        uuid = furniture.add_vm("debian12")
        await pool.mark_vm(uuid, MARK)
        furniture.export(uuid)
        vm = await pool.vm(uuid)
        assert vm is not None
        assert vm.operations == ("export",)
        assert await pool.end_tasks(uuid, PROOF)
        assert (await pool.remove_vm(uuid, PROOF)).removed_uuids[0] == uuid

    async def test_a_vm_that_nothing_proves_ours_is_left_alone(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        uuid = furniture.add_vm("mail server", running=True)
        with pytest.raises(NotOursError):
            await pool.remove_vm(uuid, PROOF)
        with pytest.raises(NotOursError):
            await pool.end_tasks(uuid, PROOF)
        (disk,) = await pool.disks_of(uuid)
        with pytest.raises(NotOursError):
            await pool.remove_vdi(disk.uuid, PROOF)
        assert len(furniture.names()) == 2

    async def test_the_journal_is_proof_unless_another_run_has_marked_it(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        ours, theirs = furniture.add_vm("one"), furniture.add_vm("two")
        await pool.mark_vm(theirs, Mark(run_id="another", unit="x"))
        assert (await pool.remove_vm(ours, JOURNALLED)).removed_uuids
        with pytest.raises(NotOursError):
            await pool.remove_vm(theirs, JOURNALLED)

    async def test_what_is_gone_is_no_error(self, pool: Pool) -> None:
        assert not (await pool.remove_vm(NOBODY, PROOF)).remaining
        assert not (await pool.remove_vdi(NOBODY, PROOF)).remaining
        assert await pool.end_tasks(NOBODY, PROOF)

    async def test_a_vm_that_stays_is_named_with_its_disks(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        uuid = furniture.add_vm("debian12")
        furniture.refuse("VM", uuid)
        removal = await pool.remove_vm(uuid, JOURNALLED)
        assert [(one.kind, one.uuid == uuid) for one in removal.remaining] == [
            ("VM", True),
            ("VDI", False),
        ]
        assert removal.remaining[0].command == f"xe vm-destroy uuid={uuid}"
        assert not removal.removed_uuids

    async def test_a_disk_that_stays_is_named_and_found_again(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        uuid = furniture.add_vm("debian12")
        await pool.mark_vm(uuid, MARK)
        (disk,) = await pool.disks_of(uuid)
        furniture.refuse("VDI", disk.uuid)
        removal = await pool.remove_vm(uuid, PROOF)
        assert removal.removed_uuids == (uuid,)
        assert [one.uuid for one in removal.remaining] == [disk.uuid]
        assert [vdi.uuid for vdi in await pool.vdis(run_id=RUN)] == [disk.uuid]

    async def test_an_iso_of_ours_is_removed_and_one_in_use_is_not(
        self, pool: Pool, furniture: Furniture
    ) -> None:
        iso = furniture.add_iso("debian-12.iso")
        found = await pool.vdi(iso)
        assert found is not None
        assert found.is_iso
        await pool.mark_vdi(iso, MARK)
        assert (await pool.remove_vdi(iso, PROOF)).removed_uuids == (iso,)
        vm = furniture.add_vm("debian12")
        await pool.mark_vm(vm, MARK)
        (disk,) = await pool.disks_of(vm)
        assert (await pool.remove_vdi(disk.uuid, PROOF)).remaining[0].uuid == disk.uuid

    async def test_facts_name_storage_and_networks(self, pool: Pool) -> None:
        facts = await pool.facts()
        assert [(one.name, one.is_iso, one.is_default) for one in facts.storage] == [
            ("ISO images", True, False),
            ("Local storage", False, True),
        ]
        assert facts.storage[1].free_bytes == 100 * GIB
        assert facts.networks == ("Pool-wide network associated with eth0",)
        assert abs(facts.clock_offset_s) < 5
        assert facts.permissions is None

    async def test_a_console_is_where_a_vm_runs(self, pool: Pool, furniture: Furniture) -> None:
        running, halted = furniture.add_vm("one", running=True), furniture.add_vm("two")
        url = await pool.console_url(running)
        assert url is not None
        assert url.startswith("https://")
        assert await pool.console_url(halted) is None

    async def test_a_clone_of_ours_is_not_ours(self, pool: Pool, furniture: Furniture) -> None:
        uuid = furniture.add_vm("debian12")
        await pool.mark_vm(uuid, MARK)
        furniture.clone(uuid, "mail server")
        assert [vm.uuid for vm in await pool.vms(run_id=RUN)] == [uuid]
        (clone,) = await pool.vms(name="mail server")
        with pytest.raises(NotOursError):
            await pool.remove_vm(clone.uuid, PROOF)
