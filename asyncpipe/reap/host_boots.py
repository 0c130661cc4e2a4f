"""What boot tests left at hosts: found by the notes that they kept among their files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.documents import host_boot
from asyncpipe.model.documents.host_boot import HostBoot
from asyncpipe.ports import Pool
from asyncpipe.reap import at_host, host
from asyncpipe.reap.at_host import OpenHost
from asyncpipe.reap.findings import Finding, Kind
from asyncpipe.system.files import read_regular
from asyncpipe.text.safe import printable

_CALL_S: Final = 30.0  # a host that takes longer for one call is not waited for by the test either
_LOOK_EVERY_S: Final = 0.5


async def clean(
    folders: Sequence[Path], open_host: OpenHost | None, *, dry_run: bool
) -> list[Finding]:
    """Remove at its host what each boot test with files in one of ``folders`` left there.

    The note goes once its host is clean. What cannot be removed or asked for is a finding with a
    problem.
    """
    found: list[Finding] = []
    for folder in folders:
        path = folder / host_boot.NAME
        try:
            note = await anyio.to_thread.run_sync(_read, path)
        except (OSError, ValueError) as error:
            problem = f"cannot be read: {printable(str(error), 300)}"
            found.append(Finding(kind=Kind.VM, what=str(path), removed=False, problem=problem))
            continue
        if note is not None:
            written_s = (await anyio.Path(path).stat()).st_mtime
            of_one = await _of_one(note, written_s, open_host, dry_run=dry_run)
            found += of_one
            if not dry_run and not any(one.problem for one in of_one):
                await anyio.to_thread.run_sync(path.unlink)
    return found


def _read(path: Path) -> HostBoot | None:
    try:
        return host_boot.decode(read_regular(path, max_bytes=host_boot.MAX_BYTES))
    except FileNotFoundError:
        return None


async def _of_one(
    note: HostBoot, written_s: float, open_host: OpenHost | None, *, dry_run: bool
) -> list[Finding]:
    try:
        if open_host is None:
            return [_not_asked(note, "its host was not asked")]
        async with open_host(note.host) as pool:
            if note.making_disk and not dry_run:
                await _disk_made(pool, note, time.time() - written_s)
            return await _cleaned(pool, note, dry_run=dry_run)
    except AsyncpipeError as error:
        return [_not_asked(note, f"{error.message} {error.hint}".strip())]


async def _disk_made(pool: Pool, note: HostBoot, age_s: float) -> None:
    """Wait for a disk that the killed test had asked for, as long as the host may take."""
    with anyio.move_on_after(_CALL_S - max(0.0, age_s)):
        while True:
            if await pool.vdis(name=note.disk_name):
                return
            await anyio.sleep(_LOOK_EVERY_S)


async def _cleaned(pool: Pool, note: HostBoot, *, dry_run: bool) -> list[Finding]:
    made = host.MadeThere(
        run_id=note.run_id,
        unit=note.unit,
        disk_names=(note.disk_name,),
        import_task=note.task,
    )
    if dry_run:
        return [at_host.would_be_removed(one) for one in await host.plan(pool, made)]
    return [one for found in await host.remove(pool, made) for one in at_host.became(found)]


def _not_asked(note: HostBoot, why: str) -> Finding:
    return Finding(
        kind=Kind.VM,
        what=f"the VM of a boot test may be at {printable(note.host, 200)}",
        removed=False,
        problem=printable(f"not known: {why}", 500),
        advice=f"xe vm-list other-config:import_task={note.task}",
    )
