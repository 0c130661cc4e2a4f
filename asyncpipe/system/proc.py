"""Processes as Linux shows them in /proc: who lives in a session, who writes which file.

Formats: proc_pid_stat(5), proc_pid_fdinfo(5). psutil would cost 70 ms of start-up and knows
neither sessions nor start times in ticks, which identify a process forever.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
# Packer, and what else runs for a run, has a path below the run's folder in one of these.
RUN_FOLDER: Final = "ASYNCPIPE_RUN_FOLDER"
_MARKS: Final = (b"PACKER_LOG_PATH=", RUN_FOLDER.encode() + b"=")
_STAT_BYTES: Final = 4096  # proc_pid_stat(5): 52 numbers and a name of at most 64 bytes
_GONE_STATES: Final = frozenset({"Z", "X", "x"})  # a zombie only waits for its parent


@dataclass(frozen=True, slots=True)
class Process:
    """One process; pid and ``start_ticks`` (clock ticks since boot) together are never reused."""

    pid: int
    group: int
    session: int
    start_ticks: int
    alive: bool


def read(pid: int) -> Process | None:
    """Look at one process; None when it does not exist."""
    try:
        descriptor = os.open(f"{_PROC}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(descriptor, _STAT_BYTES)
    except OSError:  # it ended meanwhile
        return None
    finally:
        os.close(descriptor)
    # the name, in parentheses, may hold blanks and parentheses: fields count from the last one
    fields = data.rpartition(b")")[2].split()
    if len(fields) < 20:
        return None
    return Process(
        pid=pid,
        group=int(fields[2]),
        session=int(fields[3]),
        start_ticks=int(fields[19]),
        alive=fields[0].decode("ascii", "replace") not in _GONE_STATES,
    )


def everything() -> Iterator[Process]:
    """Yield every process, dead ones that nobody has waited for included."""
    for name in os.listdir(_PROC):  # noqa: PTH208 - a Path for each of all processes takes longer
        if name.isdigit():
            process = read(int(name))
            if process is not None:
                yield process


def living_members(session_id: int) -> Iterator[Process]:
    """Yield what lives of a session or group; a job-control shell makes more groups."""
    for process in everything():
        if session_id in {process.group, process.session} and process.alive:
            yield process


def start_ticks_of(pid: int) -> int | None:
    """Clock ticks between boot and the start of ``pid``; None when it does not exist."""
    process = read(pid)
    return process.start_ticks if process else None


def is_marked(pid: int, folder: str) -> bool:
    """Whether the process was started for a run whose folder this is."""
    return bool(_marked_path(pid, folder))


def _marked_path(pid: int, folder: str) -> bytes:
    """What the environment of a process names below ``folder``, or ``b""``."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return b""
    for variable in environment.split(b"\0"):
        for mark in _MARKS:
            prefix = mark + os.fsencode(folder) + b"/"
            if variable.startswith(prefix):
                return variable[len(prefix) :] or b"."
    return b""


def cut_writes(session_id: int, folder: Path) -> bool:
    """Let further writes to files below ``folder`` fail with EFBIG; True when anybody wrote there.

    ``folder`` has no links in it: resolving it here would wait for its disk.

    For a process that downloads a file and heeds no signal meanwhile: RLIMIT_FSIZE of 1 makes its
    next write fail, and it cleans up as after any failure.
    """
    found = False
    for process in living_members(session_id):
        if _writes_below(process.pid, folder):
            found = True
            _limit_file_size(process.pid)
    return found


def _limit_file_size(pid: int) -> None:
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    except OSError:
        return  # it ended meanwhile


def _writes_below(pid: int, folder: Path) -> bool:
    prefix = f"{folder}/"
    return any(
        target.startswith(prefix) and _is_writable(pid, number) for number, target in _open(pid)
    )


def _open(pid: int) -> Iterator[tuple[str, str]]:
    """Yield (descriptor, what it leads to) of a process."""
    try:
        entries = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            yield entry.name, str(entry.readlink())
        except OSError:
            continue


def _is_writable(pid: int, number: str) -> bool:
    try:
        text = (_PROC / str(pid) / "fdinfo" / number).read_text("ascii")
    except OSError:
        return False
    flags = next((line.split()[1] for line in text.splitlines() if line.startswith("flags:")), "0")
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def output_of(leader: int) -> Path | None:
    """Where the unread output of a session's leader can be read, a /proc path to open.

    Packer inherits the read end of its own output (``process.py``), so that whoever comes later
    can go on reading. Other pipes of the session are theirs.
    """
    try:
        output = str((_PROC / str(leader) / "fd" / "1").readlink())
    except OSError:
        return None
    if not output.startswith("pipe:"):
        return None
    for process in living_members(leader):
        for number, target in _open(process.pid):
            if (
                target == output
                and output.startswith("pipe:")
                and _is_readable(process.pid, number)
            ):
                return _PROC / str(process.pid) / "fd" / number
    return None


def marked_folder_of(pid: int, folder: str) -> str:
    """The folder below ``folder`` for which the process was started, or ""."""
    return os.fsdecode(_marked_path(pid, folder).split(b"/")[0])


def _is_readable(pid: int, number: str) -> bool:
    return not _is_writable(pid, number)
