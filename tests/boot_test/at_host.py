"""A guest at a stand-in host: what XAPI's drive has on it is what its SSH server believes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from asyncpipe.boot.host.clone import Places, clone_of
from asyncpipe.boot.host.running import HostMachine, HostMachines
from asyncpipe.boot.ports import OnConsole
from asyncpipe.model.boot.machine import MachineSpec, Subject
from tests.boot_test.guest import Guest, running
from tests.host.access import access_to
from tests.host.sources import source_of, xva
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn

LEFT_BY_A_KILL = {"session": 1}  # nobody logged out


@contextmanager
def host_with_guest(folder: Path, **guest: Any) -> Iterator[tuple[XapiStandIn, Guest]]:
    """Serve both; each VM that is started is the guest."""
    with running_xapi() as xapi:

        def drive() -> bytes:
            disks = xapi.state.tables["VDI"]
            (ref,) = (ref for ref, vdi in disks.items() if "boot test" in vdi["name_label"])
            return xapi.state.contents[ref]

        with running(Guest(folder=folder, drive_image=drive, **guest)) as served:
            yield xapi, served


class ImportedMachines:
    """``HostMachines`` with an import before each start, so that it has something to start."""

    def __init__(self, xapi: XapiStandIn, ssh_port: int) -> None:
        self._xapi = xapi
        self._ssh_port = ssh_port

    @asynccontextmanager
    async def start(self, spec: MachineSpec, on_console: OnConsole) -> AsyncIterator[HostMachine]:
        subject = Subject(run_id="20261127T120000Z-0123abcd", unit="debian-12")
        access, folder = access_to(self._xapi), spec.folder / "clone"
        folder.mkdir()
        making = clone_of(source_of(xva()), access, subject, Places(), folder)
        async with (
            making as clone,
            HostMachines(clone, self._ssh_port).start(spec, on_console) as machine,
        ):
            yield machine


def running_vms(xapi: XapiStandIn) -> list[str]:
    """Names of the VMs that run, less dom0."""
    with xapi.state.lock:
        return [
            str(vm["name_label"])
            for vm in xapi.state.tables["VM"].values()
            if vm["power_state"] == "Running" and not vm["is_control_domain"]
        ]
