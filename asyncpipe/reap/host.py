"""Remove at a host what a run made there, and nothing else: by its mark, or by its journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from asyncpipe.errors import HostError
from asyncpipe.model.host import IMPORT_TASK_KEY, HostVdi, HostVm, Mark, Proof, Remaining, Removal
from asyncpipe.ports import Pool
from asyncpipe.text.format import moment_of

_DOUBT: Final = "this run began to upload an image of that name; it may be that one, cut short"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeThere:
    """What a run, or one unit of it, may have made at a host."""

    run_id: str
    unit: str | None = None  # None: all units
    vm_uuids: tuple[str, ...] = ()  # of the journal
    vdis: tuple[str, ...] = ()  # uuids or references, of the journal
    disk_names: tuple[str, ...] = ()  # those with the run's id in them are this run's alone
    image_names: tuple[str, ...] = ()  # uploads began, and nothing says which images they made
    import_task: str = ""  # of XAPI, of an import that may have made a VM
    may_be_unnamed: bool = False  # a VM was being made, and nothing says its uuid
    spared: frozenset[str] = frozenset()  # uuids of VMs that are to stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing of the run that stood at the host, and what became of it."""

    thing: HostVm | HostVdi
    removal: Removal
    kept_until_utc: str = ""  # a person wants to look at it until then

    @property
    def kind(self) -> str:
        """``VM`` or ``VDI``, as XAPI calls them."""
        return "VM" if isinstance(self.thing, HostVm) else "VDI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One thing that the run left at the host and that would be removed."""

    thing: HostVm | HostVdi
    size_bytes: int  # virtual; of a VM that of all its disks
    kept_until_utc: str = ""
    doubt: str = ""  # why it would not be removed


async def plan(pool: Pool, made: MadeThere, *, now_utc: datetime | None = None) -> list[Planned]:
    """Say what ``remove`` would remove, each disk of a VM with it; raises HostError."""
    now = now_utc or datetime.now(UTC)
    vms, vdis = await look(pool, made)
    found = []
    for vm in vms:
        size_bytes = sum(disk.virtual_size_bytes for disk in await pool.disks_of(vm.uuid))
        until = _kept_until(vm.mark, now)
        found.append(Planned(thing=vm, size_bytes=size_bytes, kept_until_utc=until))
    going = {vm.uuid for vm in vms}
    alone = (vdi for vdi in vdis if not (going & set(vdi.used_by) or _kept_until(vdi.mark, now)))
    found += [Planned(thing=vdi, size_bytes=vdi.virtual_size_bytes) for vdi in alone]
    known = {one.thing.uuid for one in found}
    return [
        *found,
        *(
            Planned(thing=image, size_bytes=image.virtual_size_bytes, doubt=_DOUBT)
            for image in await _doubtful(pool, made, known)
        ),
    ]


async def look(pool: Pool, made: MadeThere) -> tuple[list[HostVm], list[HostVdi]]:
    """Find what is left at the host of what a run made; raises HostError."""
    vms = {vm.uuid: vm for vm in await pool.vms(run_id=made.run_id) if _is_of(vm.mark, made)}
    for uuid in made.vm_uuids:
        vm = await pool.vm(uuid)
        if vm is not None and _is_free(vm.mark, made):
            vms[vm.uuid] = vm
    vdis = {vdi.uuid: vdi for vdi in await pool.vdis(run_id=made.run_id) if _is_of(vdi.mark, made)}
    for named in made.vdis:
        vdi = await pool.vdi(named)
        if vdi is not None and _is_free(vdi.mark, made):
            vdis[vdi.uuid] = vdi
    if made.import_task:
        several = [vm for vm in await pool.vms() if _is_imported(vm, made)]
        vms.update({vm.uuid: vm for vm in several})
    if made.may_be_unnamed:
        vms.update({vm.uuid: vm for vm in await pool.vms() if _is_stray(vm, made)})
    for name in {name for name in made.disk_names if made.run_id in name}:
        disks = (vdi for vdi in await pool.vdis(name=name) if vdi.mark is None and not vdi.used_by)
        vdis.update({vdi.uuid: vdi for vdi in disks})
    stays = [vm for vm in vms.values() if vm.uuid not in made.spared]
    return stays, [vdi for vdi in vdis.values() if not made.spared & set(vdi.used_by)]


