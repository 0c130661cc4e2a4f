"""What bears our mark at a host, whichever run made it: removed where that run is surely dead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from pathlib import Path

from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.host import Mark
from asyncpipe.ports import Pool
from asyncpipe.reap import at_host, host
from asyncpipe.reap.at_host import OpenHost
from asyncpipe.reap.findings import Finding, Groups, Kind
from asyncpipe.text.format import moment_of, utc_text
from asyncpipe.text.safe import printable


class Life(Enum):
    """What this machine knows of a run."""

    AT_WORK = auto()
    ENDED = auto()  # its folder is here, and no process holds its lock
    UNKNOWN = auto()  # its folder is not here: it may be at work on another machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A run as this machine knows it."""

    life: Life
    folder: Path | None = None  # of one that has ended
    spared: frozenset[str] = frozenset()  # uuids of VMs that are to stay


#: Looks at the run of an id; one that has ended stays so until the context's end.
LookAtRun = Callable[[str], AbstractContextManager[Known]]


async def sweep_host(
    open_host: OpenHost,
    look_at_run: LookAtRun,
    groups: Groups,
    *,
    before_utc: datetime,
    any_machine: bool,
    dry_run: bool,
) -> list[Finding]:
    """Remove what ended runs of this machine left at the host, and name what others made.

    With ``any_machine`` also what a run that this machine does not know made before
    ``before_utc``. Failures are findings with a problem.
    """
    try:
        async with open_host("") as pool:
            found: list[Finding] = []
            for run_id, marks in sorted(_by_run(await pool.marks()).items()):
                is_old = any_machine and _is_before(marks, before_utc)
                with look_at_run(run_id) as known:
                    if known.folder and await groups.find(str(known.folder)):
                        found.append(_program_of(run_id))
                        continue
                    found += await _of_run(pool, marks, known, is_old=is_old, dry_run=dry_run)
            return found
    except AsyncpipeError as error:
        problem = printable(f"not known: {error.message} {error.hint}", 500).strip()
        what = "VMs, disks or images may be at the host"
        return [Finding(kind=Kind.VM, what=what, removed=False, problem=problem)]


def _program_of(run_id: str) -> Finding:
    """Both outlive an asyncpipe that was killed, and Packer may be cleaning up itself."""
    return Finding(
        kind=Kind.PROCESS,
        what=f"Packer or QEMU of run {run_id}, which was killed, is still at work",
        removed=False,
        stays=True,
        advice=f"asyncpipe reap --run {run_id}",
    )


def _by_run(marks: Iterable[Mark]) -> dict[str, list[Mark]]:
    runs: dict[str, list[Mark]] = {}
    for mark in marks:
        runs.setdefault(mark.run_id, []).append(mark)
    return runs


async def _of_run(
    pool: Pool, marks: list[Mark], known: Known, *, is_old: bool, dry_run: bool
) -> list[Finding]:
    if known.life is Life.AT_WORK:
        return []
    made = host.MadeThere(run_id=marks[0].run_id, spared=known.spared)
    goes = known.life is Life.ENDED or is_old
    if goes and not dry_run:
        found = [one for each in await host.remove(pool, made) for one in at_host.became(each)]
    else:
        found = [at_host.would_be_removed(each) for each in await host.plan(pool, made)]
    return [_of_its_run(one, marks, goes=goes) for one in found]


def _of_its_run(finding: Finding, marks: list[Mark], *, goes: bool) -> Finding:
    """Say whose it is and how old; what does not go is for a person to judge."""
    machine = next((f" on {mark.machine}" for mark in marks if mark.machine), "")
    whose = printable(f"of run {marks[0].run_id}{machine}", 300)
    moments = [moment for moment in map(_moment, marks) if moment is not None]
    begun_utc = utc_text(max(moments)) if moments else ""
    named = replace(finding, what=f"{finding.what}, {whose}", begun_utc=begun_utc)
    if goes or finding.stays:
        return named
    return replace(named, stays=True, advice="asyncpipe reap --any-machine, once it is old enough")


def _is_before(marks: Iterable[Mark], before_utc: datetime) -> bool:
    """Whether every build of a run that marked something began before; not where one is unclear."""
    moments = map(_moment, marks)
    return all(moment is not None and moment < before_utc for moment in moments)


def _moment(mark: Mark) -> datetime | None:
    """When the build that made it began, else its run."""
    return moment_of(mark.since_utc or mark.run_id.partition("-")[0])
