"""What a boot test asks of the world: machines, and a shell in one that is running."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from asyncpipe.model.boot.machine import Account, MachineSpec, MachineState, Ran, SshAnswer

Address = tuple[str, int]  # host, port
OnConsole = Callable[[bytes], Awaitable[None]]


class NoLoginError(Exception):
    """Nobody could be logged in; ``answer`` says how far the attempt came."""

    def __init__(self, answer: SshAnswer) -> None:
        super().__init__(answer.value)
        self.answer = answer


class Machine(Protocol):
    """A machine that was switched on; leaving its context ends it, whatever it does."""

    @property
    def accelerated(self) -> bool:
        """Whether the processor runs the guest's code itself."""
        ...

    @property
    def ssh_address(self) -> Address | None:
        """Where its SSH port can be reached from here; None until that is known."""
        ...

    @property
    def guest_agent(self) -> bool | None:
        """Whether the hypervisor hears a guest agent; None where no agent could be heard."""
        ...

    @property
    def state(self) -> MachineState:
        """What became of it so far."""
        ...

    async def screenshot(self) -> bytes:
        """Take a picture of its screen, a PNG; ``b""`` when it shows none."""
        ...

    async def power_down(self, limit_s: float) -> bool:
        """Press the power button; True when the machine is off within the limit."""
        ...


class Machines(Protocol):
    """Starts machines."""

    def start(
        self, spec: MachineSpec, on_console: OnConsole
    ) -> AbstractAsyncContextManager[Machine]:
        """Switch a machine on; its serial console goes to ``on_console``.

        Raises:
            BootTestNotRunError: it cannot be started here.
            HostError: the host cannot start it.
        """
        ...


class Shell(Protocol):
    """A login in a guest, which is not trusted."""

    async def run(self, script: str, *, limit_s: float, max_bytes: int) -> Ran:
        """Run a shell script; a connection that breaks ends it as the limit does."""
        ...


class Shells(Protocol):
    """Logs in by SSH."""

    def login(self, address: Address, account: Account) -> AbstractAsyncContextManager[Shell]:
        """Try once.

        Raises:
            NoLoginError: it did not work.
        """
        ...
