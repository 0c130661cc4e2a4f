"""What killed boot tests left: machines here, VMs at hosts, and the folders with their disks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread

from asyncpipe.model.boot.result import FOLDER_NAME, TESTS_NAME
from asyncpipe.reap import host_boots
from asyncpipe.reap.at_host import OpenHost
from asyncpipe.reap.findings import Finding, Groups, Kind
from asyncpipe.system import lock
from asyncpipe.text.safe import printable

_GRACE_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    owner: Path  # the folder whose lock the process of the test held
    files: Path  # of the machine
    goes: Path  # what is removed


async def sweep_boot_tests(
    work: Path, groups: Groups, open_host: OpenHost | None, *, dry_run: bool
) -> list[Finding]:
    """End the machines of tests whose process is gone, and remove what they kept for them.

    ``work`` is the work folder: tests of ``boot-test`` have a folder each, those of a build or a
    publication one within the run's. A failed test that ended by itself has no lock any more: what
    it kept is not touched.
    """
    found: list[Finding] = []
    for test in await anyio.to_thread.run_sync(_interrupted, work):
        try:
            with lock.held(test.owner):
                found += await _ended(test, groups, open_host, dry_run=dry_run)
        except lock.HeldError:
            continue  # somebody resumes it just now
    if not dry_run:
        await anyio.to_thread.run_sync(_remove_empty, work / TESTS_NAME)
    return found


async def end_boot_test(owner: Path, groups: Groups, open_host: OpenHost | None) -> list[Finding]:
    """End the boot test that an earlier process of this folder left; the caller has its lock."""
    files = owner / FOLDER_NAME
    if not await anyio.Path(files).is_dir():
        return []
    test = _Test(owner=owner, files=files, goes=files)
    return await _ended(test, groups, open_host, dry_run=False)


async def _ended(
    test: _Test, groups: Groups, open_host: OpenHost | None, *, dry_run: bool
) -> list[Finding]:
    found: list[Finding] = []
    marker = str(test.files)
    for pid, ticks in await groups.find(marker):
        stopped = not dry_run and await groups.stop(pid, ticks, marker, grace_s=_GRACE_S)
        stuck = not dry_run and not stopped
        found.append(
            Finding(
                kind=Kind.PROCESS,
                what=f"the machine of a boot test, process group {pid}",
                removed=stopped,
                problem="it does not end" if stuck else "",
                advice=f"kill -9 -- -{pid}" if stuck else "",
            )
        )
    at_host = await host_boots.clean([test.files], open_host, dry_run=dry_run)
    if any(one.problem for one in at_host):
        return [*found, *at_host]  # the note is needed again
    problem = "" if dry_run else await anyio.to_thread.run_sync(_remove, test.goes)
    removed = not dry_run and not problem
    files = Finding(kind=Kind.FILES, what=str(test.goes), removed=removed, problem=problem)
    return [*found, *at_host, files]


def _interrupted(work: Path) -> list[_Test]:
    return [
        test
        for test in _tests(work.resolve())
        if (test.owner / lock.LOCK_NAME).is_file() and not lock.is_held(test.owner)
    ]


def _tests(work: Path) -> Iterator[_Test]:
    for owner in _folders(work / TESTS_NAME):
        yield _Test(owner=owner, files=owner / FOLDER_NAME, goes=owner)
    for owner in _folders(work / "publish"):
        yield from _within(owner, owner)
    for owner in _folders(work / "runs"):
        for unit in _folders(owner):
            yield from _within(owner, unit)


def _within(owner: Path, unit: Path) -> Iterator[_Test]:
    files = unit / FOLDER_NAME
    if files.is_dir() and not files.is_symlink():
        yield _Test(owner=owner, files=files, goes=files)


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(one for one in parent.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return []


def _remove_empty(tests: Path) -> None:
    """Remove the folder of all tests once no test is in it, whoever emptied it."""
    with suppress(OSError):  # another test is in it, or it is not there
        tests.rmdir()


def _remove(folder: Path) -> str:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        return printable(str(error))
    return ""
