"""The host beside Packer: mark what a build makes there, and see to it that nothing stays.

Packer's output only claims what happened at the host; with credentials the host itself is asked.
Without them everything works, and what could not be asked is said.
"""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from asyncpipe.errors import HostError
from asyncpipe.model.build import BuildExit, BuildPlan, HostObjects, IsoSource
from asyncpipe.model.clean_up import CleanUp, HostOutcome
from asyncpipe.model.host import FOR_GOOD, HostVdi, Mark, Proof, Remaining
from asyncpipe.ports import Pool
from asyncpipe.reap import host as removal
from asyncpipe.run.host import iso_turn
from asyncpipe.run.host.files import with_digest, write_login
from asyncpipe.run.host.parties import BuildHost, Reports
from asyncpipe.run.host.slow import told_when_slow
from asyncpipe.system.threads import abandonable
from asyncpipe.text.format import size_text, timestamp_of

_DIGEST_S: Final = 60.0
_MARK_S: Final = 30.0
_SETTLE_S: Final = 60.0
_SETTLE_SHORT_S: Final = 1.5  # where the runner kills us soon
_SHORT_GRACE_S: Final = 10.0
_LOGOUT_S: Final = 5.0


@dataclass(slots=True, kw_only=True)
class HostSide:
    """One build's view of its host; nothing here raises into the build."""

    plan: BuildPlan
    run_id: str
    reports: Reports
    host: BuildHost | None = None  # None: no credentials, or no host
    objects: HostObjects = field(default_factory=HostObjects)
    since_utc: str = field(default_factory=lambda: timestamp_of(datetime.now(UTC)))
    outcome: HostOutcome = field(default_factory=lambda: HostOutcome(clean_up=CleanUp.NOTHING_MADE))
    _changed: anyio.Event = field(default_factory=anyio.Event)
    _marked: set[str] = field(default_factory=set)
    _disks: tuple[str, ...] = ()
    _problem: str = ""
    _told_of_iso: bool = False
    _is_settled: bool = False
    _iso: IsoSource | None = None  # with its digest
    _tasks: TaskGroup | None = None
    _sessions: list[str] = field(default_factory=list, repr=False)  # of the plugin

    @property
    def mark(self) -> Mark:
        """What makes things at the host ours."""
        return Mark(
            run_id=self.run_id,
            unit=self.plan.unit,
            machine=platform.node(),
            since_utc=self.since_utc,
        )

    def take(self, objects: HostObjects) -> None:
        """Note something new; called while the line is read, so it does nothing else."""
        retrieved = objects.iso if objects.iso and objects.iso.path else None
        is_new = retrieved is not None and not (self.objects.iso and self.objects.iso.path)
        self.objects = objects
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        if retrieved and is_new and self._tasks:
            self._tasks.start_soon(self._digest_iso, retrieved)

    def hear_session(self, reference: str) -> None:
        """Hear of a session that the plugin opened; it never ends one."""
        self._sessions.append(reference)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Journal and mark what Packer makes, the moment it is named; read the ISO meanwhile."""
        async with anyio.create_task_group() as tasks:
            following = anyio.CancelScope()
            self._tasks = tasks
            tasks.start_soon(self._follow, following)
            try:
                yield
            finally:
                self._tasks = None
                following.cancel()
            tasks.cancel_scope.deadline = anyio.current_time() + _DIGEST_S  # for the ISO's end

    async def _digest_iso(self, iso: IsoSource) -> None:
        """The ISO that Packer retrieved is the best evidence of what is installed."""
        self._iso = await abandonable(with_digest, iso)

    async def _follow(self, scope: anyio.CancelScope) -> None:
        """A host that is slow to take a mark does not keep the journal from being written."""
        with scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._at_changes, self._journal)
                tasks.start_soon(self._at_changes, self._mark_what_is_new)

    async def _at_changes(self, act: Callable[[], Awaitable[None]]) -> None:
        seen = HostObjects()
        while True:
            changed = self._changed
            if seen == self.objects:
                await changed.wait()
            else:
                seen = self.objects
                await act()

    async def _mark_what_is_new(self) -> None:
        if self._unmarked:
            await self._safely(self._mark_all, limit_s=_MARK_S)
        await self._tell_of_reused_iso()

    async def _journal(self) -> None:
        seen = self.objects
        vdis = (*self._disks, *(image.vdi_ref for image in seen.uploads if image.vdi_ref))
        uuids = (seen.vm_uuid,) if seen.vm_uuid else ()
        await self.reports.note_host(
            host=self.host.address if self.host else "",
            instance_uuids=uuids,
            vdis=vdis,
            disk_names=seen.disk_names,
            creating=seen.creating,
        )

    @property
    def _unmarked(self) -> set[str]:
        images = (image.vdi_ref for image in self.objects.uploads)
        return {one for one in (*images, self.objects.vm_uuid) if one} - self._marked

    async def _mark_all(self, pool: Pool) -> None:
        for image in self.objects.uploads:
            if image.vdi_ref in self._unmarked:
                await pool.mark_vdi(image.vdi_ref, self.mark)
                self._marked.add(image.vdi_ref)
        uuid = self.objects.vm_uuid
        if uuid and uuid not in self._marked:
            await pool.mark_vm(uuid, self.mark)
            self._marked.add(uuid)
            self._disks = tuple(vdi.uuid for vdi in await pool.disks_of(uuid))
            await self._journal()

    async def _tell_of_reused_iso(self) -> None:
        """An image that was there before is used as it is, partial ones and other ones too."""
        name = self.objects.reused_iso
        if not name or self._told_of_iso or self.plan.names_iso(name):
            return
        self._told_of_iso = True
        found: list[HostVdi] = []

        async def ask(pool: Pool) -> None:
            found.extend(await pool.vdis(name=name))

        await self._safely(ask, limit_s=_MARK_S)
        details = "; ".join(map(_image_text, found))
        self.reports.warn(
            "iso-reused",
            f"The ISO {name!r} was on the pool before this build and is installed from as it is: "
            f"nothing confirms that it is whole or the one of iso_checksum"
            + (f" ({details})" if details else "")
            + ". If in doubt, remove it there and build again.",
        )

    @asynccontextmanager
    async def iso_turn(
        self, locks: Path, waits: Callable[[str, float], None]
    ) -> AsyncIterator[None]:
        """Have the ISO's image at the host for this build alone."""
        name = self.plan.iso_vdi_name
        image = f"{self.host.address if self.host else ''}/{name}" if name else ""
        async with iso_turn.turn(locks, image, self._others_with_iso, waits):
            yield

    async def _others_with_iso(self) -> str:
        """Name the run that marked an image of this name at the host, "" when no run did."""
        found: list[str] = []

        async def ask(pool: Pool) -> None:
            images = await pool.vdis(name=self.plan.iso_vdi_name)
            marks = (one.mark for one in images if one.mark)
            ours = (self.run_id, self.plan.unit)
            found.extend(one.run_id for one in marks if (one.run_id, one.unit) != ours)

        await self._safely(ask, limit_s=_MARK_S)
        return found[0] if found else ""

    async def unblock(self) -> None:
        """End at the host what holds Packer up: an export that stalls."""
        uuid = self.objects.vm_uuid

        async def end(pool: Pool) -> None:
            await pool.end_tasks(uuid, Proof(run_id=self.run_id, journalled=True))

        if uuid:
            await self._safely(end, limit_s=_MARK_S)

    async def settle(
        self, build_exit: BuildExit | None, *, failed: bool = False
    ) -> HostOutcome | None:
        """See to it, after Packer's end, that nothing of this build stays; bounded, shielded.

        ``failed``: the build did, which a person may want to look at. Returns what became of it,
        the second time None.
        """
        if self._is_settled:
            return None
        self._is_settled = True
        limit_s = _SETTLE_SHORT_S if self.plan.grace_s <= _SHORT_GRACE_S else _SETTLE_S
        self.objects = build_exit.host if build_exit else self.objects
        if self._iso:
            self.objects = replace(self.objects, iso=self._iso)
        with anyio.CancelScope(shield=True):
            if not self.objects.made_something:
                self.outcome = HostOutcome(clean_up=CleanUp.NOTHING_MADE)
            elif failed and self.plan.keep_failed_s and self.objects.vm_uuid:
                await self._keep_failed(self.plan.keep_failed_s)
            elif self.plan.keep_vm:
                why = f"keep_vm of the template is {self.plan.keep_vm!r}"
                self.outcome = self._outcome(CleanUp.KEPT, why=why)
                await self._safely(self._keep_for_good, limit_s=min(limit_s, _MARK_S))
            else:
                what = "the host to remove what is left"
                async with told_when_slow(self.reports.on_waiting, what, limit_s):
                    removed = await self._safely(self._remove, limit_s=limit_s)
                if not removed:
                    self.outcome = self._as_packer_says(build_exit)
            await self._journal()
            await self.reports.note_host(
                remains=self.outcome.sentences, clean_up=self.outcome.clean_up.value
            )
            await self._end_sessions(min(limit_s, _LOGOUT_S))
        return self.outcome

    async def _end_sessions(self, limit_s: float) -> None:
        if self.host is None:
            return
        with anyio.move_on_after(limit_s):
            for reference in self._sessions:
                await self.host.end_session(reference)

    async def _keep_failed(self, keep_s: float) -> None:
        """Leave the VM to a person, with the time from which ``reap`` removes it."""
        until = timestamp_of(datetime.now(UTC) + timedelta(seconds=keep_s))
        uuid, urls = self.objects.vm_uuid, list[str]()

        async def keep(pool: Pool) -> None:
            await pool.mark_vm(uuid, replace(self.mark, keep_until_utc=until))
            urls.append(await pool.console_url(uuid) or "none: it is not running")

        marked = await self._safely(keep, limit_s=_MARK_S)
        login = await anyio.to_thread.run_sync(write_login, self.plan)
        console = urls[0] if urls else "not known"
        why = f"--on-error keep, until {until} when `asyncpipe reap` removes it"
        if not marked:
            why = f"--on-error keep; it could not be marked ({self._problem}): remove it yourself"
        self.outcome = self._outcome(
            CleanUp.KEPT, asked=marked, why=why, private=f"Console: {console}. {login}".strip()
        )
        await self.reports.note_host(keep_until_utc=until)

    async def _keep_for_good(self, pool: Pool) -> None:
        """Say at the host too that the template wants its VM to stay."""
        uuid = self.objects.vm_uuid
        if uuid and await pool.vm(uuid) is not None:
            await pool.mark_vm(uuid, replace(self.mark, keep_until_utc=FOR_GOOD))

    async def _remove(self, pool: Pool) -> None:
        seen = self.objects
        made = removal.MadeThere(
            run_id=self.run_id,
            unit=self.plan.unit,
            vm_uuids=(seen.vm_uuid,) if seen.vm_uuid else (),
            vdis=(*self._disks, *(image.vdi_ref for image in seen.uploads if image.vdi_ref)),
            disk_names=seen.disk_names,
            image_names=tuple(image.name for image in seen.uploads if not image.vdi_ref),
            may_be_unnamed=seen.creating and not seen.vm_uuid,
        )
        remaining = removal.remaining_of(await removal.remove(pool, made))
        state = CleanUp.REMAINS if remaining else CleanUp.REMOVED
        self.outcome = self._outcome(state, asked=True, remaining=remaining)

    def _as_packer_says(self, build_exit: BuildExit | None) -> HostOutcome:
        why = self._problem or "without remote_host and its credentials it could not be asked"
        if self.objects.cleanup_problems:
            return self._outcome(CleanUp.REMAINS, why="; ".join(self.objects.cleanup_problems))
        ended_well = build_exit is not None and build_exit.return_code >= 0
        if ended_well and self.objects.cleaned_up:
            return self._outcome(CleanUp.REMOVED)
        return self._outcome(CleanUp.UNKNOWN, why=why)

    def _outcome(
        self,
        clean_up: CleanUp,
        *,
        asked: bool = False,
        remaining: tuple[Remaining, ...] = (),
        why: str = "",
        private: str = "",
    ) -> HostOutcome:
        return HostOutcome(
            clean_up=clean_up,
            asked=asked,
            vm_uuid=self.objects.vm_uuid,
            remaining=remaining,
            why=why,
            private=private,
        )

    async def _safely(self, ask: Callable[[Pool], Awaitable[None]], *, limit_s: float) -> bool:
        """Ask the host; what goes wrong is said once and never ends the build."""
        if self.host is None:
            return False
        try:
            with anyio.fail_after(limit_s):
                async with self.host.open() as pool:
                    await ask(pool)
        except TimeoutError:
            self._tell(f"the host did not answer within {limit_s:g} s")
        except HostError as error:
            self._tell(f"{error.message} {error.hint}".strip())
        else:
            return True
        return False

    def _tell(self, problem: str) -> None:
        if not self._problem:
            self.reports.warn("host", f"The host could not be asked: {problem}")
        self._problem = problem


def _image_text(vdi: HostVdi) -> str:
    made_by = f", of run {vdi.mark.run_id}" if vdi.mark else ""
    return f"VDI {vdi.uuid}, {size_text(vdi.virtual_size_bytes)}{made_by}"
