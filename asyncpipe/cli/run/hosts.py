"""How a run, and who cleans up after one, logs in to hosts."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial

import click

from asyncpipe import reap
from asyncpipe.errors import UsageError
from asyncpipe.host.access import access_of_environment, access_of_template
from asyncpipe.host.pool import open_pool
from asyncpipe.host.session import end_session
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.documents.run_state import KnownRun
from asyncpipe.ports import Pool
from asyncpipe.reap.at_host import OpenHost
from asyncpipe.run.host.parties import BuildHost
from asyncpipe.settings import Settings
from asyncpipe.system.groups import ProcessGroups


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
        return open_pool(access)

    return open_host


async def end_before(settings: Settings, run: KnownRun) -> None:
    """End what the interrupted run that is resumed left running, here and at its host.

    Raises:
        UsageError: something of it cannot be ended; a second build would get into its way.
    """
    found = await reap.end_builds(
        run, ProcessGroups(), host_opener(settings), grace_s=settings.grace_s, dry_run=False
    )
    for finding in found:
        if finding.removed:
            click.echo(f"asyncpipe: removed what the run had left: {finding.what}", err=True)
    left = [finding for finding in found if finding.problem]
    if left:
        raise UsageError(
            f"The run {run.folder.name} cannot be resumed: {left[0].what} ({left[0].problem}).",
            hint=f"asyncpipe reap --run {run.folder} shows all of it; or start a new build.",
        )
