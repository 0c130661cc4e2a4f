"""What a killed ``asyncpipe boot-test`` left: a machine, and the folder with its disks."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio.to_thread

from asyncpipe.reap.findings import Finding, Groups, Kind
from asyncpipe.system import lock
from asyncpipe.text.safe import printable

_GRACE_S: Final = 3.0


async def sweep_boot_tests(tests: Path, groups: Groups, *, dry_run: bool) -> list[Finding]:
    """End the machines of tests whose process is gone, and remove their folders.

    ``tests`` has one folder for each test. One that ended by itself has no lock any more: what it
    kept of a failure is not touched.
    """
    found: list[Finding] = []
    for folder in await anyio.to_thread.run_sync(_interrupted, tests):
        for pid, ticks in await groups.find(str(folder)):
            stopped = not dry_run and await groups.stop(pid, ticks, str(folder), grace_s=_GRACE_S)
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
        problem = "" if dry_run else await anyio.to_thread.run_sync(_remove, folder)
        removed = not dry_run and not problem
        found.append(Finding(kind=Kind.FILES, what=str(folder), removed=removed, problem=problem))
    if not dry_run:
        await anyio.to_thread.run_sync(_remove_empty, tests)
    return found


def _interrupted(tests: Path) -> list[Path]:
    try:
        folders = sorted(one.resolve() for one in tests.iterdir() if not one.is_symlink())
    except OSError:
        return []
    return [one for one in folders if (one / lock.LOCK_NAME).is_file() and not lock.is_held(one)]


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
