"""A machine in QEMU: a child process, controlled over QMP (qemu.qmp), its console on a pipe."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
from qemu.qmp import QMPClient, QMPError

from asyncpipe.boot.ports import Address, OnConsole
from asyncpipe.boot.qemu import arguments as argv
from asyncpipe.boot.qemu.picture import MAX_BYTES, png_of
from asyncpipe.errors import BootTestNotRunError, flattened
from asyncpipe.model.boot.machine import MachineSpec, MachineState
from asyncpipe.ports import Command, ProcessRunner, RunningProcess
from asyncpipe.system.proc import RUN_FOLDER
from asyncpipe.text.safe import printable

_CONNECT_S: Final = 30.0  # from the start of QEMU to its first answer
_CALL_S: Final = 30.0
_QUIT_S: Final = 5.0
_POLL_S: Final = 0.1
_FORWARD: Final = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s")
_SAID_BYTES: Final = 4096


class QemuMachines:
    """Starts machines in QEMU; ``environment`` is that of the process, less what QEMU needs not."""

    def __init__(
        self, host: argv.Host, runner: ProcessRunner, environment: Mapping[str, str]
    ) -> None:
        self._host = host
        self._runner = runner
        self._environment = {name: environment[name] for name in ("PATH",) if name in environment}

    @asynccontextmanager
    async def start(self, spec: MachineSpec, on_console: OnConsole) -> AsyncIterator[QemuMachine]:
        """Start QEMU in the machine's folder; leaving kills it, whatever it does.

        Raises:
            BootTestNotRunError: QEMU does not start, or does not answer.
        """
        await anyio.to_thread.run_sync(_prepare, spec, self._host)
        command = Command(
            argv=argv.arguments(spec, self._host),
            cwd=spec.folder,
            environment={
                **self._environment,
                "TMPDIR": str(spec.folder),  # of what the guest writes
                RUN_FOLDER: f"{spec.folder}/",  # reap knows it by this
            },
        )
        with flattened():
            async with self._runner.start(command) as process, anyio.create_task_group() as tasks:
                machine = QemuMachine(process, spec, accelerated=self._host.kvm)
                tasks.start_soon(machine.read_console, on_console)
                try:
                    async with machine.controlled():
                        tasks.start_soon(machine.follow_events)
                        yield machine
                finally:
                    tasks.cancel_scope.cancel()


def _prepare(spec: MachineSpec, host: argv.Host) -> None:
    (spec.folder / argv.SERIAL_PORT_NAME).write_bytes(argv.SERIAL_PORT)
    if host.firmware is not None:
        # fresh for each: nothing may tell the firmware where the loader is
        shutil.copyfile(host.firmware.variables, spec.folder / argv.VARIABLES_NAME)


class QemuMachine:
    """A machine that runs."""

    guest_agent: bool | None = None  # an agent of Xen's guests has nobody to talk to

    def __init__(self, process: RunningProcess, spec: MachineSpec, *, accelerated: bool) -> None:
        self.accelerated = accelerated
        self.ssh_address: Address = ("127.0.0.1", 0)
        self._state = MachineState()
        self._process = process
        self._folder = spec.folder
        self._qmp = QMPClient("boot-test")
        self._said = b""
        self._off = anyio.Event()

    @property
    def state(self) -> MachineState:
        """What became of it so far; QEMU does not end by itself."""
        if self._process.return_code is None:
            return self._state
        return replace(self._state, lost=f"QEMU ended with {self._process.return_code}")

    async def read_console(self, on_console: OnConsole) -> None:
        """Read the console to its end, so that it never holds the machine up."""
        while data := await self._process.receive():
            self._said = (self._said + data)[-_SAID_BYTES:]
            await on_console(data)

    @asynccontextmanager
    async def controlled(self) -> AsyncIterator[None]:
        """Connect to QEMU; at the end it is asked to quit."""
        try:
            await self._connect()
            self.ssh_address = ("127.0.0.1", await self._forwarded_port())
            yield
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_QUIT_S), suppress(Exception):
                await self._qmp.execute("quit")
            with anyio.CancelScope(shield=True), anyio.move_on_after(_QUIT_S), suppress(Exception):
                await self._qmp.disconnect()

    async def _connect(self) -> None:
        descriptor = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # a socket's path has 107 bytes at most, a run's folder may have more
        path = f"/proc/self/fd/{descriptor}/{argv.QMP_NAME}"
        try:
            with anyio.fail_after(_CONNECT_S):
                while True:
                    if self._process.return_code is not None:
                        raise self._not_run("QEMU ended at once")
                    with suppress(QMPError):
                        await self._qmp.connect(path)
                        return
                    await anyio.sleep(_POLL_S)
        except TimeoutError:
            raise self._not_run(f"QEMU did not answer within {_CONNECT_S:g} s") from None
        finally:
            os.close(descriptor)

    async def _forwarded_port(self) -> int:
        said = str(await self._call("human-monitor-command", {"command-line": "info usernet"}))
        found = _FORWARD.search(said)
        if found is None:
            raise self._not_run("QEMU forwards no port to the guest's SSH")
        return int(found[1])

    def _not_run(self, what: str) -> BootTestNotRunError:
        said = printable(self._said.decode("utf-8", "replace").strip(), 500)
        return BootTestNotRunError(f"The image could not be started: {what}. {said}".rstrip())

    async def _call(self, name: str, values: Mapping[str, object] | None = None) -> Any:
        """Issue a command.

        Raises:
            BootTestNotRunError: QEMU is gone, refuses, or does not answer.
        """
        try:
            with anyio.fail_after(_CALL_S):
                return await self._qmp.execute(name, dict(values or {}))
        except (QMPError, TimeoutError) as error:
            raise self._not_run(f"QEMU failed at {name} ({type(error).__name__})") from error

    async def follow_events(self) -> None:
        """Keep the state up to date until the machine ends."""
        async for event in self._qmp.events:
            self._state = after_event(self._state, event)
            if self._state.is_off:
                self._off.set()

    async def screenshot(self) -> bytes:
        """Dump the screen; ``b""`` where that does not work: a picture is a courtesy."""
        path = self._folder / "screen.ppm"
        try:
            await self._call("screendump", {"filename": path.name})
            return await anyio.to_thread.run_sync(_picture, path)
        except (BootTestNotRunError, OSError):
            return b""

    async def power_down(self, limit_s: float) -> bool:
        """Press the power button and wait."""
        with anyio.move_on_after(limit_s), suppress(BootTestNotRunError):
            await self._call("system_powerdown")
            await self._off.wait()
            return True
        return False


def after_event(state: MachineState, event: Mapping[str, Any]) -> MachineState:
    """Return what a machine's state is after an event of QMP (qapi/run-state.json)."""
    data = event.get("data") or {}
    match event.get("event"):
        case "RESET" if data.get("guest"):
            return replace(state, restarts=state.restarts + 1)
        case "GUEST_PANICKED":
            return replace(state, panicked=True)
        case "SHUTDOWN":
            return replace(state, is_off=True)
        case "BLOCK_IO_ERROR":
            why = str(data.get("reason", "")) or "it refuses"
            return replace(state, lost=f"this machine's disk: {printable(why, 200)}")
        case _:
            return state


def _picture(path: Path) -> bytes:
    with path.open("rb") as file:
        return png_of(file.read(MAX_BYTES))
