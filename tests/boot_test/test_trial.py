"""The flow of a boot test, on the shipped fakes and a clock of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import pytest
import trio.testing

from asyncpipe.boot.ports import NoLoginError
from asyncpipe.boot.trial import CONSOLE_BYTES, Limits, Order, boot_test
from asyncpipe.errors import BootTestNotRunError
from asyncpipe.model.boot.machine import Account, BootImage, MachineState, Ran, SshAnswer
from asyncpipe.model.boot.result import BootHow, BootResult, Reason
from asyncpipe.testing.boot import PNG, FakeMachine, FakeMachines, FakeShells
from tests.boot_test.guest import GOOD, said

pytestmark = pytest.mark.anyio

NOTHING = NoLoginError(SshAnswer.NOTHING)
REFUSED = NoLoginError(SshAnswer.REFUSED)
ANSWERS: Mapping[str, Callable[[Account], Ran]] = {
    "say machine-id": lambda account: Ran(
        exit_code=0, output=said({"host-name": (account.host_name,), **GOOD})
    )
}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    # not one that jumps: it would do so while a thread makes the key
    return "trio", {"clock": trio.testing.MockClock(rate=25)}


class Console:
    def __init__(self) -> None:
        self.data = b""

    async def feed(self, data: bytes) -> None:
        self.data += data


async def outcome_of(
    folder: Path,
    machines: FakeMachines,
    shells: FakeShells,
    *,
    script: str | None = None,
    console: Console | None = None,
) -> BootResult:
    disk = folder / "disk-0.raw"
    disk.write_bytes(b"an image")
    image = BootImage(disks=(disk,), firmware="bios", memory_mib=1024, vcpus=1)
    limits = Limits(login_s=60, script_s=60, power_down_s=10)
    order = Order(image=image, folder=folder, limits=limits, how=BootHow.QEMU, script=script)
    with anyio.fail_after(5000):
        return await boot_test(order, machines, shells, (console or Console()).feed)


async def test_an_image_passes_once_somebody_is_in_and_all_checks_hold(tmp_path: Path) -> None:
    machines, shells = FakeMachines(), FakeShells(errors=[NOTHING] * 9, answers=ANSWERS)
    result = await outcome_of(tmp_path, machines, shells)
    assert result.passed, result
    assert result.login_s is not None
    assert result.login_s >= 9
    assert not result.screenshot
    assert machines.machine.state.is_off  # it was asked to switch off
    assert machines.ended == 1


async def test_a_persons_script_decides_too_and_its_output_is_kept(tmp_path: Path) -> None:
    answers = {**ANSWERS, "exit 3": lambda _: Ran(exit_code=3, output="no nginx\n")}
    shells = FakeShells(answers=answers)
    result = await outcome_of(tmp_path, FakeMachines(), shells, script="exit 3\n")
    assert result.reason is Reason.CHECKS
    assert "boot-check: ended with 3: no nginx" in result.says
    assert result.check_output == "no nginx\n"
    assert result.screenshot == PNG


async def test_a_script_that_hangs_ends_at_its_limit(tmp_path: Path) -> None:
    answers = {**ANSWERS, "sleep": lambda _: Ran(exit_code=None, output="")}
    result = await outcome_of(
        tmp_path, FakeMachines(), FakeShells(answers=answers), script="sleep 9999\n"
    )
    assert "boot-check: did not end in time" in result.says


@pytest.mark.parametrize(
    ("console", "shells", "reason"),
    [
        (
            [(9.0, b"\r\nNo bootable device.\r\n")],
            FakeShells([NOTHING], stays=True),
            "no-boot-loader",
        ),
        (
            [(9.0, b"Kernel pa"), (1.0, b"nic - not syncing: VFS\r\n")],
            FakeShells([NOTHING], stays=True),
            "kernel-panic",
        ),
        (
            [(9.0, b"cloud-init[4]: x\nclone login: ")],
            FakeShells([NOTHING], stays=True),
            "no-network",
        ),
        ([], FakeShells([REFUSED], stays=True), "cloud-init-off"),
        ([], FakeShells([NOTHING], stays=True), "timeout"),
    ],
)
async def test_what_does_not_come_up_is_named_and_photographed(
    tmp_path: Path, console: list[tuple[float, bytes]], shells: FakeShells, reason: str
) -> None:
    machines = FakeMachines(console=console)
    result = await outcome_of(tmp_path, machines, shells)
    assert result.reason is not None
    assert result.reason.value == reason
    assert result.login_s is None
    assert result.screenshot == PNG
    assert machines.ended == 1


@pytest.mark.parametrize(
    ("agent", "reason", "words"),
    [(True, "no-network", "reports no address"), (False, "timeout", "no guest agent reported one")],
)
async def test_a_machine_whose_address_never_comes_is_not_logged_in_to(
    tmp_path: Path, *, agent: bool, reason: str, words: str
) -> None:
    machines = FakeMachines(machine=FakeMachine(ssh_address=None, guest_agent=agent))
    shells = FakeShells(answers=ANSWERS)
    result = await outcome_of(tmp_path, machines, shells)
    assert result.reason is not None
    assert result.reason.value == reason
    assert words in result.says
    assert shells.attempts == 0


async def test_a_machine_is_logged_in_to_once_its_address_is_known(tmp_path: Path) -> None:
    machine = FakeMachine(ssh_address=None, guest_agent=True)

    class Announcing(Console):
        async def feed(self, data: bytes) -> None:
            machine.ssh_address = ("192.0.2.7", 22)

    machines = FakeMachines(console=[(5.0, b"lease")], machine=machine)
    shells = FakeShells(answers=ANSWERS)
    result = await outcome_of(tmp_path, machines, shells, console=Announcing())
    assert result.passed, result
    (agent,) = (one for one in result.checks if one.name == "guest-agent")
    assert (agent.outcome.value, agent.says) == ("passed", "it reports to the host")


async def test_a_panic_ends_an_attempt_that_hangs(tmp_path: Path) -> None:
    machines = FakeMachines(machine=FakeMachine(state=MachineState(panicked=True)))
    shells = FakeShells(hangs_s=math.inf)
    with anyio.fail_after(30):
        result = await outcome_of(tmp_path, machines, shells)
    assert result.reason is Reason.KERNEL_PANIC


async def test_a_panic_while_it_is_asked_is_the_reason(tmp_path: Path) -> None:
    machines = FakeMachines(console=[(0.0, b"Kernel panic - not syncing: Fatal exception\r\n")])
    broken = {"say machine-id": lambda _: Ran(exit_code=None, output="")}
    shells = FakeShells(answers=broken)
    result = await outcome_of(tmp_path, machines, shells)
    assert result.reason is Reason.KERNEL_PANIC


async def test_a_machine_that_is_lost_says_nothing_about_the_image(tmp_path: Path) -> None:
    machines = FakeMachines(machine=FakeMachine(state=MachineState(lost="nospace")))
    with pytest.raises(BootTestNotRunError, match="lost: nospace"):
        await outcome_of(tmp_path, machines, FakeShells([NOTHING], stays=True))
    assert machines.ended == 1


async def test_what_cannot_be_started_is_no_failure_of_the_image(tmp_path: Path) -> None:
    machines = FakeMachines(error=BootTestNotRunError("QEMU ended at once"))
    with pytest.raises(BootTestNotRunError, match="ended at once"):
        await outcome_of(tmp_path, machines, FakeShells())


async def test_a_guest_that_ignores_its_power_button_is_not_waited_for_without_end(
    tmp_path: Path,
) -> None:
    machines = FakeMachines(machine=FakeMachine(heeds_power_button=False))
    result = await outcome_of(tmp_path, machines, FakeShells(answers=ANSWERS))
    assert result.passed
    assert machines.ended == 1


async def test_a_cancelled_test_ends_its_machine(tmp_path: Path) -> None:
    machines, scope = FakeMachines(console=[(5.0, b"Linux")]), anyio.CancelScope()

    class Cancelling(Console):
        async def feed(self, data: bytes) -> None:
            scope.cancel()

    with scope:
        shells = FakeShells([NOTHING], stays=True)
        await outcome_of(tmp_path, machines, shells, console=Cancelling())
    assert scope.cancelled_caught
    assert machines.ended == 1


async def test_a_console_that_never_ends_is_kept_to_a_bound(tmp_path: Path) -> None:
    console = Console()
    machines = FakeMachines(console=[(0.0, b"x" * 1024 * 1024)] * 20)
    shells = FakeShells(errors=[NOTHING] * 5, answers=ANSWERS)
    await outcome_of(tmp_path, machines, shells, console=console)
    assert CONSOLE_BYTES < len(console.data) < CONSOLE_BYTES + 100
    assert console.data.endswith(b"the console is left out]\n")
