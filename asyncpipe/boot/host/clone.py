"""A VM from an XVA for one boot test at a host: made, and gone whatever happens.

XAPI's task of the import is noted in the test's folder before anything is sent. What bears that
task, the run's mark or the name of the test's drive is removed at the end; if the host does not
answer then, the note stays, and ``reap`` does it.
"""

from __future__ import annotations

import platform
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from asyncpipe.boot.disks import XvaDisks, refused_disk
from asyncpipe.errors import AsyncpipeError, HostError
from asyncpipe.host.compression import as_imported
from asyncpipe.host.importing import import_marked
from asyncpipe.host.making.furnish import keep_one_card
from asyncpipe.host.making.placing import network_for, storage_for
from asyncpipe.host.making.raw_disk import create_disk, fill_disk
from asyncpipe.host.pool import XapiPool, open_pool
from asyncpipe.host.records import NULL, Record, number, references
from asyncpipe.host.stream import ImportSource
from asyncpipe.model.boot.machine import GROWN_BYTES, BootImage, Subject
from asyncpipe.model.documents import host_boot
from asyncpipe.model.documents.host_boot import HostBoot
from asyncpipe.model.host import IMPORT_TASK_KEY, HostAccess, HostVm, Mark, Proof, Remaining
from asyncpipe.ports import Piece
from asyncpipe.system.files import replace_file
from asyncpipe.system.threads import DaemonWorker
from asyncpipe.text.format import timestamp_of

_REMOVE_S: Final = 180.0
_LOGIN_AGAIN_S: Final = 60.0  # a toolstack that restarts is back by then
_PAUSE_S: Final = 1.0
_RESIZE_S: Final = 120.0
DRIVE_BYTES: Final = 4 * 1024**2  # repositories round up to that


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where at the host a test runs: names or uuids."""

    storage: str | None = None  # None: the pool's default
    network: str | None = None  # None: as the XVA says


@dataclass(slots=True, kw_only=True)
class Clone:
    """A VM of ours at a host, halted, with the image's disks; ``remains`` is known at the end."""

    access: HostAccess
    pool: XapiPool
    subject: Subject
    folder: Path  # of the test's files here
    storage: str  # reference
    ref: str = ""
    image: BootImage | None = None
    remains: tuple[str, ...] = ()  # sentences
    _task: str = ""
    _since_utc: str = field(default_factory=lambda: timestamp_of(datetime.now(UTC)))

    @property
    def _note_path(self) -> Path:
        return self.folder / host_boot.NAME

    @property
    def _drive_name(self) -> str:
        return f"asyncpipe boot test {self.subject.run_id}"

    async def make(self, source: ImportSource, network: str | None) -> None:
        """Import the VM, read its disks on the way, and fit it as a clone's owner would.

        Raises:
            HostError: the host refuses.
            XvaInvalidError, ChecksumError, UploadError: the XVA.
        """
        reading = _Reading(self.folder, source)
        subject = self.subject
        mark = Mark(
            run_id=subject.run_id,
            unit=subject.unit,
            machine=platform.node(),
            since_utc=self._since_utc,
        )
        self.ref = await import_marked(
            self.access,
            self.pool,
            replace(source, open=reading.open),
            storage=self.storage,
            mark=mark,
            on_task=self._note,
            progress=reading,
        )
        self.image = reading.image
        call = self.pool.session.call
        record: Record = await call("VM.get_record", self.ref)
        if record.get("is_a_template"):
            await call("VM.set_is_a_template", self.ref, False)  # noqa: FBT003 - XAPI's argument
        await call("VM.set_name_label", self.ref, f"{self._drive_name}: {subject.unit}")
        await keep_one_card(self.pool, self.ref, network)
        await self._grow(record)

    async def _note(self, task: str, *, making_disk: bool = False) -> None:
        self._task = task
        note = HostBoot(
            run_id=self.subject.run_id,
            unit=self.subject.unit,
            host=self.access.address,
            task=task,
            disk_name=self._drive_name,
            making_disk=making_disk,
        )
        body = host_boot.encode(note)
        await DaemonWorker("boot-test").run(lambda: replace_file(self._note_path, body, mode=0o600))

    async def _grow(self, record: Record) -> None:
        """Make the boot disk larger, as the owner of a clone does."""
        call = self.pool.session.call
        drives: list[tuple[int, str]] = []
        for vbd in references(record.get("VBDs")):
            one: Record = await call("VBD.get_record", vbd)
            if one.get("type") != "CD" and one.get("VDI", NULL) != NULL:
                drives.append((number(one, "userdevice"), str(one["VDI"])))
        if not drives:
            raise HostError(f"{self.pool.session.endpoint} imported a VM without a disk.")
        disk = min(drives)[1]
        size_bytes = number(await call("VDI.get_record", disk), "virtual_size") + GROWN_BYTES
        await call("VDI.resize", disk, str(size_bytes), timeout_s=_RESIZE_S)

    async def add_drive(self, content: bytes) -> None:
        """Give it a disk with ``content`` at its beginning.

        It is writable: the emulated disk of an HVM guest cannot be otherwise.

        Raises:
            HostError: the host refuses.
        """
        session = self.pool.session
        # killed here, the host may make the disk after ``reap`` has looked for it
        await self._note(self._task, making_disk=True)
        disk = await create_disk(
            session, storage=self.storage, name=self._drive_name, size_bytes=DRIVE_BYTES
        )
        await self._note(self._task)
        padded = content.ljust(DRIVE_BYTES, b"\0")
        await fill_disk(session, self.access.trust, disk, padded)
        places = await session.call("VM.get_allowed_VBD_devices", self.ref)
        fields: dict[str, Any] = {
            "VM": self.ref,
            "VDI": disk,
            "userdevice": min(map(str, places), key=int),
            "bootable": False,
            "mode": "RW",
            "type": "Disk",
            "empty": False,
            "unpluggable": True,
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }
        await session.call("VBD.create", fields)

    async def remove(self) -> None:
        """Leave nothing at the host; shielded, bounded, raises nothing."""
        left: tuple[str, ...] | None = None
        with anyio.CancelScope(shield=True), anyio.move_on_after(_REMOVE_S):
            left = await self._removed()
        if left is None:
            what = f"a VM or disk with {self.subject.run_id} in its name"
            left = (f"The host did not answer: {what} may be at {self.access.address}.",)
        self.remains = left
        if not left:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_PAUSE_S), suppress(OSError):
                await DaemonWorker("boot-test").run(self._note_path.unlink, True)  # noqa: FBT003

    async def _removed(self) -> tuple[str, ...] | None:
        """Say what stays; None: the host could not be asked."""
        if not self._task:
            return ()
        with suppress(HostError):
            return await self._cleared(self.pool)
        with anyio.move_on_after(_LOGIN_AGAIN_S):
            while True:
                with suppress(HostError):
                    async with open_pool(self.access) as pool:
                        return await self._cleared(pool)
                await anyio.sleep(_PAUSE_S)
        return None

    async def _cleared(self, pool: XapiPool) -> tuple[str, ...]:
        proof = Proof(run_id=self.subject.run_id, journalled=True)
        ours = [one for one in await pool.vms() if self._is_ours(one)]
        removals = [await pool.remove_vm(vm.uuid, proof) for vm in ours]
        drives = [one for one in await pool.vdis(name=self._drive_name) if not one.used_by]
        removals += [await pool.remove_vdi(vdi.uuid, proof) for vdi in drives]
        return tuple(_sentence(one) for removal in removals for one in removal.remaining)

    def _is_ours(self, vm: HostVm) -> bool:
        return vm.other_config.get(IMPORT_TASK_KEY) == self._task


