"""Our environment: whose home it names, and what is secret in it.

Linux shows the environment that a process began with in /proc/PID/environ, to every process of
its user and to root, whatever the process hands on to its children.
"""

from __future__ import annotations

import ctypes
import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
_ENV_START, _ENV_END = 47, 48  # proc_pid_stat(5), fields 50 and 51, counted behind the name
_SELF: Final = Path("/proc/self")


def with_home() -> dict[str, str]:
    """Return our environment; HOME from the account database where it is unset or empty.

    A runner that is started as a service may have none, and Packer does nothing without.
    """
    environment = dict(os.environ)
    if not environment.get("HOME"):
        try:
            environment["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:  # a container with a user number that has no account
            environment.pop("HOME", None)
    return environment


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """Our folder in the user's cache; None: no home.

    ``$XDG_CACHE_HOME/asyncpipe``, or ``~/.cache/asyncpipe``; the XDG base directory specification
    has a relative path ignored.
    """
    cache = Path(environment.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        home = environment.get("HOME", "")
        if not os.path.isabs(home):  # noqa: PTH117 - "" is not a path
            return None
        cache = Path(home, ".cache")
    return cache / "asyncpipe"


def hide(is_secret: Callable[[str], bool]) -> tuple[str, ...]:
    """Take the values of secret variables out of /proc/PID/environ; ours stay in ``os.environ``.

    Then no process of the same user may look into this one (its memory, descriptors and
    environment), nor does it leave a core file. Root may look into any memory: what a build must
    not know does not belong on a machine where it is root.

    Returns:
        What the system refused, a sentence each: the rest is done all the same.
    """
    refused = []
    try:
        _blank(is_secret)
    except (OSError, ValueError, IndexError) as error:
        refused.append(f"{_SELF}/environ keeps the secrets that this process began with: {error}")
    if problem := _forbid_looks():
        refused.append(f"other processes of this user may look into this one: {problem}")
    return tuple(refused)


def _forbid_looks() -> str:
    """Make this process not dumpable; returns why not."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
    except (OSError, AttributeError) as error:
        return str(error)
    return "" if done else os.strerror(ctypes.get_errno())


def _blank(is_secret: Callable[[str], bool]) -> None:
    if not any(value and is_secret(name) for name, value in os.environ.items()):
        return
    fields = (_SELF / "stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    with (_SELF / "mem").open("r+b", buffering=0) as memory:
        memory.seek(start)
        block = memory.read(end - start)
        position = start
        for entry in block.split(b"\0"):
            name, equals, value = entry.partition(b"=")
            if equals and value and is_secret(os.fsdecode(name)):
                memory.seek(position + len(name) + 1)
                memory.write(bytes(len(value)))
                if os.fsdecode(name) in os.environ:  # libc reads the block: give it a copy
                    os.putenv(name, os.environb[name])
            position += len(entry) + 1
