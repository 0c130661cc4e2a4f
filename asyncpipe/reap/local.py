"""What a run left on this machine: processes, files, and VMs only a person can judge."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio.to_thread

from asyncpipe.reap.findings import Finding, Groups, Kind
from asyncpipe.text.safe import printable

_RESUMABLE: Final = frozenset({"built", "publishing"})  # the XVA on disk is worth keeping
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An interrupted run: its folder and what ``run.json`` in it says."""

    folder: Path
    journal: Mapping[str, Any] = field(repr=False)

    @property
    def units(self) -> Mapping[str, Mapping[str, Any]]:
        """The units that can be read."""
        units = self.journal.get("units")
        named = units.items() if isinstance(units, dict) else ()
        return {str(name): unit for name, unit in named if isinstance(unit, dict)}

    @property
    def timestamp(self) -> str:
        """The run's timestamp; part of every key it wrote."""
        return str(self.journal.get("timestamp", ""))


async def stop_processes(
    run: Run, groups: Groups, *, grace_s: float, dry_run: bool
) -> list[Finding]:
    """Stop the Packers of the run that still live."""
    found: list[Finding] = []
    marker = str(run.folder)
    noted = _noted_groups(run)
    # a run that was killed while it started Packer had no time to note it
    unnoted = dict.fromkeys(await groups.find(marker), "an interrupted build")
    for (pid, ticks), name in {**unnoted, **noted}.items():
        if not await groups.alive(pid, ticks, marker):
            continue
        stopped = not dry_run and await groups.stop(pid, ticks, marker, grace_s=grace_s)
        stuck = not dry_run and not stopped
        finding = Finding(
            kind=Kind.PROCESS,
            what=f"Packer of {printable(name, 200)}, process group {pid}",
            removed=stopped,
            problem="it does not end" if stuck else "",
            advice=f"kill -9 -- -{pid}" if stuck else "",
        )
        found.append(finding)
    return found


def _noted_groups(run: Run) -> dict[tuple[int, int], str]:
    """(pid, start ticks) of the Packers in the journal, with the unit's name."""
    noted: dict[tuple[int, int], str] = {}
    for name, unit in run.units.items():
        pid, ticks = unit.get("packer_pid"), unit.get("packer_started_ticks")
        if isinstance(pid, int) and isinstance(ticks, int) and pid > 1:
            noted[pid, ticks] = name
    return noted


async def remove_files(run: Run, *, dry_run: bool) -> list[Finding]:
    """Remove the output folders of units that cannot be resumed."""
    found: list[Finding] = []
    for unit in run.units.values():
        named = unit.get("output_directory")
        if unit.get("state") in {*_RESUMABLE, "published"} or not isinstance(named, str):
            continue
        remove = partial(_remove_files, run.folder, Path(named), dry_run=dry_run)
        finding = await anyio.to_thread.run_sync(remove)
        found += [finding] if finding else []
    return found


def _remove_files(root: Path, folder: Path, *, dry_run: bool) -> Finding | None:
    if not folder.exists():
        return None
    inside = folder.resolve().is_relative_to(root.resolve()) and folder.resolve() != root.resolve()
    if not inside or folder.is_symlink():
        # the template's own folder: what else lies there is not for us to remove
        what = f"{printable(str(folder))} is outside the run's folder: look what lies there"
        return Finding(kind=Kind.FILES, what=what, removed=False)
    if dry_run:
        return Finding(kind=Kind.FILES, what=str(folder), removed=False)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        return Finding(
            kind=Kind.FILES, what=str(folder), removed=False, problem=printable(str(error))
        )
    return Finding(kind=Kind.FILES, what=str(folder), removed=True)


def virtual_machines(run: Run) -> list[Finding]:
    """VMs that Packer may have left on the pool."""
    return [
        Finding(
            kind=Kind.VM,
            what=f"VM {uuid} of {printable(name, 200)} may still exist",
            removed=False,
            advice=f"xe vm-uninstall force=true uuid={uuid}",
        )
        for name, unit in run.units.items()
        if unit.get("state") not in {*_RESUMABLE, "published"}
        for uuid in _texts(unit.get("instance_uuids"))
        if _UUID.fullmatch(uuid)
    ]


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