def _sentence(left: Remaining) -> str:
    return f"{left} ({left.command})"


@asynccontextmanager
async def clone_of(
    source: ImportSource, access: HostAccess, subject: Subject, places: Places, folder: Path
) -> AsyncIterator[Clone]:
    """Make a VM from an XVA; nothing of it is at the host after the context, or it is said.

    Raises:
        HostError: the host cannot be reached, refuses, or has no room or no such network.
        XvaInvalidError, ChecksumError, UploadError: the XVA.
    """
    async with open_pool(access) as pool:
        size_bytes = source.content_size_bytes
        storage = await storage_for(pool, places.storage, size_bytes, option="--boot-sr")
        network = await network_for(pool, places.network)
        source = await as_imported(pool, source)
        clone = Clone(access=access, pool=pool, subject=subject, folder=folder, storage=storage)
        try:
            await clone.make(source, network)
            yield clone
        except BaseException as error:
            await clone.remove()
            if clone.remains and isinstance(error, AsyncpipeError):
                error.hint = " ".join((error.hint, *clone.remains)).strip()
            raise
        else:
            await clone.remove()


class _Reading:
    """Writes an XVA's disks here while it goes to the host; the guest's ids are looked for there.

    A redirected import reads from the beginning once more.
    """

    def __init__(self, folder: Path, source: ImportSource) -> None:
        self._folder = folder
        self._source = source
        self.image: BootImage | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[AsyncIterator[Piece]]:
        """Open the source."""
        await anyio.to_thread.run_sync(self._clear)
        with XvaDisks(self._folder) as disks:
            async with self._source.open() as pieces:
                yield self._read(pieces, disks)

    def _clear(self) -> None:
        for path in self._folder.glob("disk-*.raw"):
            path.unlink()

    async def _read(self, pieces: AsyncIterator[Piece], disks: XvaDisks) -> AsyncGenerator[Piece]:
        with refused_disk(self._folder):
            async for piece in pieces:
                if not disks.validator.rejected:  # the import has a judge of its own
                    await anyio.to_thread.run_sync(disks.validator.feed, piece)
                yield piece
            if not disks.validator.rejected:
                self.image = await anyio.to_thread.run_sync(disks.finish)

    def sent(self, sent_bytes: int) -> None:
        """Nobody is shown the progress of a test's import."""

    def warn(self, text: str) -> None:
        """What an import leaves is looked for at the end of the test."""
