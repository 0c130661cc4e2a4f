"""How a run, and who cleans up after one, logs in to hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import click

from asyncpipe import reap
from asyncpipe.errors import UsageError
from asyncpipe.host.access import access_of_environment, access_of_template
from asyncpipe.model.boot.result import FOLDER_NAME, TESTS_NAME
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.clean_up import CleanUp
from asyncpipe.model.documents.run_state import KnownRun
from asyncpipe.ports import Pool
from asyncpipe.run.host.parties import BuildHost
from asyncpipe.run.state import FILE_NAME, read_run
from asyncpipe.settings import Settings
from asyncpipe.system import lock
from asyncpipe.system.groups import ProcessGroups

if TYPE_CHECKING:
    from asyncpipe.reap.at_host import OpenHost

_RUN_ID: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}", re.ASCII)


def build_host(settings: Settings, one: BuildPlan) -> BuildHost | None:
    """The host that a template builds on, with Packer's credentials; None when it does not say."""
    access = access_of_template(one.template, settings.host_trust)
    if access is None and one.keep_failed_s is not None:
        raise UsageError(
            "--on-error keep: without the host's credentials the VM of a good build would stay.",
            hint="Export PKR_VAR_remote_host, PKR_VAR_remote_username and PKR_VAR_remote_password.",
        )
    if access is None:
        return None
    from asyncpipe.host.pool import open_pool
    from asyncpipe.host.session import end_session

    return BuildHost(
        address=access.address,
        open=lambda: open_pool(access),
        end_session=partial(end_session, access),
    )


def host_opener(settings: Settings) -> OpenHost:
    """Log in with the credentials of the environment: those of the build, or ASYNCPIPE_HOST_*."""

    def open_host(address: str) -> AbstractAsyncContextManager[Pool]:
        access = access_of_environment(
            settings.environment, settings.host_trust, address=address or None
        )
        from asyncpipe.host.pool import open_pool

        return open_pool(access)

    return open_host


def names_host(settings: Settings) -> bool:
    """Whether the environment says which host is meant, and how to log in."""
    try:
        access_of_environment(settings.environment, settings.host_trust)
    except UsageError:
        return False
    return True


@contextmanager
def look_at_run(work: Path, run_id: str) -> Iterator[reap.Known]:
    """Look whether a run of this machine is at work; one that has ended is held until the end.

    ``work`` is the work folder: a run is a build, a publication, or a boot test by itself.

    ``run_id`` comes from a host, where anybody can write. A folder that is gone proves nothing, nor
    does one on a file system without locks.
    """
    with ExitStack() as stack:
        known = reap.Known(life=reap.Life.UNKNOWN)
        folder = _folder_of(work, run_id) if _RUN_ID.fullmatch(run_id) else None
        if folder is not None:
            try:
                is_sure = stack.enter_context(lock.held(folder))
                if is_sure:
                    known = _ended(folder, run_id)
            except lock.HeldError:
                known = reap.Known(life=reap.Life.AT_WORK)
            except (OSError, UsageError):
                pass
        yield known


def _folder_of(work: Path, run_id: str) -> Path | None:
    """The folder of a run, None where it is not here."""
    if (work / "runs" / run_id / FILE_NAME).is_file():
        return work / "runs" / run_id
    if (work / TESTS_NAME / run_id / lock.LOCK_NAME).is_file():
        return work / TESTS_NAME / run_id
    for path in sorted((work / "publish").glob(f"*/{FILE_NAME}")):
        with suppress(UsageError):
            if read_run(path.parent).record.run_id == run_id:
                return path.parent
    return None


def _ended(folder: Path, run_id: str) -> reap.Known:
    """A run whose lock is ours; a boot test by itself keeps nothing."""
    if folder.parent.name == TESTS_NAME:
        return reap.Known(life=reap.Life.ENDED, folder=folder)
    run = read_run(folder)
    if run.record.run_id != run_id or run.unreadable:
        return reap.Known(life=reap.Life.UNKNOWN)
    return reap.Known(life=reap.Life.ENDED, folder=folder, spared=_kept(run))


def _kept(run: KnownRun) -> frozenset[str]:
    units = (one for one in run.record.units.values() if one.clean_up == CleanUp.KEPT)
    return frozenset(
        uuid for unit in units if not unit.keep_until_utc for uuid in unit.instance_uuids
    )


async def end_before(settings: Settings, run: KnownRun) -> None:
    """End what the interrupted run that is resumed left running, here and at its host.

    Raises:
        UsageError: something of it cannot be ended; a second build would get into its way.
    """
    found = await reap.end_builds(
        run, ProcessGroups(), host_opener(settings), grace_s=settings.grace_s, dry_run=False
    )
    _refuse_what_stays(found, run.folder, "; or start a new build")


async def end_test_before(settings: Settings, folder: Path) -> None:
    """End the boot test that an interrupted publication left running, here or at a host.

    Raises:
        UsageError: something of it cannot be ended; nobody would look for it later.
    """
    if not await anyio.Path(folder / FOLDER_NAME).is_dir():
        return  # as nearly always: what would clean up is not loaded
    found = await reap.end_boot_test(folder, ProcessGroups(), host_opener(settings))
    _refuse_what_stays(found, folder, "")


def _refuse_what_stays(found: list[reap.Finding], folder: Path, otherwise: str) -> None:
    for finding in found:
        if finding.removed:
            click.echo(f"asyncpipe: removed what the run had left: {finding.what}", err=True)
    left = [finding for finding in found if finding.problem]
    if left:
        raise UsageError(
            f"The run {folder.name} cannot be resumed: {left[0].what} ({left[0].problem}).",
            hint=f"asyncpipe reap --run {folder} shows all of it{otherwise}.",
        )
