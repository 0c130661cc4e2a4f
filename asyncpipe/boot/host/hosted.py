"""Boot tests at the host that built an image: who logs in, one machine at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread

from asyncpipe.boot.disks import pieces_of
from asyncpipe.boot.extra import require_extra
from asyncpipe.boot.host.clone import Clone, Places, clone_of
from asyncpipe.boot.ports import OnConsole
from asyncpipe.boot.tester import private_folder
from asyncpipe.host.stream import ImportSource
from asyncpipe.model.boot.machine import Subject
from asyncpipe.model.boot.result import BootHow, BootResult
from asyncpipe.model.host import HostAccess
from asyncpipe.model.template import Template

#: Who logs in where for an image of this template, or of none; UsageError where that is not known.
AccessOf = Callable[[Template | None], HostAccess]


class HostTester:
    """Tests images at a host; ``login_s`` and ``script`` are as those of ``Tester``."""

    def __init__(
        self,
        access_of: AccessOf,
        places: Places,
        *,
        ssh_port: int = 22,
        login_s: float | None = None,
        script: str | None = None,
    ) -> None:
        self._access_of = access_of
        self._places = places
        self._ssh_port = ssh_port
        self._login_s = login_s
        self._script = script
        self._turn = anyio.CapacityLimiter(1)

    def require(self, template: Template | None = None) -> None:
        """Raise UsageError where the extra or a host to log in to is missing."""
        require_extra("asyncssh", "pycdlib")
        self._access_of(template)

    async def test_file(
        self, xva: Path, folder: Path, on_console: OnConsole, subject: Subject
    ) -> BootResult:
        """Test an XVA on this machine; as ``test``."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[AsyncIterator[memoryview]]:
            async with aclosing(pieces_of(xva)) as pieces:
                yield pieces

        size_bytes = (await anyio.Path(xva).stat()).st_size
        source = ImportSource(name=xva.name, size_bytes=size_bytes, open=opened)
        return await self.test(source, folder, on_console, subject)

    async def test(
        self, source: ImportSource, folder: Path, on_console: OnConsole, subject: Subject
    ) -> BootResult:
        """Test an XVA; ``folder`` is made, and gone afterwards, and so is the VM.

        Raises:
            HostError: the host refuses; that says nothing about the image.
            XvaInvalidError, ChecksumError, UploadError: the XVA.
            BootTestNotRunError: it could not be looked at here, or the machine was lost.
        """
        access = self._access_of(subject.template)
        async with self._turn, private_folder(folder):
            making = clone_of(source, access, subject, self._places, folder)
            async with making as clone:
                result = await self._started(clone, folder, on_console)
            return replace(result, remains=clone.remains)

    async def _started(self, clone: Clone, folder: Path, on_console: OnConsole) -> BootResult:
        # of the extra boot-test: they are there, ``require`` has looked
        from asyncpipe.boot.host.running import HostMachines  # noqa: PLC0415
        from asyncpipe.boot.shell import SshShells  # noqa: PLC0415
        from asyncpipe.boot.trial import Limits, Order, boot_test  # noqa: PLC0415

        assert clone.image is not None
        order = Order(
            image=clone.image,
            folder=folder,
            limits=Limits.of(self._login_s, accelerated=True),
            how=BootHow.HOST,
            script=self._script,
        )
        machines = HostMachines(clone, self._ssh_port)
        return await boot_test(order, machines, SshShells(), on_console)
