"""One contract for the process runners: the scripted one and real children."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import UsageError
from asyncpipe.ports import Command, ProcessRunner, RunningProcess
from asyncpipe.system.process import Pace, SystemProcessRunner
from asyncpipe.testing.processes import Script, ScriptedProcessRunner

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Act:
    """The same child twice: as a shell script and as a script of the fake."""

    shell: str
    script: Script


SAYS_HELLO = Act(
    "echo hello; echo oops >&2; exit 3", Script(output=[(0, b"hello\noops\n")], return_code=3)
)
RUNS_ON = Act(
    "echo ready; exec sleep 60",
    Script(output=[(0, b"ready\n")], return_code=None, terminate_code=-15),
)
IGNORES_TERM = Act(
    "trap '' TERM; echo ready; while :; do sleep 0.05; done",
    Script(output=[(0, b"ready\n")], return_code=None, terminate_after_s=math.inf),
)
LEAVES_A_DAEMON = Act("sleep 60 & echo ready", Script(output=[(0, b"ready\n")], holds_pipe_s=60.0))
SAYS_MUCH = Act(
    f"{sys.executable} -c 'import sys; sys.stdout.write(\"x\" * 300000)'",
    Script(output=[(0, b"x" * 300_000)]),
)

Starter = Callable[[Act], tuple[ProcessRunner, Command]]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["scripted", "system"])
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Starter:
    def prepare(act: Act) -> tuple[ProcessRunner, Command]:
        command = Command(
            argv=("/bin/sh", "-c", act.shell),
            cwd=tmp_path,
            environment={"PATH": os.environ["PATH"]},
        )
        if request.param == "scripted":
            return ScriptedProcessRunner([act.script]), command
        return SystemProcessRunner(), command

    return prepare


async def _read_all(process: RunningProcess) -> bytes:
    data = b""
    while piece := await process.receive():
        assert len(piece) <= 65536
        data += piece
    return data


async def test_both_streams_come_as_one_and_the_code_is_told(prepared: Starter) -> None:
    runner, command = prepared(SAYS_HELLO)
    with anyio.fail_after(20):
        async with runner.start(command) as process:
            assert process.pid > 1
            assert await _read_all(process) == b"hello\noops\n"
            assert await process.wait() == 3
            assert process.return_code == 3
            assert await process.receive() == b""
            assert not process.group_alive()


async def test_a_running_child_has_no_code_yet_and_stops_when_asked(prepared: Starter) -> None:
    runner, command = prepared(RUNS_ON)
    with anyio.fail_after(20):
        async with runner.start(command) as process:
            assert await process.receive() == b"ready\n"
            assert process.return_code is None
            assert process.group_alive()
            process.terminate()
            assert await process.wait() == -signal.SIGTERM
            process.terminate()
            process.kill_group()


async def test_a_child_that_ignores_the_question_is_killed(prepared: Starter) -> None:
    runner, command = prepared(IGNORES_TERM)
    with anyio.fail_after(20):
        async with runner.start(command) as process:
            assert await process.receive() == b"ready\n"
            process.terminate()
            with anyio.move_on_after(0.1) as patience:
                await process.wait()
            assert patience.cancelled_caught
            process.kill_group()
            assert await process.wait() == -signal.SIGKILL


async def test_the_exit_is_not_the_end_of_the_output(prepared: Starter) -> None:
    runner, command = prepared(LEAVES_A_DAEMON)
    with anyio.fail_after(20):
        async with runner.start(command) as process:
            assert await process.receive() == b"ready\n"
            assert await process.wait() == 0
            assert process.group_alive()
            with anyio.move_on_after(0.1) as patience:
                await process.receive()
            assert patience.cancelled_caught
            process.kill_group()
            assert await process.receive() == b""
            assert not process.group_alive()


async def test_leaving_the_context_kills_what_is_left(prepared: Starter) -> None:
    runner, command = prepared(IGNORES_TERM)
    with anyio.fail_after(20):
        async with runner.start(command) as process:
            assert await process.receive() == b"ready\n"
        assert not process.group_alive()


async def test_a_cancelled_owner_leaves_nothing_behind(prepared: Starter) -> None:
    runner, command = prepared(IGNORES_TERM)
    processes: list[RunningProcess] = []
    with anyio.fail_after(20), anyio.CancelScope() as scope:
        async with runner.start(command) as process:
            processes.append(process)
            await process.receive()
            scope.cancel()
            await process.receive()
    assert scope.cancelled_caught
    assert not processes[0].group_alive()


async def test_output_comes_in_pieces_of_bounded_size(prepared: Starter) -> None:
    runner, command = prepared(SAYS_MUCH)
    with anyio.fail_after(20):
        async with runner.start(command) as process:
            assert len(await _read_all(process)) == 300_000


async def test_an_error_of_the_owner_passes_unchanged(prepared: Starter) -> None:
    runner, command = prepared(RUNS_ON)

    async def fail() -> None:
        async with runner.start(command):
            raise ZeroDivisionError

    with anyio.fail_after(20), pytest.raises(ZeroDivisionError):
        await fail()


@pytest.mark.parametrize("program", ["/nonexistent/packer", "/"])
async def test_a_program_that_does_not_start_is_told_in_one_sentence(
    program: str, tmp_path: Path
) -> None:
    command = Command(argv=(program,), cwd=tmp_path, environment={})
    with pytest.raises(UsageError, match=r"^Cannot start /\S* in "):
        async with SystemProcessRunner().start(command):
            pass


async def test_the_child_leads_a_session_and_has_no_stdin(tmp_path: Path) -> None:
    command = Command(
        argv=("/bin/sh", "-c", "readlink /proc/self/fd/0; cut -d' ' -f5,6 /proc/$$/stat; env"),
        cwd=tmp_path,
        environment={"ONLY": "this", "PATH": os.environ["PATH"]},
    )
    with anyio.fail_after(20):
        async with SystemProcessRunner().start(command) as process:
            lines = (await _read_all(process)).decode().split("\n")
    assert lines[:2] == ["/dev/null", f"{process.pid} {process.pid}"]
    assert "ONLY=this" in lines
    assert not [line for line in lines if line.startswith("HOME=")]


async def test_a_descendant_in_a_group_of_its_own_is_found_by_its_session(tmp_path: Path) -> None:
    shell = "set -m; sleep 60 & echo ready; set +m; exit 0"
    command = Command(
        argv=("/bin/bash", "-c", shell), cwd=tmp_path, environment={"PATH": os.environ["PATH"]}
    )
    with anyio.fail_after(20):
        async with SystemProcessRunner().start(command) as process:
            assert await process.receive() == b"ready\n"
            await process.wait()
            assert process.group_alive()
        assert not process.group_alive()


async def test_a_line_arrives_though_nothing_follows_it(tmp_path: Path) -> None:
    command = Command(
        argv=("sh", "-c", "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two"),
        cwd=tmp_path,
        environment=dict(os.environ),
    )
    with anyio.fail_after(30):
        async with SystemProcessRunner().start(command) as process:
            assert await process.receive() == b"one\n"
            (tmp_path / "go").touch()
            assert await process.receive() == b"two\n"
            assert await process.receive() == b""


def test_the_first_line_waits_for_nothing_and_those_after_it_40_ms_at_most() -> None:
    pace = Pace()
    assert pace.pause_s(0.0) == 0
    pace.took(80, 0.0)
    assert pace.pause_s(0.005) == pytest.approx(0.035)
    pace.took(80, 0.040)
    assert pace.pause_s(0.041) == pytest.approx(0.039)
    assert pace.pause_s(10.0) == 0


def test_much_output_waits_for_nothing() -> None:
    pace = Pace()
    pace.took(65_536, 0.0)
    assert pace.pause_s(0.001) == 0
    pace.took(10, 0.045)
    assert pace.pause_s(0.046) > 0
