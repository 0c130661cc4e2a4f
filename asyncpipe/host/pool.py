"""``Pool`` on XAPI: look, mark, and remove what is ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

import anyio

from asyncpipe.errors import HostError, HostMissingError, NotOursError
from asyncpipe.host.records import (
    NULL,
    Record,
    is_plain_vm,
    mark_of,
    moment_of,
    number,
    references,
    storage_of,
    text,
    texts,
    vdi_of,
    vm_of,
)
from asyncpipe.host.refusals import error_of
from asyncpipe.host.session import Session, logged_in
from asyncpipe.host.xmlrpc import Refusal
from asyncpipe.model.host import (
    TAG,
    HostAccess,
    HostVdi,
    HostVm,
    Mark,
    PoolFacts,
    Proof,
    Remaining,
    Removal,
    StorageRepository,
    marked,
)

REMOVE_S: Final = 120.0  # a disk on a slow NFS repository takes its time
_END_TASKS_S: Final = 20.0
_POLL_S: Final = 0.25
_ABSENT: Final = {"UUID_INVALID", "HANDLE_INVALID"}


@asynccontextmanager
async def open_pool(access: HostAccess) -> AsyncIterator[XapiPool]:
    """Log in to a pool; the session ends with the context.

    Raises:
        HostUnreachableError, HostTrustError, HostAccessDeniedError, HostError
    """
    async with logged_in(access) as session:
        yield XapiPool(session)


class XapiPool:
    """The pool behind one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def facts(self) -> PoolFacts:
        """Look at the pool: role, storage, networks, clock."""
        call = self.session.call
        (pool,) = references(await call("pool.get_all"))[:1]
        host = await call("pool.get_master", pool)
        record: Record = await call("host.get_record", host)
        asked_at = datetime.now(UTC)
        clock = moment_of(await call("host.get_servertime", host))
        middle = asked_at + (datetime.now(UTC) - asked_at) / 2
        version = texts(record.get("software_version"))
        networks: dict[str, Record] = await call("network.get_all_records")
        return PoolFacts(
            asked=str(self.session.asked),
            master=str(self.session.endpoint),
            host_name=text(record, "name_label"),
            product=f"{version.get('product_brand', '')} {version.get('product_version', '')}",
            xapi_version=f"{number(record, 'API_version_major')}."
            f"{number(record, 'API_version_minor')}",
            clock_offset_s=(clock - middle).total_seconds() if clock else 0.0,
            permissions=await self._permissions(),
            storage=await self.storage(),
            networks=tuple(sorted(text(one, "name_label") for one in networks.values())),
        )

    async def storage(self) -> tuple[StorageRepository, ...]:
        """Every storage repository, by name."""
        (pool,) = references(await self.session.call("pool.get_all"))[:1]
        default = await self.session.call("pool.get_default_SR", pool)
        records: dict[str, Record] = await self.session.call("SR.get_all_records")
        found = (storage_of(one, is_default=ref == default) for ref, one in records.items())
        return tuple(sorted(found, key=lambda storage: storage.name))

    async def vm(self, uuid: str) -> HostVm | None:
        """The VM or template of this uuid."""
        found = await self._by_uuid("VM", uuid)
        return vm_of(found[1]) if found else None

    async def vms(self, *, name: str | None = None, run_id: str | None = None) -> Sequence[HostVm]:
        """VMs and templates of a name, of a run, or all."""
        records = await self._records("VM", name)
        found = [vm_of(record) for record in records.values() if is_plain_vm(record)]
        wanted = (vm for vm in found if run_id is None or (vm.mark and vm.mark.run_id == run_id))
        return sorted(wanted, key=lambda vm: (vm.name, vm.uuid))

    async def vdi(self, uuid: str) -> HostVdi | None:
        """The disk or ISO image of this uuid."""
        found = await self._by_uuid("VDI", uuid)
        return await self._vdi(found[1]) if found else None

    async def vdis(
        self, *, name: str | None = None, run_id: str | None = None
    ) -> Sequence[HostVdi]:
        """Disks and ISO images of a name, of a run, or all."""
        records = await self._records("VDI", name)
        found: list[HostVdi] = []
        for record in records.values():
            mark = mark_of(record)
            if run_id is None or (mark and mark.run_id == run_id):
                found.append(await self._vdi(record))
        return sorted(found, key=lambda vdi: (vdi.name, vdi.uuid))

    async def disks_of(self, vm_uuid: str) -> Sequence[HostVdi]:
        """The disks of a VM."""
        _, record = await self._require("VM", vm_uuid)
        return [await self._vdi(disk) for _, disk in await self._disks(record)]

    async def marks(self) -> Sequence[Mark]:
        """Every mark of ours, whichever run made it."""
        vms = (one for one in (await self._records("VM", None)).values() if is_plain_vm(one))
        found = map(mark_of, (*vms, *(await self._records("VDI", None)).values()))
        return [mark for mark in found if mark is not None]

    async def mark_vm(self, uuid: str, mark: Mark) -> None:
        """Write on a VM and on its disks whose they are."""
        ref, record = await self._require("VM", uuid)
        await self._mark("VM", ref, record, mark)
        for disk, disk_record in await self._disks(record):
            await self._mark("VDI", disk, disk_record, mark)

    async def mark_vdi(self, uuid: str, mark: Mark) -> None:
        """Write on a disk or ISO image whose it is."""
        ref, record = await self._require("VDI", uuid)
        await self._mark("VDI", ref, record, mark)

    async def end_tasks(self, vm_uuid: str, proof: Proof) -> bool:
        """Cancel what the host is doing with a VM."""
        found = await self._by_uuid("VM", vm_uuid)
        if found is None:
            return True
        ref, record = found
        _require_ours("VM", record, proof)
        return await self._end_tasks(ref, record)

    async def _end_tasks(self, ref: str, record: Record) -> bool:
        with anyio.move_on_after(_END_TASKS_S):
            while tasks := texts(record.get("current_operations")):
                for task in tasks:
                    await self._try("task.cancel", task)
                await anyio.sleep(_POLL_S)
                record = await self.session.call("VM.get_record", ref)
        return not texts(record.get("current_operations"))

    async def remove_vm(self, uuid: str, proof: Proof) -> Removal:
        """End a VM's tasks, switch it off, destroy it and its disks."""
        found = await self._by_uuid("VM", uuid)
        if found is None:
            return Removal()
        ref, record = found
        _require_ours("VM", record, proof)
        await self._end_tasks(ref, record)
        # a task that was ended may have started it, or given it disks
        if (found := await self._by_uuid("VM", ref)) is None:
            return Removal()
        return await self.remove_machine(*found, Mark(run_id=proof.run_id, unit=""))

    async def remove_machine(self, ref: str, record: Record, mark: Mark | None = None) -> Removal:
        """Switch off and destroy a VM that the caller has proved to be ours, and its disks."""
        if record.get("power_state") != "Halted":
            await self._try("VM.hard_shutdown", ref, timeout_s=REMOVE_S)
        disks = await self._disks(record)
        if mark is not None:  # what stays if we die is recognised
            for disk, disk_record in disks:
                await self._try_mark(disk, disk_record, mark)
        refused = await self._try("VM.destroy", ref, timeout_s=REMOVE_S)
        if refused is not None:
            return Removal(
                remaining=(
                    _remaining("VM", record, refused),
                    *(_remaining("VDI", one, "its VM remains") for _, one in disks),
                )
            )
        removals = [await self._destroy_vdi(disk, one) for disk, one in disks]
        return _sum([Removal(removed_uuids=(text(record, "uuid"),)), *removals])

    async def remove_vdi(self, uuid: str, proof: Proof) -> Removal:
        """Destroy a disk or ISO image that no VM uses."""
        found = await self._by_uuid("VDI", uuid)
        if found is None:
            return Removal()
        ref, record = found
        _require_ours("VDI", record, proof)
        return await self._destroy_vdi(ref, record)

    async def console_url(self, vm_uuid: str) -> str | None:
        """Where the console of a running VM is."""
        ref, _ = await self._require("VM", vm_uuid)
        for console in references(await self.session.call("VM.get_consoles", ref)):
            return str(await self.session.call("console.get_location", console))[:500]
        return None

    async def _destroy_vdi(self, ref: str, record: Record) -> Removal:
        if used_by := (await self._vdi(record)).used_by:
            reason = f"a VM has it ({', '.join(used_by)})"
            return Removal(remaining=(_remaining("VDI", record, reason),))
        refused = await self._try("VDI.destroy", ref, timeout_s=REMOVE_S)
        if refused is not None:
            return Removal(remaining=(_remaining("VDI", record, refused),))
        return Removal(
            removed_uuids=(text(record, "uuid"),), freed_bytes=number(record, "virtual_size")
        )

    async def _mark(self, kind: str, ref: str, record: Record, mark: Mark) -> None:
        other_config = texts(record.get("other_config"))
        present = mark_of(record)
        if present is not None and present.run_id != mark.run_id:
            raise _not_ours(kind, record, f"run {present.run_id} made it")
        for key, value in marked(mark, text(record, "uuid")).items():
            if other_config.get(key) == value:
                continue
            if key in other_config:
                await self.session.call(f"{kind}.remove_from_other_config", ref, key)
            await self.session.call(f"{kind}.add_to_other_config", ref, key, value)
        await self.session.call(f"{kind}.add_tags", ref, TAG)

    async def _try_mark(self, ref: str, record: Record, mark: Mark) -> None:
        if mark_of(record) is None:
            with suppress(HostError):  # it helps a later clean-up; this one goes on without
                await self._mark("VDI", ref, record, mark)

    async def _permissions(self) -> frozenset[str] | None:
        reference = self.session.reference
        if await self.session.call("session.get_is_local_superuser", reference):
            return None
        rights = await self.session.call("session.get_rbac_permissions", reference)
        return frozenset(str(right).lower() for right in rights)

    async def _disks(self, vm_record: Record) -> list[tuple[str, Record]]:
        found: dict[str, Record] = {}
        for vbd in references(vm_record.get("VBDs")):
            record: Record = await self.session.call("VBD.get_record", vbd)
            vdi = str(record.get("VDI", NULL))
            if record.get("type") != "CD" and vdi != NULL:
                found[vdi] = await self.session.call("VDI.get_record", vdi)
        return list(found.items())

    async def _vdi(self, record: Record) -> HostVdi:
        storage: Record = await self.session.call("SR.get_record", record["SR"])
        users: set[str] = set()
        for vbd in references(record.get("VBDs")):
            vm = await self._absent_ok("VBD.get_VM", vbd)
            if vm is not None and (uuid := await self._absent_ok("VM.get_uuid", vm)) is not None:
                users.add(str(uuid))
        return vdi_of(record, storage, tuple(sorted(users)))

    async def _records(self, kind: str, name: str | None) -> dict[str, Record]:
        if name is None:
            records: dict[str, Record] = await self.session.call(f"{kind}.get_all_records")
            return records
        found = references(await self.session.call(f"{kind}.get_by_name_label", name))
        several = {ref: await self._absent_ok(f"{kind}.get_record", ref) for ref in found}
        return {ref: record for ref, record in several.items() if record is not None}

    async def _by_uuid(self, kind: str, uuid: str) -> tuple[str, Record] | None:
        """Find it by uuid, or by the reference that Packer's output names."""
        is_ref = uuid.startswith("OpaqueRef:")
        ref = uuid if is_ref else await self._absent_ok(f"{kind}.get_by_uuid", uuid)
        record = None if ref is None else await self._absent_ok(f"{kind}.get_record", ref)
        return None if record is None else (str(ref), record)

    async def _require(self, kind: str, uuid: str) -> tuple[str, Record]:
        found = await self._by_uuid(kind, uuid)
        if found is None:
            raise HostMissingError(f"{self.session.endpoint} has no {kind} with uuid {uuid}.")
        return found

    async def _absent_ok(self, method: str, argument: str) -> Any:
        """The answer, None when what is asked for does not exist (any more)."""
        try:
            return await self.session.attempt(method, argument)
        except Refusal as refusal:
            if refusal.code in _ABSENT:
                return None
            raise error_of(refusal, self.session.endpoint, method) from None

    async def _try(self, method: str, *arguments: Any, timeout_s: float = 30.0) -> str | None:
        """Make a call of a clean-up; returns why it failed, None when it worked or is gone."""
        try:
            await self.session.call(method, *arguments, timeout_s=timeout_s)
        except HostMissingError:
            return None
        except HostError as error:
            return error.message
        return None


def _require_ours(kind: str, record: Record, proof: Proof) -> None:
    mark = mark_of(record)
    if record.get("is_default_template") or not is_plain_vm(record):
        raise _not_ours(kind, record, "it belongs to the host")
    if mark is not None and mark.run_id != proof.run_id:
        raise _not_ours(kind, record, f"run {mark.run_id} made it")
    if mark is None and not proof.journalled:
        raise _not_ours(kind, record, "nothing says that we made it")


def _not_ours(kind: str, record: Record, why: str) -> NotOursError:
    return NotOursError(
        f"{kind} {text(record, 'name_label')!r} ({text(record, 'uuid')}) is left alone: {why}."
    )


def _remaining(kind: str, record: Record, reason: str) -> Remaining:
    return Remaining(
        kind=kind, uuid=text(record, "uuid"), name=text(record, "name_label"), reason=reason
    )


def _sum(removals: Sequence[Removal]) -> Removal:
    return Removal(
        removed_uuids=tuple(uuid for one in removals for uuid in one.removed_uuids),
        freed_bytes=sum(one.freed_bytes for one in removals),
        remaining=tuple(left for one in removals for left in one.remaining),
    )