async def remove(pool: Pool, made: MadeThere, *, now_utc: datetime | None = None) -> list[Found]:
    """Remove all that a run made, except what is kept for a person until later.

    What cannot be removed is a ``Found`` with its reason; HostError: the host could not be asked.
    """
    proof = Proof(run_id=made.run_id, journalled=True)
    now = now_utc or datetime.now(UTC)
    vms, vdis = await look(pool, made)
    found: list[Found] = []
    kept: set[str] = set()
    for vm in vms:
        until = _kept_until(vm.mark, now)
        if until:
            kept.add(vm.uuid)
            found.append(Found(thing=vm, removal=Removal(), kept_until_utc=until))
        else:
            found.append(Found(thing=vm, removal=await _removed(pool, vm, proof)))
    gone = {uuid for one in found for uuid in one.removal.removed_uuids}
    named = {left.uuid for one in found for left in one.removal.remaining}
    for vdi in vdis:
        if vdi.uuid in gone | named or kept & set(vdi.used_by) or _kept_until(vdi.mark, now):
            continue
        found.append(Found(thing=vdi, removal=await _removed(pool, vdi, proof)))
    for image in await _doubtful(pool, made, {one.thing.uuid for one in found}):
        left = Remaining(kind="VDI", uuid=image.uuid, name=image.name, reason=_DOUBT)
        found.append(Found(thing=image, removal=Removal(remaining=(left,))))
    return found


async def _doubtful(pool: Pool, made: MadeThere, known: set[str]) -> list[HostVdi]:
    """Images that nobody marked or uses, of a name that this run began to upload.

    The plugin names the image only after it has made it: one that is interrupted in between may
    be anybody's.
    """
    images = [vdi for name in made.image_names for vdi in await pool.vdis(name=name)]
    return [vdi for vdi in images if not (vdi.mark or vdi.used_by or vdi.uuid in known)]


def remaining_of(found: Iterable[Found]) -> tuple[Remaining, ...]:
    """All that could not be removed."""
    return tuple(left for one in found for left in one.removal.remaining)


async def _removed(pool: Pool, thing: HostVm | HostVdi, proof: Proof) -> Removal:
    try:
        if isinstance(thing, HostVm):
            return await pool.remove_vm(thing.uuid, proof)
        return await pool.remove_vdi(thing.uuid, proof)
    except HostError as error:
        kind = "VM" if isinstance(thing, HostVm) else "VDI"
        left = Remaining(kind=kind, uuid=thing.uuid, name=thing.name, reason=error.message)
        return Removal(remaining=(left,))


def _is_of(mark: Mark | None, made: MadeThere) -> bool:
    return mark is not None and (made.unit is None or mark.unit in {made.unit, ""})


def _is_stray(vm: HostVm, made: MadeThere) -> bool:
    """It has the run's random id in its name, and was neither marked nor imported (XAPI's key)."""
    return vm.mark is None and made.run_id in vm.name and IMPORT_TASK_KEY not in vm.other_config


def _is_imported(vm: HostVm, made: MadeThere) -> bool:
    same_task = vm.other_config.get(IMPORT_TASK_KEY) == made.import_task
    return same_task and _is_free(vm.mark, made)


def _is_free(mark: Mark | None, made: MadeThere) -> bool:
    """The journal names it, and no other run's mark contradicts."""
    return mark is None or mark.run_id == made.run_id


def _kept_until(mark: Mark | None, now: datetime) -> str:
    """Until when a person wants to keep it, "" when that has passed or cannot be read."""
    text = mark.keep_until_utc if mark else None
    if not text:
        return ""
    until = moment_of(text)
    return text if until and until > now else ""
