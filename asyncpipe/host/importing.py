"""Import an XVA into a host: choose where, stream, name what came; or leave nothing behind."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import anyio

from asyncpipe.errors import (
    AsyncpipeError,
    DestinationTakenError,
    HostError,
    HostMissingError,
    UsageError,
)
from asyncpipe.host.compression import as_imported
from asyncpipe.host.making.furnish import Furnishing, furnish, rename
from asyncpipe.host.making.placing import network_for, storage_for
from asyncpipe.host.pool import XapiPool, open_pool
from asyncpipe.host.records import Record, is_plain_vm, text, texts
from asyncpipe.host.stream import ImportProgress, ImportSource, stream
from asyncpipe.model.host import DIGEST_KEY, IMPORT_TASK_KEY, VERSION_KEY, HostAccess, Mark
from asyncpipe.text.safe import printable

_UNDO_S: Final = 120.0
_TASK_ENDS_S: Final = 10.0
_LOGIN_AGAIN_S: Final = 60.0  # a toolstack that restarts is back by then
_PAUSE_S: Final = 1.0
OnTask = Callable[[str], Awaitable[None]]
_REFERENCE: Final = re.compile(r"OpaqueRef:[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What becomes of the VM."""

    storage: str | None = None  # name or uuid of an SR; None: the pool's default
    network: str | None = None  # name or uuid; None: as the XVA says
    as_template: bool = False
    replace_latest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import made."""

    host: str
    vm_uuid: str
    vm_name: str
    sha256_hex: str
    duration_s: float
    renamed: tuple[str, ...] = ()  # new names of the templates that made room
    was_there: bool = False  # nothing was sent


async def import_xva(
    access: HostAccess, source: ImportSource, options: ImportOptions, progress: ImportProgress
) -> Imported:
    """Import an XVA; on any failure, and when cancelled, the host is as it was before.

    Raises:
        HostError, HostMissingError, HostFullError: the host.
        DestinationTakenError: somebody else's VM has the name.
        ChecksumError, XvaInvalidError, UploadError: the source.
    """
    if options.replace_latest and (not options.as_template or source.version is None):
        raise UsageError("--replace-latest goes with --as-template and a published version.")
    started_s = time.monotonic()
    async with open_pool(access) as pool:
        source = await as_imported(pool, source)
        name = wanted_name(source, options)
        size_bytes = source.content_size_bytes
        storage = await storage_for(pool, options.storage, size_bytes, option="--sr")
        network = await network_for(pool, options.network)
        templates = await _templates_of(pool, source, name)
        furnishing = Furnishing(source=source, name=name, network=network, older=templates.older)
        if templates.same is not None:
            ref, record = templates.same
            renamed = await rename(pool, ref, record, furnishing)
            digest = source.sha256_hex or ""
        else:
            ref, digest, renamed = await _Import(
                access=access,
                pool=pool,
                source=source,
                storage=storage,
                furnishing=furnishing,
                progress=progress,
            ).run()
        record = await pool.session.call("VM.get_record", ref)
        return Imported(
            host=str(pool.session.asked),
            vm_uuid=text(record, "uuid"),
            vm_name=text(record, "name_label"),
            sha256_hex=digest,
            duration_s=time.monotonic() - started_s,
            renamed=renamed,
            was_there=templates.same is not None,
        )


async def import_marked(
    access: HostAccess,
    pool: XapiPool,
    source: ImportSource,
    *,
    storage: str,
    mark: Mark,
    on_task: OnTask,
    progress: ImportProgress,
) -> str:
    """Import an XVA as a VM of a run; returns its reference. A failure leaves nothing behind.

    ``on_task`` is called with the reference of XAPI's task before anything is sent: the VM bears
    it (``IMPORT_TASK_KEY``) before it can bear the mark.

    Raises: as ``import_xva``.
    """
    furnishing = Furnishing(source=source, name=None, network=None, mark=mark)
    importing = _Import(
        access=access,
        pool=pool,
        source=source,
        storage=storage,
        furnishing=furnishing,
        progress=progress,
        on_task=on_task,
    )
    return (await importing.run())[0]


def wanted_name(source: ImportSource, options: ImportOptions) -> str | None:
    """``debian12`` when it replaces the latest, else ``debian12@TIMESTAMP``; None: as it is."""
    if not options.as_template:
        return None
    if options.replace_latest and source.version:
        return source.version.partition("@")[0]
    return source.version or ""


@dataclass(slots=True, kw_only=True)
class _Import:
    """One import under way, and how it is undone."""

    access: HostAccess
    pool: XapiPool
    source: ImportSource
    storage: str  # reference
    furnishing: Furnishing
    progress: ImportProgress
    on_task: OnTask | None = None
    made: list[str] = field(default_factory=list)  # references of VMs

    async def run(self) -> tuple[str, str, tuple[str, ...]]:
        """Returns the VM's reference, the digest, and what was renamed."""
        session = self.pool.session
        label = printable(self.source.name, 200)
        task = str(await session.call("task.create", "asyncpipe import", label))
        try:
            if self.on_task is not None:
                await self.on_task(task)
            digest = await stream(
                session,
                self.access.trust,
                self.source,
                task=task,
                storage=self.storage,
                progress=self.progress,
            )
            self.made = await self._result(task)
            renamed = await furnish(self.pool, self.made[0], self.furnishing, digest)
        except BaseException as error:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_UNDO_S):
                await self._undo(task, error)
            raise
        with anyio.move_on_after(_TASK_ENDS_S, shield=True), suppress(HostError):
            await session.call("task.destroy", task)
        return self.made[0], digest, renamed

    async def _result(self, task: str) -> list[str]:
        result = str(await self.pool.session.call("task.get_result", task))
        made = _REFERENCE.findall(result) or list(await _made_by(self.pool, task))
        if not made:
            raise HostError(f"{self.pool.session.endpoint} imported no VM, yet reports success.")
        return made

    async def _undo(self, task: str, error: BaseException) -> None:
        """Remove what the import made; say so where that cannot be done."""
        left: str | None
        try:
            left = await self._cleared(self.pool, task)
        except HostError:
            left = await self._cleared_again(task)
        if left is None:
            where = f"xe vm-list other-config:{IMPORT_TASK_KEY}={task}"
            left = f"A partly imported VM may remain on {self.access.address}: {where}"
        if left and isinstance(error, AsyncpipeError):
            error.hint = f"{error.hint} {left}".strip()
        elif left:
            self.progress.warn(left)

    async def _cleared_again(self, task: str) -> str | None:
        """Log in again until the host answers again; None when it does not."""
        with anyio.move_on_after(_LOGIN_AGAIN_S):
            while True:
                try:
                    async with open_pool(self.access) as pool:
                        return await self._cleared(pool, task)
                except HostError:
                    await anyio.sleep(_PAUSE_S)
        return None

    async def _cleared(self, pool: XapiPool, task: str) -> str:
        """Returns what remains, empty when nothing does."""
        session = pool.session
        with suppress(HostMissingError):
            await session.call("task.cancel", task)
            await self._host_is_done(pool, task)
        made = await _made_by(pool, task)
        for ref in self.made:
            with suppress(HostMissingError):
                made.setdefault(ref, await session.call("VM.get_record", ref))
        removals = [await pool.remove_machine(ref, record) for ref, record in made.items()]
        with suppress(HostError):
            await session.call("task.destroy", task)
        remaining = [one for removal in removals for one in removal.remaining]
        return " ".join(f"{one} remains: {one.command}" for one in remaining)

    async def _host_is_done(self, pool: XapiPool, task: str) -> None:
        """Wait, but not long, while XAPI cleans up; a task that it never took stays pending."""
        began_s = anyio.current_time()
        while (waited_s := anyio.current_time() - began_s) < _TASK_ENDS_S:
            if await pool.session.call("task.get_status", task) != "pending":
                return
            if waited_s > _PAUSE_S and not await _made_by(pool, task):
                return
            await anyio.sleep(_PAUSE_S / 4)


