"""THE FLOW of a boot test: start, wait for a login, ask, judge, switch off."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.boot import judge, probe
from asyncpipe.boot.disks import any_occurs
from asyncpipe.boot.ports import Machine, Machines, NoLoginError, OnConsole, Shell, Shells
from asyncpipe.boot.seed import new_account, write_seed
from asyncpipe.errors import BootTestNotRunError, flattened
from asyncpipe.model.boot.machine import Account, BootImage, MachineSpec, SshAnswer
from asyncpipe.model.boot.result import BootHow, BootResult, Check, CheckOutcome, Reason
from asyncpipe.system.threads import DaemonWorker
from asyncpipe.text.format import counted

CHECK_BYTES: Final = 256 * 1024  # of the output of a person's script
CONSOLE_BYTES: Final = 8 * 1024**2  # that are kept of one; a start writes some 100 KiB
_TAIL_BYTES: Final = 64 * 1024  # of the console: what is judged
_LOOK_EVERY_S: Final = 1.0
_TRY_EVERY_S: Final = 1.0
_TRY_EMULATED_EVERY_S: Final = 5.0  # a key exchange costs such a guest seconds of its processor
_ATTEMPT_S: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long each wait may take."""

    login_s: float
    script_s: float
    power_down_s: float = 60.0

    @property
    def cloud_init_s(self) -> float:
        """After a login cloud-init has little left to do."""
        return self.login_s

    @classmethod
    def of(cls, login_s: float | None, *, accelerated: bool) -> Limits:
        """Those of a machine with KVM, or of an emulated one, which takes many times as long."""
        if login_s is None:
            login_s = 600.0 if accelerated else 2400.0
        return cls(login_s=login_s, script_s=login_s, power_down_s=60.0 if accelerated else 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is tested: an image, in a private folder, with a person's script where they gave one."""

    image: BootImage
    folder: Path
    limits: Limits
    how: BootHow
    script: str | None = None


class _Console:
    """The console's end, for the judge; its beginning goes on to whoever keeps it."""

    def __init__(self, on_console: OnConsole) -> None:
        self._on_console = on_console
        self._tail = b""
        self._left_bytes = CONSOLE_BYTES

    async def feed(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        if self._left_bytes:
            await self._on_console(data[: self._left_bytes])
            self._left_bytes -= min(len(data), self._left_bytes)
            if not self._left_bytes:
                await self._on_console(b"\n[the rest of the console is left out]\n")

    def text(self) -> str:
        return judge.readable(self._tail)


async def boot_test(
    order: Order, machines: Machines, shells: Shells, on_console: OnConsole
) -> BootResult:
    """Start the image once, as a clone, and say what became of it.

    Raises:
        BootTestNotRunError: it could not be started here, or the machine was lost.
        HostError: the host could not start it.
    """
    try:
        account = await anyio.to_thread.run_sync(new_account)
        seed = order.folder / "seed.iso"
        await anyio.to_thread.run_sync(write_seed, seed, account)
        spec = MachineSpec(image=order.image, seed=seed, folder=order.folder)
        console = _Console(on_console)
        async with machines.start(spec, console.feed) as machine:
            trial = _Trial(order, machine, shells, account, console)
            result = await trial.run()
            if not result.passed:
                result = replace(result, screenshot=await machine.screenshot())
            if not machine.state.is_off and result.login_s is not None:
                await machine.power_down(order.limits.power_down_s)
    except OSError as error:
        why = error.strerror or str(error)
        raise BootTestNotRunError(f"The image could not be started: {why}.") from error
    return result


class _Trial:
    def __init__(
        self,
        order: Order,
        machine: Machine,
        shells: Shells,
        account: Account,
        console: _Console,
    ) -> None:
        self._order = order
        self._machine = machine
        self._shells = shells
        self._account = account
        self._console = console
        self._seen = judge.Seen(limit_s=order.limits.login_s)
        self._refused_since_s: float | None = None
        self._silent_since_s: float | None = None
        self._stuck_since_s: float | None = None
        self._agent_since_s: float | None = None

    async def run(self) -> BootResult:
        started_s = anyio.current_time()
        result = BootResult(
            how=self._order.how,
            firmware=self._order.image.firmware,
            accelerated=self._machine.accelerated,
        )
        async with AsyncExitStack() as stack:
            shell = await self._login(stack, started_s)
            if isinstance(shell, judge.Failure):
                return replace(result, reason=shell.reason, says=shell.says)
            login_s = anyio.current_time() - started_s
            result = replace(result, login_s=round(login_s, 1))
            return await self._asked(shell, result)

    async def _login(self, stack: AsyncExitStack, started_s: float) -> Shell | judge.Failure:
        """Try until somebody is logged in or nothing is left to wait for.

        The watch over the machine goes on while an attempt hangs.
        """
        with flattened():
            return await self._login_watched(stack, started_s)

    async def _login_watched(
        self, stack: AsyncExitStack, started_s: float
    ) -> Shell | judge.Failure:
        async with anyio.create_task_group() as tasks:
            outcome: list[judge.Failure] = []

            async def watch() -> None:
                while True:
                    if failure := self._failure(started_s):
                        outcome.append(failure)
                        tasks.cancel_scope.cancel()
                        return
                    await anyio.sleep(_LOOK_EVERY_S)

            tasks.start_soon(watch)
            shell = await self._try_until_in(stack)
            tasks.cancel_scope.cancel()
            return shell
        return outcome[0]

    async def _try_until_in(self, stack: AsyncExitStack) -> Shell:
        pause_s = _TRY_EVERY_S if self._machine.accelerated else _TRY_EMULATED_EVERY_S
        while True:
            if (address := self._machine.ssh_address) is not None:
                try:
                    with anyio.move_on_after(_ATTEMPT_S):
                        login = self._shells.login(address, self._account)
                        return await stack.enter_async_context(login)
                except NoLoginError as error:
                    self._note(error.answer)
            await anyio.sleep(pause_s)

    def _note(self, answer: SshAnswer) -> None:
        self._seen = replace(self._seen, ssh=answer)
        if answer is SshAnswer.REFUSED and self._refused_since_s is None:
            self._refused_since_s = anyio.current_time()

    def _failure(self, started_s: float) -> judge.Failure | None:
        state, now_s = self._machine.state, anyio.current_time()
        if state.lost:
            raise BootTestNotRunError(f"The machine of the boot test was lost: {state.lost}.")
        console = self._console.text()
        if self._silent_since_s is None and judge.came_up(console):
            self._silent_since_s = now_s
        if not judge.is_stuck(console):
            self._stuck_since_s = None
        elif self._stuck_since_s is None:
            self._stuck_since_s = now_s
        if self._machine.guest_agent and self._agent_since_s is None:
            self._agent_since_s = now_s
        self._seen = replace(
            self._seen,
            console=console,
            state=state,
            waited_s=now_s - started_s,
            stuck_for_s=_since(self._stuck_since_s, now_s),
            refused_for_s=_since(self._refused_since_s, now_s),
            silent_for_s=_since(self._silent_since_s, now_s),
            has_address=self._machine.ssh_address is not None,
            agent_for_s=_since(self._agent_since_s, now_s),
        )
        return judge.failure_now(self._seen)

    async def _asked(self, shell: Shell, result: BootResult) -> BootResult:
        limits = self._order.limits
        ended = await shell.run(
            probe.CLOUD_INIT, limit_s=limits.cloud_init_s, max_bytes=probe.MAX_BYTES
        )
        said = await shell.run(probe.SCRIPT, limit_s=limits.script_s, max_bytes=probe.MAX_BYTES)
        facts = probe.facts_of(said.output)
        assert result.login_s is not None
        checks = [
            probe.cloud_init_check(ended.exit_code, ended.output),
            *probe.checks_of(
                facts,
                self._account,
                await self._origin(facts),
                agent=self._machine.guest_agent,
            ),
            probe.boot_time_check(facts, result.login_s),
        ]
        output = ""
        if self._order.script is not None:
            ran = await shell.run(
                self._order.script, limit_s=limits.script_s, max_bytes=CHECK_BYTES
            )
            checks.append(probe.user_check(ran.exit_code, ran.output))
            output = ran.output
        if lost := self._machine.state.lost:
            raise BootTestNotRunError(f"The machine of the boot test was lost: {lost}.")
        result = _judged(replace(result, checks=tuple(checks), check_output=output))
        if not result.passed and (died := self._died()):
            return replace(result, reason=died.reason, says=died.says)
        return result

    def _died(self) -> judge.Failure | None:
        """Why the guest went down while it was asked, if it did."""
        seen = judge.Seen(console=self._console.text(), state=self._machine.state, limit_s=math.inf)
        return judge.failure_now(seen)

    async def _origin(self, facts: probe.Facts) -> probe.Origin:
        """Look for the guest's identity in the image, which nothing has been written to."""
        disks, machine_id = self._order.image.disks, probe.machine_id_of(facts)
        search = DaemonWorker("boot-test")
        ids, keys = [machine_id] if machine_id else [], probe.host_keys_of(facts)
        return probe.Origin(
            machine_id=await search.run(any_occurs, disks, ids),
            host_keys=await search.run(any_occurs, disks, keys),
        )


def _since(begin_s: float | None, now_s: float) -> float:
    return now_s - begin_s if begin_s is not None else 0.0


def _judged(result: BootResult) -> BootResult:
    failed = [one for one in result.checks if one.outcome is CheckOutcome.FAILED]
    if not failed:
        return result
    return replace(result, reason=Reason.CHECKS, says=_sentence(failed))


def _sentence(failed: list[Check]) -> str:
    words = "; ".join(f"{one.name}: {one.says}" for one in failed)
    return f"It came up, and {counted(len(failed), 'check')} failed: {words}."
