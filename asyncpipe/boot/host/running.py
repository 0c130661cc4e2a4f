"""A VM that runs at a host, seen through XAPI: its power, its guest metrics, no console.

XAPI hands out a guest's screen (VNC) and no serial console. A reset shows as a new domain id
(``VM.domid``), a machine that is off as ``Halted``; addresses are those that the guest agent
reports (``VM_guest_metrics.networks``: ``0/ip``, ``0/ipv4/0``, ``0/ipv6/0``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.boot.host.clone import Clone
from asyncpipe.boot.ports import Address, OnConsole
from asyncpipe.errors import HostError, HostMissingError, flattened
from asyncpipe.host.records import NULL, Record, text, texts
from asyncpipe.model.boot.machine import MachineSpec, MachineState

_START_S: Final = 180.0  # a host may have to attach disks of a slow repository
_OFF_S: Final = 60.0
_LOOK_EVERY_S: Final = 2.0
_SILENT_S: Final = 60.0  # a host that answers nothing for so long is lost
_NO_DOMAIN: Final = "-1"
_NO_CONSOLE: Final = b"[the host offers no serial console: what the guest writes is not seen]\n"


class HostMachines:
    """Starts the one machine of a clone; ``ssh_port`` is where its SSH server listens."""

    def __init__(self, clone: Clone, ssh_port: int) -> None:
        self._clone = clone
        self._ssh_port = ssh_port

    @asynccontextmanager
    async def start(self, spec: MachineSpec, on_console: OnConsole) -> AsyncIterator[HostMachine]:
        """Give it its NoCloud drive and switch it on; leaving switches it off.

        Raises:
            HostError: the host refuses.
        """
        await on_console(_NO_CONSOLE)
        await self._clone.add_drive(await anyio.to_thread.run_sync(spec.seed.read_bytes))
        machine = HostMachine(self._clone, self._ssh_port)
        try:
            await machine.switch_on()
            with flattened():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(machine.follow)
                    try:
                        yield machine
                    finally:
                        tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await machine.switch_off()


class HostMachine:
    """A VM that was switched on."""

    accelerated = True  # by the hypervisor

    def __init__(self, clone: Clone, ssh_port: int) -> None:
        self.ssh_address: Address | None = None
        self.guest_agent: bool | None = False
        self.state = MachineState()
        self._session = clone.pool.session
        self._ref = clone.ref
        self._ssh_port = ssh_port
        self._domain = ""

    async def switch_on(self) -> None:
        """Start it, neither paused nor forced."""
        await self._session.call("VM.start", self._ref, False, False, timeout_s=_START_S)  # noqa: FBT003 - XAPI's arguments

    async def switch_off(self) -> None:
        """Cut its power if it has any; what the host refuses shows when the VM is removed."""
        with anyio.move_on_after(_OFF_S), suppress(HostError):
            record: Record = await self._session.call("VM.get_record", self._ref)
            if record.get("power_state") != "Halted":
                await self._session.call("VM.hard_shutdown", self._ref, timeout_s=_OFF_S)
        self.state = replace(self.state, is_off=True)

    async def follow(self) -> None:
        """Keep state and address up to date until the machine is lost."""
        heard_s = anyio.current_time()
        while not self.state.lost:
            try:
                await self._look()
            except HostMissingError:
                self._lose("somebody removed its VM from the host")
            except HostError as error:
                if anyio.current_time() - heard_s > _SILENT_S:
                    self._lose(error.message.rstrip("."))
            else:
                heard_s = anyio.current_time()
            await anyio.sleep(_LOOK_EVERY_S)

    def _lose(self, why: str) -> None:
        self.state = replace(self.state, lost=why)

    async def _look(self) -> None:
        record: Record = await self._session.call("VM.get_record", self._ref)
        domain = text(record, "domid")
        if record.get("power_state") == "Halted":
            self.state = replace(self.state, is_off=True)
        elif domain not in {"", _NO_DOMAIN, self._domain}:
            restarts = self.state.restarts + 1 if self._domain else 0
            self.state = replace(self.state, restarts=restarts)
            self._domain = domain
        metrics = record.get("guest_metrics", NULL)
        if metrics == NULL:
            return
        try:
            said: Record = await self._session.call("VM_guest_metrics.get_record", metrics)
        except HostMissingError:
            return  # a restarted guest has new ones
        networks = texts(said.get("networks"))
        self.guest_agent = bool(
            self.guest_agent
            or networks
            or texts(said.get("os_version"))
            or said.get("PV_drivers_version")
        )
        if address := address_in(networks):
            self.ssh_address = (address, self._ssh_port)

    async def screenshot(self) -> bytes:
        """Return nothing: a host shows its screen over VNC only."""
        return b""

    async def power_down(self, limit_s: float) -> bool:
        """Ask the guest to shut down; False: it has no agent, or takes longer."""
        try:
            await self._session.call("VM.clean_shutdown", self._ref, timeout_s=limit_s)
        except HostError:
            return False
        self.state = replace(self.state, is_off=True)
        return True


def address_in(networks: Mapping[str, str]) -> str | None:
    """The address to try: the first of IPv4, else of IPv6; none that leads nowhere.

    The guest reports them, and it is not trusted: what is no address is skipped.
    """
    found = [one for key in sorted(networks) if (one := _usable(networks[key])) is not None]
    in_order = sorted(found, key=lambda one: one.version)
    return str(in_order[0]) if in_order else None


def _usable(said: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(said.strip())
    except ValueError:
        return None
    nowhere = address.is_link_local or address.is_multicast or address.is_unspecified
    return None if nowhere else address
