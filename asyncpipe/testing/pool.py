"""A pool in memory: ``Pool`` for tests that need no host, with failure knobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import uuid4

import anyio.lowlevel

from asyncpipe.errors import HostError, HostMissingError, NotOursError
from asyncpipe.model.host import (
    HostVdi,
    HostVm,
    Mark,
    PoolFacts,
    PowerState,
    Proof,
    Remaining,
    Removal,
    StorageRepository,
    marked,
)

_GIB = 1024**3
_Thing = TypeVar("_Thing", HostVm, HostVdi)


@dataclass(slots=True, kw_only=True)
class _Failure:
    operation: str
    error: HostError | None
    hangs: bool


@dataclass(slots=True, kw_only=True)
class FakePool:
    """Holds VMs and disks; ``fail`` and ``hang`` choose what goes wrong, ``refuse`` what stays."""

    machines: dict[str, HostVm] = field(default_factory=dict)  # by uuid
    disks: dict[str, HostVdi] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)  # uuids of VMs whose tasks do not end
    calls: list[tuple[str, str]] = field(default_factory=list)  # operation, uuid or name
    _failures: list[_Failure] = field(default_factory=list)
    _refusals: dict[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ("Pool-wide network associated with eth0",)

    # -- furnishing and knobs ------------------------------------------------------------------

    def add_vm(
        self,
        name: str,
        *,
        power_state: PowerState = PowerState.HALTED,
        mark: Mark | None = None,
        disk_bytes: Sequence[int] = (_GIB,),
        operations: tuple[str, ...] = (),
        is_template: bool = False,
    ) -> str:
        """Put a VM with disks there; returns its uuid."""
        uuid = str(uuid4())
        self.machines[uuid] = HostVm(
            uuid=uuid,
            name=name,
            power_state=power_state,
            mark=mark,
            other_config=marked(mark, uuid) if mark else {},
            operations=operations,
            is_template=is_template,
        )
        for number, size_bytes in enumerate(disk_bytes):
            self.add_vdi(f"{name} disk {number}", size_bytes=size_bytes, mark=mark, used_by=(uuid,))
        return uuid

    def add_vdi(
        self,
        name: str,
        *,
        size_bytes: int = _GIB,
        mark: Mark | None = None,
        used_by: tuple[str, ...] = (),
        is_iso: bool = False,
    ) -> str:
        """Put a disk or ISO image there; returns its uuid."""
        uuid = str(uuid4())
        self.disks[uuid] = HostVdi(
            uuid=uuid,
            name=name,
            virtual_size_bytes=size_bytes,
            storage_name="ISO images" if is_iso else "Local storage",
            is_iso=is_iso,
            mark=mark,
            used_by=used_by,
        )
        return uuid

    def fail(self, operation: str, error: HostError) -> None:
        """Let every call of ``operation`` raise."""
        self._failures.append(_Failure(operation=operation, error=error, hangs=False))

    def hang(self, operation: str) -> None:
        """Let every call of ``operation`` wait until it is cancelled."""
        self._failures.append(_Failure(operation=operation, error=None, hangs=True))

    def refuse(self, uuid: str, reason: str) -> None:
        """Let this VM or disk survive its destruction."""
        self._refusals[uuid] = reason

    # -- Pool ------------------------------------------------------------------------------------

    async def facts(self) -> PoolFacts:
        """What a pool of one host says."""
        await self._meet("facts", "")
        storage = tuple(
            StorageRepository(
                uuid=name,
                name=name,
                content_type=content,
                size_bytes=100 * _GIB,
                free_bytes=100 * _GIB
                - sum(d.virtual_size_bytes for d in self.disks.values() if d.storage_name == name),
                is_default=content == "user",
            )
            for name, content in (("ISO images", "iso"), ("Local storage", "user"))
        )
        return PoolFacts(
            asked="fake",
            master="fake",
            host_name="fake",
            product="XCP-ng 8.3.0",
            xapi_version="2.21",
            clock_offset_s=0.0,
            permissions=None,
            storage=storage,
            networks=self.networks,
        )

    async def vm(self, uuid: str) -> HostVm | None:
        """The VM of this uuid."""
        await self._meet("vm", uuid)
        return self.machines.get(uuid)

    async def vms(self, *, name: str | None = None, run_id: str | None = None) -> Sequence[HostVm]:
        """VMs of a name, of a run, or all."""
        await self._meet("vms", name or run_id or "")
        found = (
            vm
            for vm in self.machines.values()
            if name in {None, vm.name} and run_id in {None, vm.mark.run_id if vm.mark else ""}
        )
        return sorted(found, key=lambda vm: (vm.name, vm.uuid))

    async def vdi(self, uuid: str) -> HostVdi | None:
        """The disk of this uuid."""
        await self._meet("vdi", uuid)
        return self.disks.get(uuid)

    async def vdis(
        self, *, name: str | None = None, run_id: str | None = None
    ) -> Sequence[HostVdi]:
        """Disks of a name, of a run, or all."""
        await self._meet("vdis", name or run_id or "")
        found = (
            vdi
            for vdi in self.disks.values()
            if name in {None, vdi.name} and run_id in {None, vdi.mark.run_id if vdi.mark else ""}
        )
        return sorted(found, key=lambda vdi: (vdi.name, vdi.uuid))

    async def disks_of(self, vm_uuid: str) -> Sequence[HostVdi]:
        """The disks of a VM."""
        await self._meet("disks_of", vm_uuid)
        _require(self.machines, "VM", vm_uuid)
        return self._disks_of(vm_uuid)

    async def marks(self) -> Sequence[Mark]:
        """Every mark of ours."""
        await self._meet("marks", "")
        of_vms = (vm.mark for vm in self.machines.values())
        of_vdis = (vdi.mark for vdi in self.disks.values())
        return [mark for mark in (*of_vms, *of_vdis) if mark is not None]

    async def mark_vm(self, uuid: str, mark: Mark) -> None:
        """Mark a VM and its disks."""
        await self._meet("mark_vm", uuid)
        vm = _require(self.machines, "VM", uuid)
        _require_markable(vm, mark)
        other_config = {**vm.other_config, **marked(mark, uuid)}
        self.machines[uuid] = replace(vm, mark=mark, other_config=other_config)
        for vdi in self._disks_of(uuid):
            self.disks[vdi.uuid] = replace(vdi, mark=mark)

    async def mark_vdi(self, uuid: str, mark: Mark) -> None:
        """Mark a disk."""
        await self._meet("mark_vdi", uuid)
        vdi = _require(self.disks, "VDI", uuid)
        _require_markable(vdi, mark)
        self.disks[uuid] = replace(vdi, mark=mark)

    async def end_tasks(self, vm_uuid: str, proof: Proof) -> bool:
        """End what goes on, unless the VM is ``busy``."""
        await self._meet("end_tasks", vm_uuid)
        vm = self.machines.get(vm_uuid)
        if vm is None:
            return True
        _require_ours(vm, proof)
        if vm_uuid in self.busy:
            return False
        self.machines[vm_uuid] = replace(vm, operations=())
        return True

    async def remove_vm(self, uuid: str, proof: Proof) -> Removal:
        """Remove a VM and its disks."""
        await self._meet("remove_vm", uuid)
        vm = self.machines.get(uuid)
        if vm is None:
            return Removal()
        _require_ours(vm, proof)
        reason = self._refusals.get(uuid) or ("it is busy" if uuid in self.busy else "")
        disks = self._disks_of(uuid)
        if reason:
            left = [Remaining(kind="VM", uuid=uuid, name=vm.name, reason=reason)]
            left += [_left(vdi, "its VM remains") for vdi in disks]
            return Removal(remaining=tuple(left))
        del self.machines[uuid]
        for vdi in disks:
            self.disks[vdi.uuid] = replace(vdi, used_by=())
        removals = [self._remove(vdi) for vdi in disks]
        return Removal(
            removed_uuids=(uuid, *(one for removal in removals for one in removal.removed_uuids)),
            freed_bytes=sum(removal.freed_bytes for removal in removals),
            remaining=tuple(one for removal in removals for one in removal.remaining),
        )

    async def remove_vdi(self, uuid: str, proof: Proof) -> Removal:
        """Remove a disk that no VM has."""
        await self._meet("remove_vdi", uuid)
        vdi = self.disks.get(uuid)
        if vdi is None:
            return Removal()
        _require_ours(vdi, proof)
        if vdi.used_by:
            return Removal(remaining=(_left(vdi, f"a VM has it ({', '.join(vdi.used_by)})"),))
        return self._remove(vdi)

    async def console_url(self, vm_uuid: str) -> str | None:
        """The console of a running VM."""
        await self._meet("console_url", vm_uuid)
        vm = _require(self.machines, "VM", vm_uuid)
        running = vm.power_state is PowerState.RUNNING
        return f"https://fake/console?uuid={vm_uuid}" if running else None

    def _disks_of(self, vm_uuid: str) -> list[HostVdi]:
        return [vdi for vdi in self.disks.values() if vm_uuid in vdi.used_by]

    def _remove(self, vdi: HostVdi) -> Removal:
        if vdi.uuid in self._refusals:
            return Removal(remaining=(_left(vdi, self._refusals[vdi.uuid]),))
        del self.disks[vdi.uuid]
        return Removal(removed_uuids=(vdi.uuid,), freed_bytes=vdi.virtual_size_bytes)

    async def _meet(self, operation: str, what: str) -> None:
        self.calls.append((operation, what))
        await anyio.lowlevel.checkpoint()
        for failure in self._failures:
            if failure.operation == operation and failure.hangs:
                await anyio.sleep_forever()
            if failure.operation == operation and failure.error is not None:
                raise failure.error


def _left(vdi: HostVdi, reason: str) -> Remaining:
    return Remaining(kind="VDI", uuid=vdi.uuid, name=vdi.name, reason=reason)


def _require(table: dict[str, _Thing], kind: str, uuid: str) -> _Thing:
    if uuid not in table:
        raise HostMissingError(f"The pool has no {kind} with uuid {uuid}.")
    return table[uuid]


def _require_markable(thing: HostVm | HostVdi, mark: Mark) -> None:
    if thing.mark is not None and thing.mark.run_id != mark.run_id:
        raise NotOursError(f"{thing.name!r} is left alone: run {thing.mark.run_id} made it.")


def _require_ours(thing: HostVm | HostVdi, proof: Proof) -> None:
    if thing.mark is not None and thing.mark.run_id != proof.run_id:
        raise NotOursError(f"{thing.name!r} is left alone: run {thing.mark.run_id} made it.")
    if thing.mark is None and not proof.journalled:
        raise NotOursError(f"{thing.name!r} is left alone: nothing says that we made it.")
