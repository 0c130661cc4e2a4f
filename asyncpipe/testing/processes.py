"""The shipped fake of the process runner, with knobs for what can go wrong.

It passes the contract suite of the real one (``tests/system/test_process.py``) and runs on any
anyio backend.
"""

from __future__ import annotations

import math
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from asyncpipe.errors import UsageError
from asyncpipe.ports import Command, RunningProcess

_RECEIVE_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a child does: after each pause it writes; then it exits.

    ``None`` as the last pause means a child that never exits by itself.
    """

    output: Sequence[tuple[float, bytes]] = ()  # (seconds before it, bytes)
    return_code: int | None = 0  # None: it runs until it is stopped
    exit_after_s: float = 0.0  # after the last output
    # What SIGTERM does: bytes it still writes, seconds until it exits (inf: it ignores the signal).
    farewell: bytes = b""
    terminate_after_s: float = 0.0
    terminate_code: int = 1
    holds_pipe_s: float = 0.0  # a descendant keeps the pipe open that long after the exit
    exports: bool = False  # it writes the export: ends once its writes are cut
    on_start: Callable[[Command], None] | None = None  # leaves files, looks at the command
    on_exit: Callable[[Command], None] | None = None
    start_error: str = ""  # the program cannot be started


@dataclass(slots=True)
class ScriptedProcessRunner:
    """A ProcessRunner that plays one script per start, the last one again and again."""

    scripts: Sequence[Script] = (Script(),)
    commands: list[Command] = field(default_factory=list)  # every command that was started
    processes: list[ScriptedProcess] = field(default_factory=list)

    @asynccontextmanager
    async def start(self, command: Command) -> AsyncIterator[RunningProcess]:
        """Play the next script.

        Raises:
            UsageError: the script says that the program cannot be started.
        """
        script = self.scripts[min(len(self.commands), len(self.scripts) - 1)]
        self.commands.append(command)
        if script.start_error:
            raise UsageError(f"Cannot start {command.argv[0]}: {script.start_error}.")
        process = ScriptedProcess(script, command, pid=1_000_000 + len(self.commands))
        self.processes.append(process)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(process.play)
                try:
                    yield process
                finally:
                    process.kill_group()
        except BaseExceptionGroup as group:  # of one: what the caller's own block raised
            raise (group.exceptions[0] if len(group.exceptions) == 1 else group) from None


class ScriptedProcess:
    """A child that exists on the event loop's clock only."""

    def __init__(self, script: Script, command: Command, *, pid: int) -> None:
        self.signals: list[signal.Signals] = []
        self.writes_cut: list[Path] = []
        self._script = script
        self._command = command
        self._pid = pid
        self._return_code: int | None = None
        self._exited = anyio.Event()
        self._asked = anyio.Event()
        self._life = anyio.CancelScope(shield=True)  # a real child does not notice a cancellation
        self._changed = anyio.Event()
        self._pipe: deque[bytes] = deque()
        self._pipe_closed = False

    @property
    def pid(self) -> int:
        """Invented; names no process."""
        return self._pid

    @property
    def return_code(self) -> int | None:
        """As of a real one."""
        return self._return_code

    async def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end."""
        await checkpoint()
        while not self._pipe:
            if self._pipe_closed:
                return b""
            self._changed = anyio.Event()
            await self._changed.wait()
        data = self._pipe.popleft()
        if len(data) > _RECEIVE_BYTES:
            self._pipe.appendleft(data[_RECEIVE_BYTES:])
        return data[:_RECEIVE_BYTES]

    async def wait(self) -> int:
        """Wait for the exit."""
        await self._exited.wait()
        assert self._return_code is not None
        return self._return_code

    def terminate(self) -> None:
        """Ask; the script says what comes of it."""
        if self._return_code is None:
            self.signals.append(signal.SIGTERM)
            if self._script.terminate_after_s != math.inf:
                self._asked.set()

    def kill_group(self) -> None:
        """End it and whatever holds the pipe."""
        if self.group_alive():
            self.signals.append(signal.SIGKILL)
            self._exit(-int(signal.SIGKILL))
            self._close_pipe()
        self._life.cancel()

    def cut_writes(self, folder: Path) -> bool:
        """Only a script that exports is writing; then it stops as if it had been asked."""
        self.writes_cut.append(folder)
        if not self._script.exports or self._return_code is not None:
            return False
        self._asked.set()
        return True

    def group_alive(self) -> bool:
        """Whether it runs or a descendant holds the pipe."""
        return self._return_code is None or not self._pipe_closed

    async def play(self) -> None:
        """Run the script to its end; the runner starts this."""
        with self._life:
            await self._perform()

    async def _perform(self) -> None:
        if self._script.on_start:
            self._script.on_start(self._command)
        code = await self._play_until_asked()
        if code is None:
            self._write(self._script.farewell)
            await anyio.sleep(self._script.terminate_after_s)
            code = self._script.terminate_code
        if self._script.on_exit:
            self._script.on_exit(self._command)
        self._exit(code)
        await anyio.sleep(self._script.holds_pipe_s)
        self._close_pipe()

    async def _play_until_asked(self) -> int | None:
        """Return the code of a child that ends by itself, None when SIGTERM came first."""
        code: int | None = None
        async with anyio.create_task_group() as tasks:

            async def perform() -> None:
                nonlocal code
                for pause_s, data in self._script.output:
                    await anyio.sleep(pause_s)
                    self._write(data)
                if self._script.return_code is None:
                    await anyio.sleep_forever()
                await anyio.sleep(self._script.exit_after_s)
                code = self._script.return_code
                tasks.cancel_scope.cancel()

            tasks.start_soon(perform)
            await self._asked.wait()
            tasks.cancel_scope.cancel()
        return code

    def _write(self, data: bytes) -> None:
        if data:
            self._pipe.append(data)
            self._changed.set()

    def _exit(self, code: int) -> None:
        if self._return_code is None:
            self._return_code = code
            self._exited.set()

    def _close_pipe(self) -> None:
        self._pipe_closed = True
        self._changed.set()
