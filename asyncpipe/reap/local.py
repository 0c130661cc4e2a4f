"""What a run left on this machine: processes, files, and VMs only a person can judge."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio.to_thread

from asyncpipe.model.boot.result import FOLDER_NAME
from asyncpipe.model.documents import host_boot
from asyncpipe.model.documents.run_state import KnownRun, UnitState
from asyncpipe.packer.debug_log import PACKER_LOG_NAME
from asyncpipe.reap.findings import Finding, Groups, Kind
from asyncpipe.text.safe import printable

_KEPT: Final = frozenset({UnitState.BUILT, UnitState.PUBLISHED})  # resumable, or done


async def stop_processes(
    run: KnownRun, groups: Groups, *, grace_s: float, dry_run: bool
) -> tuple[list[Finding], dict[str, bytes]]:
    """Stop what still lives of the run, recognised by the run's folder; and what each had to say.

    Their output was not redacted: it must reach neither a file nor a screen.
    """
    said: dict[str, bytes] = {}  # by the folder of the build
    found: list[Finding] = []
    marker = str(run.folder)
    for pid, ticks in await groups.find(marker):
        heard: list[bytes] = []
        folder = await groups.folder_of(pid, marker)
        stopped = not dry_run and await groups.stop(
            pid, ticks, marker, grace_s=grace_s, hear=heard.append
        )
        said[folder] = said.get(folder, b"") + b"".join(heard)
        stuck = not dry_run and not stopped
        boots = bool(folder) and (run.folder / folder / FOLDER_NAME).is_dir()
        who = "the machine of a boot test" if boots else "Packer of an interrupted build"
        finding = Finding(
            kind=Kind.PROCESS,
            what=f"{who}, process group {pid}",
            removed=stopped,
            problem="it does not end" if stuck else "",
            advice=f"kill -9 -- -{pid}" if stuck else "",
        )
        found.append(finding)
    return found, said


def damage(run: KnownRun) -> list[Finding]:
    """Entries of ``run.json`` that say nothing: what their templates left is not looked for."""
    return [
        Finding(
            kind=Kind.FILES,
            what=f"{run.folder / 'run.json'}: the entry of {printable(name, 200)}",
            removed=False,
            problem=f"cannot be read: {printable(problem, 200)}",
            advice=f"look what {run.folder} holds",
        )
        for name, problem in run.unreadable.items()
    ]


def boot_folders(run: KnownRun) -> list[Path]:
    """The folders in which boot tests of the run keep, or would keep, a machine's files."""
    return sorted([run.folder / FOLDER_NAME, *run.folder.glob(f"*/{FOLDER_NAME}")])


async def remove_boot_files(
    run: KnownRun, folders: Sequence[Path], *, dry_run: bool
) -> list[Finding]:
    """Remove the disks of machines that boot tests had started.

    Where the note of what is at a host still lies after the host was asked, all of it stays.
    """

    def remove() -> list[Finding]:
        ready = [one for one in folders if dry_run or not (one / host_boot.NAME).exists()]
        found = [_remove_files(run.folder, folder, dry_run=dry_run) for folder in ready]
        return [finding for finding in found if finding]

    return await anyio.to_thread.run_sync(remove)


async def remove_debug_logs(run: KnownRun, *, dry_run: bool) -> list[Finding]:
    """Remove Packer's own logs, which are not redacted: they hold sessions and more."""
    paths = await anyio.to_thread.run_sync(lambda: sorted(run.folder.glob(f"*/{PACKER_LOG_NAME}")))
    found = []
    for path in paths:
        problem = "" if dry_run else await anyio.to_thread.run_sync(_unlink, path)
        removed = not dry_run and not problem
        found.append(Finding(kind=Kind.FILES, what=str(path), removed=removed, problem=problem))
    return found


def _unlink(path: Path) -> str:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return printable(str(error))
    return ""


async def remove_files(run: KnownRun, *, dry_run: bool) -> list[Finding]:
    """Remove the output folders of units that cannot be resumed."""
    found: list[Finding] = []
    for unit in run.record.units.values():
        if unit.state in _KEPT or not unit.output_directory:
            continue
        folder = Path(unit.output_directory)
        remove = partial(_remove_files, run.folder, folder, dry_run=dry_run)
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
        return Finding(kind=Kind.FILES, what=what, removed=False, stays=True)
    size_bytes, problem = _size_bytes(folder), ""
    try:
        if not dry_run:
            shutil.rmtree(folder)
    except OSError as error:
        problem = printable(str(error))
    return Finding(
        kind=Kind.FILES,
        what=printable(str(folder)),
        removed=not dry_run and not problem,
        problem=problem,
        size_bytes=size_bytes,
    )


def _size_bytes(folder: Path) -> int:
    """The bytes of a folder's files; those that cannot be read count as nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - as walk names them
    return total
