"""Children in sessions of their own, on anyio: nothing of them outlives the context."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, Process

from asyncpipe.errors import UsageError
from asyncpipe.ports import Command, RunningProcess
from asyncpipe.text.safe import printable

_RECEIVE_BYTES: Final = 65536
_REAP_S: Final = 5.0  # after SIGKILL; only a process stuck in the kernel needs longer
_ZOMBIE_STATES: Final = frozenset({"Z", "X", "x"})


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
            process = await _spawn(command)
        running = _SystemProcess(process)
        try:
            yield running
        finally:
            running.kill_group()
            with anyio.CancelScope(shield=True), anyio.move_on_after(_REAP_S):
                await process.aclose()
                await _await_end_of(process.pid)


class _SystemProcess:
    """One child; it leads a session, so that its pid names its group and its session."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._stdout: ByteReceiveStream = process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def return_code(self) -> int | None:
        return self._process.returncode

    async def receive(self) -> bytes:
        try:
            return await self._stdout.receive(_RECEIVE_BYTES)
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return b""

    async def wait(self) -> int:
        return await self._process.wait()

    def terminate(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill_group(self) -> None:
        # By member, not by killpg alone: a job-control shell moves its jobs to groups of their own,
        # and a group number whose last member is gone may already belong to somebody else.
        for _ in range(8):  # a fork between the scan and the signal escapes one round, not eight
            members = list(_living_members(self.pid))
            if not members:
                return
            for pid in members:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def group_alive(self) -> bool:
        return any(True for _ in _living_members(self.pid))


async def _spawn(command: Command) -> Process:
    try:
        return await anyio.open_process(
            list(command.argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=command.cwd,
            env=command.environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        program = printable(command.argv[0], 300)
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"Cannot start {program} in {printable(str(command.cwd), 300)}: {reason}.",
            hint="Check that the program exists and is executable, and that the folder exists.",
        ) from error


async def _await_end_of(session_id: int) -> None:
    """Wait until the killed members are gone: a signal returns before its work is done."""
    for pid in list(_living_members(session_id)):
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # it ended meanwhile
            continue
        try:
            await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)


def _living_members(session_id: int) -> Iterator[int]:
    """Yield the pids of every process of the session that is not a zombie."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = _stat_fields(entry / "stat")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while we looked
        if session_id in {fields.group, fields.session} and fields.state not in _ZOMBIE_STATES:
            yield int(entry.name)


class _StatFields:
    __slots__ = ("group", "session", "state")

    def __init__(self, state: str, group: int, session: int) -> None:
        self.state = state
        self.group = group
        self.session = session


def _stat_fields(path: Path) -> _StatFields:
    """Read state, group and session; the command's name before them may hold blanks (proc(5))."""
    rest = path.read_bytes().rpartition(b")")[2].split()
    return _StatFields(rest[0].decode("ascii"), int(rest[2]), int(rest[3]))
