"""The shipped fakes of machines and of shells in them, with knobs for what can go wrong.

They pass the contract suite of the real ones (``tests/boot_test/test_contract.py``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.lowlevel import checkpoint

from asyncpipe.errors import flattened
from asyncpipe.model.boot.machine import Account, MachineSpec, MachineState, Ran

PNG = b"\x89PNG\r\n\x1a\n fake"


@dataclass(slots=True)
class FakeMachine:
    """A machine that is on; a test changes ``state`` while it runs."""

    accelerated: bool = True
    ssh_address: tuple[str, int] | None = ("127.0.0.1", 22)
    guest_agent: bool | None = None
    state: MachineState = field(default_factory=MachineState)
    picture: bytes = PNG
    heeds_power_button: bool = True

    async def screenshot(self) -> bytes:
        """What the screen shows."""
        await checkpoint()
        return self.picture

    async def power_down(self, limit_s: float) -> bool:
        """Press the power button."""
        if not self.heeds_power_button:
            await anyio.sleep(limit_s)
            return False
        await checkpoint()
        self.state = MachineState(restarts=self.state.restarts, is_off=True)
        return True


@dataclass(slots=True)
class FakeMachines:
    """Starts one machine after the other; ``started`` has what was asked for, ``ended`` counts."""

    console: Sequence[tuple[float, bytes]] = ()  # (seconds before it, bytes)
    machine: FakeMachine = field(default_factory=FakeMachine)
    error: Exception | None = None  # instead of a start
    started: list[MachineSpec] = field(default_factory=list)
    ended: int = 0

    @asynccontextmanager
    async def start(
        self, spec: MachineSpec, on_console: Callable[[bytes], Awaitable[None]]
    ) -> AsyncIterator[FakeMachine]:
        """Switch it on."""
        await checkpoint()
        self.started.append(spec)
        if self.error is not None:
            raise self.error
        with flattened():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write, on_console)
                try:
                    yield self.machine
                finally:
                    self.ended += 1
                    tasks.cancel_scope.cancel()

    async def _write(self, on_console: Callable[[bytes], Awaitable[None]]) -> None:
        for pause_s, data in self.console:
            await anyio.sleep(pause_s)
            await on_console(data)


@dataclass(slots=True)
class FakeShell:
    """A login; ``answers`` are by a text that the script has in it, the last one that fits."""

    account: Account
    answers: Mapping[str, Callable[[Account], Ran]]
    scripts: list[str] = field(default_factory=list)

    async def run(self, script: str, *, limit_s: float, max_bytes: int) -> Ran:
        """Answer; a script that nothing fits ends well and silently."""
        await checkpoint()
        self.scripts.append(script)
        found = Ran(exit_code=0, output="")
        for part, answer in self.answers.items():
            if part in script:
                found = answer(self.account)
        if found.exit_code is None:
            await anyio.sleep(limit_s)
        output = found.output[:max_bytes]
        return Ran(exit_code=found.exit_code, output=output, cut=output != found.output)


@dataclass(slots=True)
class FakeShells:
    """Lets somebody in after the errors were raised, one an attempt."""

    errors: Sequence[Exception] = ()
    stays: bool = False  # the last error is raised for ever
    hangs_s: float = 0.0  # before the answer
    answers: Mapping[str, Callable[[Account], Ran]] = field(default_factory=dict)
    attempts: int = 0
    shells: list[FakeShell] = field(default_factory=list)

    @asynccontextmanager
    async def login(self, _: tuple[str, int], account: Account) -> AsyncIterator[FakeShell]:
        """Try once."""
        await checkpoint()
        self.attempts += 1
        await anyio.sleep(self.hangs_s)
        if self.attempts <= len(self.errors):
            raise self.errors[self.attempts - 1]
        if self.stays and self.errors:
            raise self.errors[-1]
        shell = FakeShell(account=account, answers=self.answers)
        self.shells.append(shell)
        yield shell
