"""How this process uses memory: malloc's arenas and the garbage collector's thresholds.

Worker threads hash and read; they allocate next to nothing that lives on. With an arena each, glibc
would keep tens of MiB for them (measured with eight templates: 30 MiB). The cyclic garbage
collector does not run while modules load, and skips them afterwards.
"""

from __future__ import annotations

import ctypes
import gc

# The S3 client's modules make 150,000 objects that stay: collecting among them costs 0.1 s.
_LOADING_THRESHOLD = 300_000
_RUNNING_THRESHOLD = 20_000
_M_ARENA_MAX = -8  # malloc.h of glibc


def begin() -> None:
    """Keep one malloc arena, and load modules without a collection; call it first.

    A threshold stays, for commands that run long.
    """
    gc.set_threshold(_LOADING_THRESHOLD)
    _of_libc("mallopt", _M_ARENA_MAX, 1)


def settle() -> None:
    """Freeze what is loaded, so that later collections skip it, and give unused memory back.

    Only in a process that called ``begin``: somebody's test that calls ``main.run`` keeps its own
    collector.
    """
    if gc.get_threshold()[0] != _LOADING_THRESHOLD:
        return
    gc.freeze()
    gc.set_threshold(_RUNNING_THRESHOLD)
    _of_libc("malloc_trim", 0)  # what loading left behind: 2 MiB, in 0.4 ms


def leave() -> None:
    """Freeze everything before the process ends: the interpreter's last collection costs time."""
    gc.freeze()


def _of_libc(name: str, *arguments: int) -> None:
    function = getattr(ctypes.CDLL(None), name, None)  # musl has neither
    if function is not None:
        function(*arguments)
