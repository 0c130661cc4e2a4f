from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from asyncpipe.system.groups import ProcessGroups
from asyncpipe.system.proc import start_ticks_of

pytestmark = pytest.mark.anyio

_LEADER = """
import signal, subprocess, sys, time
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
program = "import time; print(flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
child.stdout.readline()  # it runs: before that /proc does not show its environment
print(child.pid, flush=True)
if "leaves" in sys.argv: sys.exit(0)
time.sleep(600)
"""


@contextmanager
def _group(marker: Path, *behaviour: str) -> Iterator[tuple[int, int]]:
    """A leader with a child in a session of their own; (pid, start ticks)."""
    with subprocess.Popen(
        [sys.executable, "-c", _LEADER, *behaviour],
        start_new_session=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PACKER_LOG_PATH": f"{marker}/packer.log"},
    ) as leader:
        ticks = start_ticks_of(leader.pid)
        assert ticks is not None
        assert leader.stdout is not None
        leader.stdout.readline()
        try:
            yield leader.pid, ticks
        finally:
            _kill_group(leader.pid)
            leader.stdout.close()


def _wait(pid: int) -> None:
    os.waitpid(pid, 0)


def _pid_of_the_past() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, 9)
    except ProcessLookupError:
        return


@pytest.mark.parametrize("behaviour", [(), ("stubborn",)])
async def test_the_whole_group_ends_whatever_it_makes_of_the_first_signal(
    tmp_path: Path, behaviour: tuple[str, ...]
) -> None:
    groups = ProcessGroups()
    with anyio.fail_after(30), _group(tmp_path, *behaviour) as (pid, ticks):
        assert await groups.alive(pid, ticks, str(tmp_path))
        assert await groups.stop(pid, ticks, str(tmp_path), grace_s=0.3)
        assert not await groups.alive(pid, ticks, str(tmp_path))


async def test_a_reused_process_id_is_never_touched(tmp_path: Path) -> None:
    groups = ProcessGroups()
    with anyio.fail_after(30), _group(tmp_path) as (pid, ticks):
        assert await groups.stop(pid, ticks - 1, str(tmp_path), grace_s=0.1)
        assert await groups.alive(pid, ticks, str(tmp_path))


async def test_what_outlived_its_leader_is_known_by_the_folder_of_the_run(tmp_path: Path) -> None:
    groups = ProcessGroups()
    with anyio.fail_after(30), _group(tmp_path, "leaves") as (pid, ticks):
        _wait(pid)
        assert not await groups.alive(pid, ticks, "/another/run")
        assert await groups.alive(pid, ticks, str(tmp_path))
        assert await groups.stop(pid, ticks, str(tmp_path), grace_s=0.3)


async def test_the_packers_of_a_run_are_found_by_its_folder(tmp_path: Path) -> None:
    groups = ProcessGroups()
    run, other = tmp_path / "run", tmp_path / "run2"
    with anyio.fail_after(30), _group(run) as mine, _group(other) as theirs:
        assert await groups.find(str(run)) == [mine]
        assert await groups.find(str(other)) == [theirs]
    with anyio.fail_after(30):  # a killed process goes in its own time
        while await groups.find(str(run)):  # noqa: ASYNC110 - /proc tells nobody of an end
            await anyio.sleep(0.01)


async def test_a_process_that_is_gone_is_gone() -> None:
    pid = _pid_of_the_past()
    assert start_ticks_of(pid) is None
    assert await ProcessGroups().stop(pid, 1, "/run", grace_s=0.1)
