"""Commands in processes forked from one that has imported everything: a second less for each.

The child has its own environment, folder, output and process id, and runs `asyncpipe.cli.main.main`
to its exit, as the installed program does; only its imports are older than it is.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.e2e.zygote import Zygote, running_zygote

_LOCK: Final = threading.Lock()
_CLOSING: Final = contextlib.ExitStack()
_started: list[Zygote] = []


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    limit_s: float,
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``merged``: what it writes to stderr is in stdout, in order."""
    if not _LOCK.acquire(blocking=False):  # another thread runs one: the zygote waits for it
        return subprocess.run(
            [sys.executable, "-m", "asyncpipe", *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            encoding="utf-8",
            timeout=limit_s,
            check=False,
        )
    try:
        with tempfile.TemporaryDirectory() as name:
            out, err = Path(name) / "out", Path(name) / "err"
            err.touch()
            child = _zygote().fork(
                "tests.e2e.forked:command",
                ["" if merged else str(err), *arguments],
                folder=folder,
                environment=environment,
                output=out,
            )
            with _killed_after(limit_s, child.kill):
                code = child.wait()
            return subprocess.CompletedProcess(
                list(arguments), code, out.read_text("utf-8"), err.read_text("utf-8")
            )
    finally:
        _LOCK.release()


def _zygote() -> Zygote:
    if not _started:
        _started.append(_CLOSING.enter_context(running_zygote("tests.e2e.forked_imports")))
        atexit.register(_CLOSING.close)
    return _started[0]


@contextlib.contextmanager
def _killed_after(limit_s: float, kill: Callable[[], None]) -> Iterator[None]:
    timer = threading.Timer(limit_s, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def command(err: str, *arguments: str) -> int:
    """In the child: the whole of a process, from its standard streams to its exit."""
    if err:
        descriptor = os.open(err, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, 2)
        os.close(descriptor)
    for name, number in (("stdout", 1), ("stderr", 2)):
        setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    sys.argv = ["asyncpipe", *arguments]
    from asyncpipe.cli.main import main  # noqa: PLC0415 - in the child, where all is imported

    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code if isinstance(code, int) else int(code is not None)  # as an interpreter ends
