"""Boot tests of one process: what they need, their private folders, one at a time."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.boot.disks import pieces_of, unpack
from asyncpipe.boot.ports import OnConsole
from asyncpipe.boot.qemu.needs import find_host
from asyncpipe.model.boot.machine import BootImage, Subject
from asyncpipe.model.boot.result import BootHow, BootResult
from asyncpipe.model.documents import host_boot
from asyncpipe.ports import ProcessRunner
from asyncpipe.system.threads import DaemonWorker

_REMOVE_S: Final = 30.0


class Tester:
    """Tests images in QEMU; a machine takes memory and processors, so there is one at a time.

    ``login_s`` is how long a start may take, None: what is usual; ``script`` is a person's own.
    """

    def __init__(
        self,
        runner: ProcessRunner,
        environment: Mapping[str, str],
        *,
        login_s: float | None = None,
        script: str | None = None,
    ) -> None:
        self._runner = runner
        self._environment = environment
        self._login_s = login_s
        self._script = script
        self._turn = anyio.CapacityLimiter(1)

    def require(self, firmware: str | None = None) -> None:
        """Raise UsageError where something is missing on this machine, with what to install."""
        find_host(firmware=firmware, path=self._environment.get("PATH"))

    async def test_file(
        self,
        xva: Path,
        folder: Path,
        on_console: OnConsole,
        subject: Subject,  # noqa: ARG002 - as the port has it
    ) -> BootResult:
        """Test an XVA on this machine; as ``test``. Whose it is makes no difference here."""
        async with aclosing(pieces_of(xva)) as pieces:
            return await self.test(pieces, folder, on_console)

    async def test(
        self, xva: AsyncIterator[memoryview], folder: Path, on_console: OnConsole
    ) -> BootResult:
        """Test an XVA that comes in pieces; ``folder`` is made, and gone afterwards.

        Raises:
            XvaInvalidError: it is not a valid XVA.
            UsageError: this machine lacks what the image needs.
            BootTestNotRunError: it could not be started, or the machine was lost.
        """
        async with self._turn, private_folder(folder):
            image = await unpack(xva, folder)
            return await self.test_image(image, folder, on_console)

    async def test_image(self, image: BootImage, folder: Path, on_console: OnConsole) -> BootResult:
        """Start disks that are there already."""
        host = find_host(firmware=image.firmware, path=self._environment.get("PATH"))
        # of the extra boot-test: they are there, find_host has looked
        from asyncpipe.boot.qemu.machine import QemuMachines  # noqa: PLC0415
        from asyncpipe.boot.shell import SshShells  # noqa: PLC0415
        from asyncpipe.boot.trial import Limits, Order, boot_test  # noqa: PLC0415

        order = Order(
            image=image,
            folder=folder,
            limits=Limits.of(self._login_s, accelerated=host.kvm),
            how=BootHow.QEMU,
            script=self._script,
        )
        machines = QemuMachines(host, self._runner, self._environment)
        return await boot_test(order, machines, SshShells(), on_console)


@asynccontextmanager
async def private_folder(folder: Path) -> AsyncGenerator[None]:
    """Make a folder that nobody else can read, without what a killed test left; then remove it."""
    try:
        await anyio.to_thread.run_sync(_make, folder)
        yield
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_REMOVE_S):
            await DaemonWorker("boot-test").run(_remove_most, folder)


def _make(folder: Path) -> None:
    _remove(folder)
    folder.mkdir(mode=0o700, parents=True)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_most(folder: Path) -> None:
    """Remove all but the note of what is still at a host: ``reap`` needs that."""
    note = folder / host_boot.NAME
    if not note.is_file():
        _remove(folder)
        return
    for path in folder.iterdir():
        with suppress(OSError):
            if path != note:
                path.unlink()
