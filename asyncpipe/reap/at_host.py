"""What a run left at its host: looked for by journal, build.log, Packer's last words and marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread

from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.build import HostObjects
from asyncpipe.model.clean_up import CleanUp
from asyncpipe.model.documents.run_state import KnownRun, UnitRecord, UnitState
from asyncpipe.model.host import FOR_GOOD, HostVdi, HostVm, Remaining
from asyncpipe.model.store_keys import LOG_NAME
from asyncpipe.packer.debug_log import PACKER_LOG_NAME
from asyncpipe.packer.host_objects import read_lines
from asyncpipe.ports import Pool
from asyncpipe.reap import host
from asyncpipe.reap.findings import Finding, Kind
from asyncpipe.text.safe import printable

#: Logs in to the host of this address; UsageError without credentials, HostError.
OpenHost = Callable[[str], AbstractAsyncContextManager[Pool]]

_LOG_BYTES: Final = 64 * 1024 * 1024  # the lines that name the host's objects come early
_UI_LINE: Final = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ui: (.*)")
_SETTLED: Final = frozenset({CleanUp.NOTHING_MADE, CleanUp.REMOVED})
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFERENCE: Final = re.compile(rf"OpaqueRef:{_UUID.pattern}|{_UUID.pattern}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signs:
    """What points to something at a host."""

    address: str
    made: host.MadeThere
    any: bool  # something was surely made


async def clean(
    run: KnownRun, said: Mapping[str, bytes], open_host: OpenHost | None, *, dry_run: bool
) -> list[Finding]:
    """Remove what the run left at its host; ``said``: what Packers had still to say, by folder.

    What cannot be removed or asked for is a finding with a problem.
    """
    open_units = [one for one in run.record.units.values() if _is_open(one)]
    if not open_units:
        return []
    logs = await anyio.to_thread.run_sync(_from_logs, run.folder, said)
    signs = _signs(run, open_units, logs)
    if not signs.any and (open_host is None or not signs.address):
        return []
    try:
        if open_host is None:
            return list(_not_asked(signs, "its host was not asked"))
        async with open_host(signs.address) as pool:
            return await _cleaned(pool, signs, dry_run=dry_run)
    except AsyncpipeError as error:
        return list(_not_asked(signs, f"{error.message} {error.hint}".strip()))


def _is_open(unit: UnitRecord) -> bool:
    """The run may have left something at a host that nobody wanted to keep."""
    if unit.state is UnitState.PLANNED or unit.clean_up in _SETTLED:
        return False
    if unit.state is UnitState.PUBLISHED:
        return bool(unit.remains)
    return unit.clean_up != CleanUp.KEPT or bool(unit.keep_until_utc)


def _signs(run: KnownRun, units: list[UnitRecord], logs: list[HostObjects]) -> _Signs:
    """Everything that journal and logs name; a name or number of another shape is dropped."""
    spared = {uuid for unit in run.record.units.values() if unit not in units
              for uuid in unit.instance_uuids}  # fmt: skip
    uuids = [uuid for unit in units for uuid in unit.instance_uuids]
    uuids += [log.vm_uuid for log in logs]
    vdis = [one for unit in units for one in unit.vdis]
    vdis += [image.vdi_ref for log in logs for image in log.uploads]
    names = [name for unit in units for name in unit.disk_names]
    names += [name for log in logs for name in log.disk_names]
    begun_images = {image.name for log in logs for image in log.uploads if not image.vdi_ref}
    images = sorted(begun_images - {i.name for log in logs for i in log.uploads if i.vdi_ref})
    known = dict.fromkeys(one for one in uuids if _UUID.fullmatch(one) and one not in spared)
    begun = any(unit.state is UnitState.BUILDING or unit.creating for unit in units)
    creating = any(one.creating for one in units) or any(one.creating for one in logs)
    made = host.MadeThere(
        run_id=run.record.run_id,
        vm_uuids=tuple(known),
        vdis=tuple(dict.fromkeys(one for one in vdis if _REFERENCE.fullmatch(one))),
        disk_names=tuple(dict.fromkeys(name for name in names if name)),
        image_names=tuple(dict.fromkeys(images)),
        may_be_unnamed=begun and not known,
        spared=frozenset(spared),
    )
    address = next((unit.host for unit in units if unit.host), "")
    sure = bool(known or made.vdis or made.disk_names or images or creating)
    return _Signs(address=address, made=made, any=sure)


def _from_logs(folder: Path, said: Mapping[str, bytes]) -> list[HostObjects]:
    """What the logs of each attempt say, and what its Packer said after that.

    Packer writes its own log itself: when we were killed, a line may stand there alone.
    """
    found = []
    for path in sorted(folder.glob(f"*/{LOG_NAME}")):
        # the log shows in which phase the rest was printed: a guest can print anything
        rest = said.get(path.parent.name, b"")
        found.append(read_lines([*_lines_of(path), *_text_lines(rest)]))
    for path in sorted(folder.glob(f"*/{PACKER_LOG_NAME}")):
        shown = (_UI_LINE.match(line) for line in _lines_of(path))
        found.append(read_lines(match[1] for match in shown if match))
    return found


def _lines_of(path: Path) -> list[str]:
    """The beginning of a log; nothing of one that cannot be read."""
    if path.is_symlink():
        return []
    try:
        with path.open("rb") as file:
            return _text_lines(file.read(_LOG_BYTES))
    except OSError:
        return []


def _text_lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")


async def _cleaned(pool: Pool, signs: _Signs, *, dry_run: bool) -> list[Finding]:
    if dry_run:
        return [would_be_removed(one) for one in await host.plan(pool, signs.made)]
    return [finding for found in await host.remove(pool, signs.made) for finding in became(found)]


def would_be_removed(found: host.Planned) -> Finding:
    """What would become of one thing at a host."""
    if found.kept_until_utc:
        return _kept(found.thing, found.kept_until_utc)
    if found.doubt:
        left = Remaining(
            kind="VDI", uuid=found.thing.uuid, name=found.thing.name, reason=found.doubt
        )
        return _left(left)
    return _finding(found.thing, removed=False, size_bytes=found.size_bytes)


def _kept(thing: HostVm | HostVdi, until_utc: str) -> Finding:
    how_long = "for good" if until_utc == FOR_GOOD else f"until {until_utc}"
    return Finding(
        kind=Kind.VM,
        what=f"{_text(thing)} is kept {how_long}",
        removed=False,
        stays=True,
        advice=f"xe vm-uninstall force=true uuid={thing.uuid}",
    )


def became(found: host.Found) -> Iterator[Finding]:
    """What became of one thing at a host, and of its disks."""
    if found.kept_until_utc:
        yield _kept(found.thing, found.kept_until_utc)
        return
    if not found.removal.remaining:
        yield _finding(found.thing, removed=True, size_bytes=found.removal.freed_bytes)
    yield from map(_left, found.removal.remaining)


def _left(left: Remaining) -> Finding:
    kind = Kind.VM if left.kind == "VM" else Kind.VDI
    what = f"{left.kind} {printable(left.name, 200)!r} ({left.uuid})"
    problem = printable(left.reason, 300)
    return Finding(kind=kind, what=what, removed=False, problem=problem, advice=left.command)


def _finding(thing: HostVm | HostVdi, *, removed: bool, size_bytes: int) -> Finding:
    kind = Kind.VM if isinstance(thing, HostVm) else Kind.VDI
    return Finding(kind=kind, what=_text(thing), removed=removed, size_bytes=size_bytes)


def _text(thing: HostVm | HostVdi) -> str:
    name = printable(thing.name, 200)
    if isinstance(thing, HostVm):
        return f"VM {name!r} ({thing.uuid}) and its disks, {thing.power_state.value.lower()}"
    return f"VDI {name!r} ({thing.uuid})"


def _not_asked(signs: _Signs, why: str) -> Iterator[Finding]:
    """Nobody could look: all that may be there is named, and counts as left."""
    problem = printable(f"not known: {why}", 500)
    for uuid in signs.made.vm_uuids:
        command = f"xe vm-uninstall force=true uuid={uuid}"
        what = f"VM {uuid} may be at the host"
        yield Finding(kind=Kind.VM, what=what, removed=False, problem=problem, advice=command)
    for vdi in signs.made.vdis:
        what = f"the image or disk {vdi} may be at the host"
        yield Finding(kind=Kind.VDI, what=what, removed=False, problem=problem)
    for name in signs.made.image_names:
        what = f"an image {printable(name, 200)!r}, perhaps cut short, may be at the host"
        yield Finding(kind=Kind.VDI, what=what, removed=False, problem=problem)
    if not (signs.made.vm_uuids or signs.made.vdis or signs.made.image_names):
        what = f"a VM or disk with {signs.made.run_id} in its name may be at the host"
        yield Finding(kind=Kind.VM, what=what, removed=False, problem=problem)
