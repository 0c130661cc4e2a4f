"""Stop the process group that an interrupted run left behind, and no other.

A process id is reused; start time and id together are not. Fields: proc_pid_stat(5).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

_POLL_S: Final = 0.05
_REST_S: Final = 3.0
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    group: int
    session: int
    start_ticks: int
    alive: bool  # a zombie only waits for its parent


_Who = Callable[[], list[_Process]]


class ProcessGroups:
    """Looks for left-over groups in /proc and stops them.

    ``marker`` is the folder of a run: Packer and all it starts have it in ``PACKER_LOG_PATH``.
    """

    async def find(self, marker: str) -> list[tuple[int, int]]:
        """Return (session id, start ticks) of what lives of a run, whoever noted it or not."""
        return await anyio.to_thread.run_sync(_marked_sessions, marker)

    async def alive(self, pid: int, start_ticks: int, marker: str) -> bool:
        """Tell whether anything lives of the group that ``pid`` led since ``start_ticks``."""
        return bool(await anyio.to_thread.run_sync(_members, pid, start_ticks, marker))

    async def stop(
        self, pid: int, start_ticks: int, marker: str, *, grace_s: float, kill_s: float = 5.0
    ) -> bool:
        """SIGTERM, ``grace_s`` to clean up, SIGKILL; returns whether all of the group is gone.

        The leader gets SIGTERM first and alone, as Packer wants it. What it leaves is recognised
        by ``marker``, gets SIGTERM and a short while, then SIGKILL.
        """

        async def gone_within(limit_s: float, who: _Who, number: signal.Signals) -> bool:
            with anyio.move_on_after(limit_s):
                await _until_gone(who, number)
                return True
            return False

        leader = partial(_leader, pid, start_ticks)
        members = partial(_members, pid, start_ticks, marker)
        await gone_within(grace_s, leader, signal.SIGTERM)
        # what Packer itself left running has no clean-up of its own to do
        return await gone_within(
            min(grace_s, _REST_S), members, signal.SIGTERM
        ) or await gone_within(kill_s, members, signal.SIGKILL)


async def _until_gone(who: _Who, number: signal.Signals) -> None:
    """Signal and look until nobody is left; SIGKILL again, for what was just forked."""
    send = True
    while await anyio.to_thread.run_sync(_signal_all, who, number if send else None):
        send = number is signal.SIGKILL
        with anyio.move_on_after(_POLL_S):
            await anyio.sleep_forever()


def start_ticks_of(pid: int) -> int | None:
    """Clock ticks between boot and the start of ``pid``; None when there is none."""
    process = _read(pid)
    return process.start_ticks if process else None


def _signal_all(who: _Who, number: signal.Signals | None) -> bool:
    """Signal those that still live, if with anything; returns whether any did."""
    living = who()
    if number is not None:
        for process in living:
            _signal(process, number)
    return bool(living)


def _leader(pid: int, start_ticks: int) -> list[_Process]:
    process = _read(pid)
    ours = process is not None and process.alive and process.start_ticks == start_ticks
    return [process] if process is not None and ours else []


def _signal(process: _Process, number: signal.Signals) -> None:
    """Signal exactly this process: the descriptor keeps its id from being reused meanwhile."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        seen = _read(process.pid)
        if seen is not None and seen.start_ticks == process.start_ticks:
            signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _members(pid: int, start_ticks: int, marker: str) -> list[_Process]:
    leader = _read(pid)
    if leader is not None and leader.start_ticks != start_ticks:
        return []  # the id belongs to somebody else now
    found = [
        process for process in _all() if pid in {process.group, process.session} and process.alive
    ]
    if leader is not None:
        return found
    return [p for p in found if p.start_ticks >= start_ticks and _is_marked(p.pid, marker)]


def _marked_sessions(marker: str) -> list[tuple[int, int]]:
    sessions: dict[int, int] = {}
    for process in _all():
        if process.alive and process.session > 1 and _is_marked(process.pid, marker):
            earliest = sessions.get(process.session, process.start_ticks)
            sessions[process.session] = min(earliest, process.start_ticks)
    return sorted(
        (session, _leader_ticks(session, ticks))
        for session, ticks in sessions.items()
        if not _is_ours(session)
    )


def _leader_ticks(session: int, otherwise: int) -> int:
    leader = _read(session)
    return leader.start_ticks if leader else otherwise


def _is_ours(session: int) -> bool:
    """Never the session that reaps."""
    return session == os.getsid(0)


def _all() -> list[_Process]:
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [process for process in map(_read, pids) if process is not None]


def _read(pid: int) -> _Process | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the name, in parentheses, may hold blanks and parentheses: fields count from the last one
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    return _Process(
        pid=pid,
        group=int(fields[2]),
        session=int(fields[3]),
        start_ticks=int(fields[19]),
        alive=fields[0] not in {"Z", "X"},
    )


def _is_marked(pid: int, marker: str) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return b"PACKER_LOG_PATH=" + os.fsencode(marker) + b"/" in environment
