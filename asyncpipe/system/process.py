"""Children in separate sessions, on anyio: nothing of them outlives the context."""

from __future__ import annotations

import math
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process

from asyncpipe.errors import UsageError
from asyncpipe.ports import Command, RunningProcess
from asyncpipe.system import proc
from asyncpipe.text.safe import printable

_RECEIVE_BYTES: Final = 65536
_GATHER_S: Final = 0.04
_MUCH_BYTES: Final = 60 * 1024  # a pipe that is nearly full: whoever writes was held up
_REAP_S: Final = 5.0  # after SIGKILL; only a process stuck in the kernel needs longer


class SystemProcessRunner:
    """The ProcessRunner of production (Linux: it reads ``/proc``)."""

    @asynccontextmanager
    async def start(self, command: Command) -> AsyncIterator[RunningProcess]:
        """Start ``command``; leaving the context kills its session and closes the pipe.

        Raises:
            UsageError: the program cannot be started.
        """
        # Shielded: a cancellation between the spawn and the guard below would leave an orphan.
        with anyio.CancelScope(shield=True):
            running = await _spawn(command)
        try:
            yield running
        finally:
            running.kill_group()
            running.close()
            with anyio.CancelScope(shield=True), anyio.move_on_after(_REAP_S):
                await running.wait()
                await _await_end_of(running.pid)


class Pace:
    """How long small pieces of output are gathered, so that a line costs no wake-up of its own.

    What comes after a quiet waits for nothing, what follows it for 40 ms at most. Where much
    comes, nothing waits either.
    """

    def __init__(self) -> None:
        self._since_s = -math.inf
        self._bytes = 0

    def took(self, size_bytes: int, now_s: float) -> None:
        """Count what was read."""
        if now_s >= self._since_s + _GATHER_S:
            self._since_s, self._bytes = now_s, 0
        self._bytes += size_bytes

    def pause_s(self, now_s: float) -> float:
        """Return how long to wait before what has come is read."""
        is_much = self._bytes >= _MUCH_BYTES
        return 0.0 if is_much else max(0.0, self._since_s + _GATHER_S - now_s)


class _SystemProcess:
    """One child; it leads a session, so that its pid names its group and its session."""

    def __init__(self, process: Process, output: int) -> None:
        self._process = process
        self._output = output  # the read end, not blocking; -1 once closed
        self._pace = Pace()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def return_code(self) -> int | None:
        return self._process.returncode

    async def receive(self) -> bytes:
        await anyio.sleep(self._pace.pause_s(anyio.current_time()))
        while self._output >= 0:
            try:
                data = os.read(self._output, _RECEIVE_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self._output)
                await anyio.sleep(self._pace.pause_s(anyio.current_time()))
            else:
                self._pace.took(len(data), anyio.current_time())
                return data
        return b""

    async def wait(self) -> int:
        return await self._process.wait()

    def terminate(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill_group(self) -> None:
        _kill(self.pid)

    def cut_writes(self, folder: Path) -> bool:
        return proc.cut_writes(self.pid, folder)

    def group_alive(self) -> bool:
        return any(True for _ in proc.living_members(self.pid))

    def close(self) -> None:
        if self._output >= 0:
            anyio.notify_closing(self._output)
            os.close(self._output)
            self._output = -1


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe for the child's output; what is still ours of it afterwards is closed."""
    read_end, write_end = os.pipe()
    try:
        os.set_blocking(read_end, False)
        yield read_end, write_end
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)


async def _spawn(command: Command) -> _SystemProcess:
    """Start the child with its output in a pipe whose read end it inherits too.

    While anybody of the group lives the pipe has a reader: when we are killed, Packer does not die
    of SIGPIPE at its next line but cleans up, and ``reap`` can read on.
    """
    with _pipe() as (read_end, write_end):
        try:
            process = await anyio.open_process(
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                cwd=command.cwd,
                env=command.environment,
                start_new_session=True,
                pass_fds=(read_end,),
            )
        except (OSError, ValueError) as error:
            raise _not_started(command, error) from error
        return _SystemProcess(process, read_end)


def _not_started(command: Command, error: Exception) -> UsageError:
    program = printable(command.argv[0], 300)
    reason = getattr(error, "strerror", None) or str(error)
    return UsageError(
        f"Cannot start {program} in {printable(str(command.cwd), 300)}: {reason}.",
        hint="Check that the program exists and is executable, and that the folder exists.",
    )


def _kill(session_id: int) -> bool:
    """Kill what lives of a session; False when nothing did.

    By member, not by killpg alone: a job-control shell moves its jobs to new groups, and a group
    number whose last member is gone may already belong to somebody else.
    """
    lived = False
    for _ in range(8):  # a fork between the scan and the signal escapes one round, not eight
        members = list(proc.living_members(session_id))
        if not members:
            break
        lived = True
        for member in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(member.pid, signal.SIGKILL)
    return lived


async def _await_end_of(session_id: int) -> None:
    """Wait until the killed members are gone: a signal returns before its work is done."""
    for member in list(proc.living_members(session_id)):
        try:
            descriptor = os.pidfd_open(member.pid)
        except OSError:  # it ended meanwhile
            continue
        try:
            await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)
