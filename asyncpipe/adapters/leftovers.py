"""Stop the process group that an interrupted run left behind, and no other.

A process id is reused; start time and id together are not. Fields: proc_pid_stat(5).
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

_POLL_S: Final = 0.05
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    group: int
    session: int
    start_ticks: int
    alive: bool  # a zombie only waits for its parent


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

        The leader alone gets SIGTERM, as Packer wants it; where it is gone already, what is left
        is recognised by ``marker``.
        """

        async def gone_within(limit_s: float, number: signal.Signals) -> bool:
            with anyio.move_on_after(limit_s):
                await self._until_gone(number, pid, start_ticks, marker)
                return True
            return False

        return await gone_within(grace_s, signal.SIGTERM) or await gone_within(
            kill_s, signal.SIGKILL
        )

    async def _until_gone(self, number: signal.Signals, pid: int, ticks: int, marker: str) -> None:
        """Signal and look until nothing is left; SIGKILL again, for what was just forked."""
        send = True
        while await anyio.to_thread.run_sync(_signal_members, send, number, pid, ticks, marker):
            send = number is signal.SIGKILL
            with anyio.move_on_after(_POLL_S):
                await anyio.sleep_forever()


def start_ticks_of(pid: int) -> int | None:
    """Clock ticks between boot and the start of ``pid``; None when there is none."""
    process = _read(pid)
    return process.start_ticks if process else None


def _signal_members(
    send: bool,  # noqa: FBT001 - to_thread passes by position
    number: signal.Signals,
    pid: int,
    start_ticks: int,
    marker: str,
) -> bool:
    """Signal those that still live, if ``send``; returns whether any did."""
    members = _members(pid, start_ticks, marker)
    leader = [process for process in members if process.pid == pid]
    for process in leader if leader and number is signal.SIGTERM else members:
        if send:
            _signal(process, number)
    return bool(members)


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
