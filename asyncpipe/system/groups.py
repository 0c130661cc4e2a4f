"""Stop the process group that an interrupted run left behind, and no other.

A process id is reused; start time and id together are not.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.system import proc
from asyncpipe.system.proc import Process

_POLL_S: Final = 0.05
_REST_S: Final = 3.0
_DRAIN_BYTES: Final = 1 << 20

_Who = Callable[[], list[Process]]


class ProcessGroups:
    """Finds left-over groups in /proc and stops them.

    ``marker`` is the folder of a run: Packer and all it starts have it in ``PACKER_LOG_PATH``.
    """

    async def find(self, marker: str) -> list[tuple[int, int]]:
        """Return (session id, start ticks) of what lives of a run, whoever noted it or not."""
        return await anyio.to_thread.run_sync(_marked_sessions, marker)

    async def folder_of(self, pid: int, marker: str) -> str:
        """Name the folder, below the run's, of the build that this group is, or ""."""
        return await anyio.to_thread.run_sync(proc.marked_folder_of, pid, marker)

    async def alive(self, pid: int, start_ticks: int, marker: str) -> bool:
        """Whether any process is left of the group that ``pid`` led since ``start_ticks``."""
        return bool(await anyio.to_thread.run_sync(_members, pid, start_ticks, marker))

    async def stop(
        self,
        pid: int,
        start_ticks: int,
        marker: str,
        *,
        grace_s: float,
        kill_s: float = 5.0,
        hear: Callable[[bytes], None] | None = None,
    ) -> bool:
        """SIGTERM, ``grace_s`` to clean up, SIGKILL; returns whether all of the group is gone.

        The leader gets SIGTERM first and alone, as Packer wants it; its output is read on, since
        a full pipe would hold it (``hear`` receives it, not redacted), and an export is cut short.
        What it leaves is recognised by ``marker``, gets SIGTERM and a short while, then SIGKILL.
        """

        async def gone_within(limit_s: float, who: _Who, number: signal.Signals) -> bool:
            with anyio.move_on_after(limit_s):
                await _until_gone(who, number)
                return True
            return False

        leader = partial(_leader, pid, start_ticks)
        members = partial(_members, pid, start_ticks, marker)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_attend, leader, Path(marker), hear or _ignore)
            await gone_within(grace_s, leader, signal.SIGTERM)
            tasks.cancel_scope.cancel()
        # what Packer itself left running has nothing to clean up
        return await gone_within(
            min(grace_s, _REST_S), members, signal.SIGTERM
        ) or await gone_within(kill_s, members, signal.SIGKILL)


async def _attend(leader: _Who, folder: Path, hear: Callable[[bytes], None]) -> None:
    """While the leader ends: read its output, which nobody else does, and cut its export short."""
    while living := await anyio.to_thread.run_sync(leader):
        await anyio.to_thread.run_sync(_attend_once, living[0].pid, folder, hear)
        await anyio.sleep(_POLL_S)


def _attend_once(pid: int, folder: Path, hear: Callable[[bytes], None]) -> None:
    for path in sorted(folder.glob("*/")):
        proc.cut_writes(pid, path)
    output = proc.output_of(pid)
    if output is not None:
        _drain(output, hear)


def _drain(end: Path, hear: Callable[[bytes], None]) -> None:
    """Read what a pipe holds; it was not redacted, so it goes to no file."""
    try:
        descriptor = os.open(end, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        while data := os.read(descriptor, _DRAIN_BYTES):
            hear(data)
    except OSError:
        return  # empty
    finally:
        os.close(descriptor)


def _ignore(data: bytes) -> None:
    """Nobody wants to know."""


async def _until_gone(who: _Who, number: signal.Signals) -> None:
    """Signal and look until nobody is left; SIGKILL again, for what was just forked."""
    send = True
    while await anyio.to_thread.run_sync(_signal_all, who, number if send else None):
        send = number is signal.SIGKILL
        await anyio.sleep(_POLL_S)


def _signal_all(who: _Who, number: signal.Signals | None) -> bool:
    """Signal those that still live, if with anything; returns whether any did."""
    living = who()
    if number is not None:
        for process in living:
            _signal(process, number)
    return bool(living)


def _leader(pid: int, start_ticks: int) -> list[Process]:
    process = proc.read(pid)
    ours = process is not None and process.alive and process.start_ticks == start_ticks
    return [process] if process is not None and ours else []


def _signal(process: Process, number: signal.Signals) -> None:
    """Signal exactly this process: the descriptor keeps its id from being reused meanwhile."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if proc.start_ticks_of(process.pid) == process.start_ticks:
            signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _members(pid: int, start_ticks: int, marker: str) -> list[Process]:
    leader = proc.read(pid)
    if leader is not None and leader.start_ticks != start_ticks:
        return []  # the id belongs to somebody else now
    found = list(proc.living_members(pid))
    if leader is not None:
        return found
    return [p for p in found if p.start_ticks >= start_ticks and proc.is_marked(p.pid, marker)]


def _marked_sessions(marker: str) -> list[tuple[int, int]]:
    sessions: dict[int, int] = {}
    for process in proc.everything():
        if process.alive and process.session > 1 and proc.is_marked(process.pid, marker):
            earliest = sessions.get(process.session, process.start_ticks)
            sessions[process.session] = min(earliest, process.start_ticks)
    return sorted(
        (session, proc.start_ticks_of(session) or ticks)
        for session, ticks in sessions.items()
        if session != os.getsid(0)  # never the session that reaps
    )