async def _made_by(pool: XapiPool, task: str) -> dict[str, Record]:
    """The VMs that XAPI says this import made."""
    records: dict[str, Record] = await pool.session.call("VM.get_all_records")
    return {
        ref: record
        for ref, record in records.items()
        if texts(record.get("other_config")).get(IMPORT_TASK_KEY) == task
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Templates:
    """Templates on the host that matter to this import."""

    same: tuple[str, Record] | None  # this very version
    older: Sequence[tuple[str, Record]]  # of ours, with the wanted name


async def _templates_of(pool: XapiPool, source: ImportSource, name: str | None) -> _Templates:
    if not name:
        return _Templates(same=None, older=())
    records: dict[str, Record] = await pool.session.call("VM.get_all_records")
    same: tuple[str, Record] | None = None
    older: list[tuple[str, Record]] = []
    for ref, record in records.items():
        config = texts(record.get("other_config"))
        is_same = config.get(VERSION_KEY) == source.version and record.get("is_a_template")
        if is_same and source.sha256_hex and config.get(DIGEST_KEY) == source.sha256_hex:
            same = (ref, record)
        elif is_plain_vm(record) and text(record, "name_label") == name:
            if VERSION_KEY not in config or not record.get("is_a_template"):
                raise DestinationTakenError(
                    f"{pool.session.endpoint} has a VM {name!r} that asyncpipe did not import.",
                    hint="Rename it: two with one name cannot be distinguished.",
                )
            older.append((ref, record))
    return _Templates(same=same, older=older)
