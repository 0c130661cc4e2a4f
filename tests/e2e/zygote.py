"""``python -m tests.e2e.zygote MODULE...``: forks a child for each job, all imported before.

A test that kills a hundred processes would else spend nine tenths of its time on imports. A job is
a line of JSON on stdin; the answers on stdout are ``pid N`` and ``ended STATUS``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from asyncpipe.errors import EXIT_CANCELLED

REPOSITORY: Final = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Forked:
    """One child; the process id is known, its exit is told by the zygote."""

    zygote: Zygote
    pid: int

    def kill(self) -> None:
        """Kill -9; no error when it has ended."""
        self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        """Send a signal; no error when it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code; negative: the signal."""
        return self.zygote.answer("ended")


@dataclass(slots=True)
class Zygote:
    """The parent of the children to kill, one at a time."""

    process: subprocess.Popen[str]

    def fork(
        self,
        function: str,
        arguments: Sequence[Any],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: Path,
    ) -> Forked:
        """Call ``module:function`` with the arguments in a child that begins in ``folder``."""
        job = [function, list(arguments), str(folder), dict(environment), str(output)]
        assert self.process.stdin
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return Forked(self, self.answer("pid"))

    def answer(self, word: str) -> int:
        assert self.process.stdout
        told, _, number = self.process.stdout.readline().partition(" ")
        assert told == word, told
        return int(number)


@contextmanager
def running_zygote(*modules: str) -> Iterator[Zygote]:
    """Start one that has imported these."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.zygote", *modules],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        zygote = Zygote(process)
        assert zygote.answer("ready") == 0
        try:
            yield zygote
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(60)


def _run(job: str) -> int:
    function, arguments, folder, environment, output = json.loads(job)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    module, _, name = function.partition(":")
    return int(getattr(importlib.import_module(module), name)(*arguments) or 0)


def _serve() -> None:
    for module in sys.argv[1:]:
        importlib.import_module(module)
    _say("ready 0")
    while job := sys.stdin.readline():
        pid = os.fork()
        if not pid:
            code = 70
            try:
                code = _run(job)
            except KeyboardInterrupt:
                code = EXIT_CANCELLED  # it had not come so far as to handle that itself
            except BaseException:  # noqa: BLE001 - the child's own end
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _say(f"pid {pid}")
        _, status = os.waitpid(pid, 0)
        _say(f"ended {os.waitstatus_to_exitcode(status)}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def kill_after(child: Forked, seconds: float) -> int:
    """Kill at that instant, or see it end before; returns the exit code."""
    time.sleep(seconds)  # the instant is what is drawn
    child.kill()
    return child.wait()


if __name__ == "__main__":
    _serve()
