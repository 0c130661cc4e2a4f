"""The contract of machines and shells: the fakes, QEMU's QMP, XAPI and SSH as spoken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.boot.ports import Address, Machine, Machines, NoLoginError, Shells
from asyncpipe.boot.qemu.arguments import Host
from asyncpipe.boot.qemu.machine import QemuMachines
from asyncpipe.boot.seed import new_account, write_seed
from asyncpipe.boot.shell import SshShells
from asyncpipe.errors import BootTestNotRunError, HostError
from asyncpipe.model.boot.machine import Account, BootImage, MachineSpec, Ran, SshAnswer
from asyncpipe.system.process import SystemProcessRunner
from asyncpipe.testing.boot import FakeMachines, FakeShells
from tests.boot_test.at_host import ImportedMachines, host_with_guest
from tests.boot_test.guest import LOGIN, Guest, running, stand_in

pytestmark = pytest.mark.anyio
SAYS = Ran(exit_code=3, output="much" * 10)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class World:
    """A machine that can be started, and a guest in it."""

    machines: Machines
    shells: Shells
    spec: MachineSpec
    account: Account
    shows: bytes = b"boot login:"  # on its console
    has_screen: bool = True


@pytest.fixture(params=["fake", "qemu", "host"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Make a world; ``refuses`` and ``dies`` are what goes wrong in it."""
    account = new_account()
    folder = tmp_path / ("a-long-name-" * 9)  # longer than the path of a socket may be
    folder.mkdir()
    disk = folder / "disk-0.raw"
    disk.write_bytes(b"x")
    image = BootImage(disks=(disk,), firmware="bios", memory_mib=64, vcpus=1)
    spec = MachineSpec(image=image, seed=folder / "seed.iso", folder=folder)
    write_seed(spec.seed, account)
    with ExitStack() as stack:

        def make(*, refuses: bool = False, dies: str = "") -> World:
            if request.param == "fake":
                error = BootTestNotRunError(f"it ended at once. {dies}") if dies else None
                machines = FakeMachines(console=[(0.0, LOGIN.encode())], error=error)
                errors = [NoLoginError(SshAnswer.REFUSED)] if refuses else []
                shells = FakeShells(errors, stays=True, answers={"say much": lambda _: SAYS})
                return World(machines, shells, spec, account)
            if request.param == "host":
                more = {"refuses": refuses, "check": (3, SAYS.output)}
                opened = host_with_guest(tmp_path / "guest", **more)
                xapi, served = stack.enter_context(opened)
                if dies:
                    xapi.faults.fail("VM.start", "INTERNAL_ERROR", dies)
                there = ImportedMachines(xapi, served.port)
                shows = b"no serial console"
                return World(there, SshShells(), spec, account, shows=shows, has_screen=False)
            guest = Guest(tmp_path / "qemu", refuses=refuses, check=(3, SAYS.output), hangs="sleep")
            stack.enter_context(running(guest))
            program = stand_in(guest.folder, port=guest.port, dies=dies)
            host = Host(qemu=str(program), kvm=False)
            real = QemuMachines(host, SystemProcessRunner(), {"PATH": "/usr/bin:/bin"})
            return World(real, SshShells(), spec, account)

        yield make


async def test_a_machine_shows_its_console_heeds_its_button_and_ends(world: Any) -> None:
    one, console, complete = world(), bytearray(), anyio.Event()

    async def feed(data: bytes) -> None:
        console.extend(data)
        if one.shows in console:
            complete.set()

    with anyio.fail_after(60):
        async with one.machines.start(one.spec, feed) as machine:
            await complete.wait()
            assert not machine.state.is_off
            assert (await machine.screenshot()).startswith(b"\x89PNG") == one.has_screen
            assert await machine.power_down(30)
            assert machine.state.is_off
            assert not machine.state.lost


async def test_a_login_runs_scripts_and_bounds_what_they_say(world: Any) -> None:
    one = world()
    with anyio.fail_after(60):
        async with one.machines.start(one.spec, _ignore) as machine:
            login = one.shells.login(await address_of(machine), one.account)
            async with login as shell:
                assert await shell.run("say much", limit_s=30, max_bytes=1000) == SAYS
                cut = await shell.run("say much", limit_s=30, max_bytes=8)
                assert cut == Ran(exit_code=3, output="muchmuch", cut=True)


async def test_a_key_that_is_refused_is_an_answer(world: Any) -> None:
    one = world(refuses=True)
    with anyio.fail_after(60):
        async with one.machines.start(one.spec, _ignore) as machine:
            address = await address_of(machine)
            with pytest.raises(NoLoginError) as caught:
                async with one.shells.login(address, one.account):
                    pass
    assert caught.value.answer is SshAnswer.REFUSED


async def test_a_machine_that_cannot_be_started_says_why(world: Any) -> None:
    one = world(dies="no such device")
    failures = (BootTestNotRunError, HostError)
    with anyio.fail_after(60), pytest.raises(failures, match="no such device"):
        async with one.machines.start(one.spec, _ignore):
            pass


async def address_of(machine: Machine) -> Address:
    """Where its SSH server is, once that is known."""
    while machine.ssh_address is None:  # noqa: ASYNC110 - the port has no event of it
        await anyio.sleep(0.02)
    return machine.ssh_address


async def _ignore(_: bytes) -> None:
    pass
