from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncpipe.errors import (
    AsyncpipeError,
    BuildTimedOutError,
    PackerFailedError,
    PackerMissingError,
    TemplateError,
    UsageError,
)
from asyncpipe.model.build import BuildExit, BuildPlan, HostObjects, PackerArtifact, Phase
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.template import Location, Template, TemplateSource
from asyncpipe.packer import build
from asyncpipe.packer.version import packer_version
from asyncpipe.packer.watch import Listeners
from asyncpipe.ports import Command
from asyncpipe.run import log as buildlog
from asyncpipe.testing.logs import MemoryLogFiles
from asyncpipe.testing.processes import Script, ScriptedProcessRunner
from asyncpipe.text.mask import Redactor
from asyncpipe.text.secrets import secrets_of
from tests.packer.recordings import recorded
from tests.system.inline import disk_calls_inline

pytestmark = pytest.mark.anyio

LOG = Path("/run/build.log")


@pytest.fixture
def anyio_backend() -> object:
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True, scope="module")
def _no_threads() -> Iterator[None]:
    with disk_calls_inline():
        yield


class Bench:
    """One build against a script, with everything it did."""

    def __init__(self, folder: Path, *scripts: Script, **plan: Any) -> None:
        self.folder = folder
        self.runner = ScriptedProcessRunner(scripts)
        self.disk = MemoryLogFiles()
        self.phases: list[Phase] = []
        self.lines: list[str] = []
        self.exits: list[BuildExit] = []
        self.host: list[HostObjects] = []
        self.waits: list[tuple[str, float]] = []
        self.problems: list[str] = []
        self.unblocked_s: list[float] = []
        self.plan = a_plan(folder, **plan)

    async def run(self, during: Callable[[], None] | None = None) -> BuildExit:
        redactor = Redactor(secrets_of({}, {"pw": "hunter2"}))
        async with buildlog.open_log(LOG, log_files=self.disk, redactor=redactor) as log:
            if during:
                log.subscribe(lambda _: during())
            return await build.run(
                self.plan,
                runner=self.runner,
                log=log,
                listeners=Listeners(
                    on_phase=self.phases.append,
                    on_line=self.lines.append,
                    on_host=self.host.append,
                    on_waiting=lambda what, limit_s: self.waits.append((what, limit_s)),
                    on_exit=self.exits.append,
                    on_problem=self.problems.append,
                    unblock=self.unblock,
                ),
            )

    async def unblock(self) -> None:
        self.unblocked_s.append(anyio.current_time())

    async def failure(self) -> AsyncpipeError:
        with pytest.raises(AsyncpipeError) as caught:
            await self.run()
        return caught.value

    @property
    def log_text(self) -> str:
        return self.disk.files[LOG].data.decode()


def a_plan(folder: Path, **changes: Any) -> BuildPlan:
    path = Path("templates/debian")
    defaults: dict[str, Any] = {
        "unit": "debian",
        "template": Template(path=path, folder=path, kind="hcl2", files=(), sha256_hex=""),
        "packer_path": Path("/usr/bin/packer"),
        "packer_version": "1.6.6",
        "packer_arguments": ("-only=null.demo", "-var-file=a.pkrvars.hcl"),
        "packer_environment": {"PATH": "/usr/bin", "PACKER_LOG_PATH": "elsewhere"},
        "working_directory": folder,
        "run_directory": folder,
        "output_directory": folder / "out",
        "timestamp": "20261123T170000Z",
        "static_identity": OsIdentity(),
        "grace_s": 30.0,
    }
    return BuildPlan(**{**defaults, **changes})


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _plays(name: str, **more: Any) -> Script:
    return Script(output=[(0.01, recorded(name))], **more)


async def test_packer_is_called_with_the_plan_and_nothing_secret_in_argv(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script())
    await bench.run()
    command = bench.runner.commands[0]
    assert command.argv == (
        *("/usr/bin/packer", "build", "-color=false", "-only=null.demo"),
        *("-var-file=a.pkrvars.hcl", "templates/debian"),
    )
    assert command.cwd == tmp_path
    assert command.environment == {
        "PATH": "/usr/bin",
        "CHECKPOINT_DISABLE": "1",
        "PACKER_NO_COLOR": "1",
        "PACKER_LOG": "1",
        "PACKER_LOG_PATH": str(tmp_path / "packer.log"),
    }


async def test_a_good_build_tells_its_phases_its_time_and_its_vm(tmp_path: Path) -> None:
    bench = Bench(tmp_path, _plays("xcp-ok-plain", exit_after_s=5))
    ended = await bench.run()
    assert bench.exits == [ended]
    assert (ended.return_code, ended.errors, ended.cancelled) == (0, (), False)
    assert bench.phases[0] is Phase.ISO_DOWNLOAD
    assert [span.phase for span in ended.phases] == [Phase.START, *bench.phases]
    assert ended.host.vm_uuid == "9b242b39-0497-46ee-91f0-5dc8e423dfd6"
    assert 5 <= ended.duration_s < 6
    assert "session_id=OpaqueRef" not in bench.log_text + "".join(bench.lines)


async def test_rows_of_packers_own_log_are_read_and_the_log_removed(tmp_path: Path) -> None:
    def write_log(command: Command) -> None:
        path = Path(command.environment["PACKER_LOG_PATH"])
        assert path.stat().st_mode & 0o777 == 0o600
        path.write_bytes(b"secret hunter2\n" + recorded("file-log"))

    bench = Bench(tmp_path, Script(on_start=write_log))
    ended = await bench.run()
    assert (
        PackerArtifact(
            build_name="named.file.art", builder_id="packer.file", path="out/artifact,one.txt"
        )
        in ended.artifacts
    )
    assert _names_in(tmp_path) == []


async def test_a_log_of_packers_that_cannot_be_removed_is_named_and_the_build_is_good(
    tmp_path: Path,
) -> None:
    def spoil(command: Command) -> None:
        path = Path(command.environment["PACKER_LOG_PATH"])
        path.unlink()
        path.mkdir()

    bench = Bench(tmp_path, Script(on_exit=spoil))
    assert (await bench.run()).return_code == 0
    (problem,) = bench.problems
    assert str(tmp_path / "packer.log") in problem
    assert "could not be removed (Is a directory)" in problem


@given(cuts=st.lists(st.integers(1, 5000), max_size=20))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("name", ["xcp-ok-plain", "xcp-bootcommand-plain"])
def test_the_story_does_not_depend_on_the_chunks(
    name: str, cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data, places = recorded(name), [0]
    for cut in cuts:
        places.append(places[-1] + cut)
    pieces = [data[a:b] for a, b in zip(places, [*places[1:], len(data)], strict=True)]
    folder = tmp_path_factory.mktemp("run")
    bench = Bench(folder, Script(output=[(0.001, piece) for piece in pieces]))
    trio.run(bench.run, clock=trio.testing.MockClock(autojump_threshold=0))
    whole = Bench(folder, Script(output=[(0.001, data)]))
    trio.run(whole.run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert bench.phases == whole.phases
    assert bench.exits[0].host == whole.exits[0].host


async def test_a_failed_provisioner_is_packers_failure_with_its_cause(tmp_path: Path) -> None:
    bench = Bench(tmp_path, _plays("fail-plain", return_code=1))
    error = await bench.failure()
    assert isinstance(error, PackerFailedError)
    assert "Script exited with non-zero exit status: 7" in error.message
    assert "null.demo: before" in error.cause_lines
    assert error.build_exit is bench.exits[0]


@pytest.mark.parametrize(
    ("name", "file", "line"),
    [("bad-syntax-plain", "bad-syntax.pkr.hcl", 1), ("bad-arg-plain", "bad-arg.pkr.hcl", 3)],
)
async def test_a_template_that_packer_refuses_is_the_templates_failure(
    name: str, file: str, line: int, tmp_path: Path
) -> None:
    error = await Bench(tmp_path, _plays(name, return_code=1)).failure()
    assert isinstance(error, TemplateError)
    assert (Path(error.file).name, error.line) == (file, line)


async def test_packer_killed_by_somebody_else_says_so_and_its_vm_is_known(tmp_path: Path) -> None:
    output = recorded("xcp-ok-plain")[:2200]
    bench = Bench(tmp_path, Script(output=[(0, output)], return_code=-9))
    error = await bench.failure()
    assert "killed by signal 9" in error.message
    assert bench.exits[0].host.vm_uuid == "9b242b39-0497-46ee-91f0-5dc8e423dfd6"


async def test_a_daemon_that_holds_the_pipe_does_not_hold_the_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(output=[(0, b"x\n")], holds_pipe_s=3600))
    ended = await bench.run()
    assert ended.leftover_output
    assert ended.duration_s < 10
    assert not bench.runner.processes[0].group_alive()


async def test_silence_of_an_hour_is_no_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(output=[(0, b"==> n.x: a\n"), (3600, b"==> n.x: b\n")]))
    assert (await bench.run()).duration_s >= 3600
    assert bench.lines == ["==> n.x: a", "==> n.x: b"]


async def _cancel_after(bench: Bench, seconds: float) -> float:
    begin = anyio.current_time()
    with anyio.move_on_after(seconds) as scope:
        await bench.run()
    assert scope.cancelled_caught
    return anyio.current_time() - begin


async def test_cancelled_packer_is_asked_and_its_last_words_are_kept(tmp_path: Path) -> None:
    script = Script(
        output=[(0, b"==> n.x: working\n")],
        return_code=None,
        farewell=recorded("sig-sleep-TERM-pid"),
        terminate_after_s=2,
    )
    bench = Bench(tmp_path, script)
    took_s = await _cancel_after(bench, 10)
    assert 12 <= took_s < 13
    assert [s.name for s in bench.runner.processes[0].signals] == ["SIGTERM"]
    assert bench.exits[0].cancelled
    assert "Cleanly cancelled builds" in bench.log_text
    assert "[asyncpipe] The run was cancelled: asking Packer to stop" in bench.log_text


async def test_cancelled_packer_that_does_not_listen_is_killed_after_the_grace(
    tmp_path: Path,
) -> None:
    script = Script(
        output=[(0, recorded("xcp-ok-plain")[:2200])], return_code=None, terminate_after_s=math.inf
    )
    bench = Bench(tmp_path, script)
    took_s = await _cancel_after(bench, 10)
    assert 40 <= took_s < 45
    assert [s.name for s in bench.runner.processes[0].signals] == ["SIGTERM", "SIGKILL"]
    assert bench.exits[0].return_code == -9
    assert bench.exits[0].host.vm_uuid == "9b242b39-0497-46ee-91f0-5dc8e423dfd6"
    assert bench.phases[-1] is Phase.STOPPING
    assert bench.waits == [("Packer to clean up", 30.0)]
    assert "[asyncpipe] Packer did not stop in time and was killed." in bench.log_text


@pytest.mark.parametrize("at_s", [0.0, 0.005, 1.0, 5.5], ids=["start", "output", "quiet", "drain"])
async def test_cancelled_in_any_phase_nothing_lives_on(at_s: float, tmp_path: Path) -> None:
    script = Script(output=[(0.005, b"x\n")], exit_after_s=5, holds_pipe_s=3600)
    bench = Bench(tmp_path, script)
    await _cancel_after(bench, at_s)
    assert not any(process.group_alive() for process in bench.runner.processes)
    assert _names_in(tmp_path) == []


async def test_the_time_limit_stops_packer_and_is_an_error_of_its_own(tmp_path: Path) -> None:
    script = Script(output=[(0, b"x\n")], return_code=None, terminate_after_s=1)
    bench = Bench(tmp_path, script, build_timeout_s=60.0)
    error = await bench.failure()
    assert isinstance(error, BuildTimedOutError)
    assert error.exit_code == 21
    assert error.build_exit is bench.exits[0]
    assert 61 <= bench.exits[0].duration_s < 65


async def test_a_listener_that_fails_does_not_end_the_build(tmp_path: Path) -> None:
    def fail() -> None:
        raise BrokenPipeError

    bench = Bench(tmp_path, _plays("ok-plain"))
    assert (await bench.run(during=fail)).return_code == 0


async def test_a_full_disk_does_not_end_the_build(tmp_path: Path) -> None:
    bench = Bench(tmp_path, _plays("xcp-ok-plain"))
    bench.disk.room_bytes = 100
    assert (await bench.run()).return_code == 0


async def test_packer_that_does_not_start_is_a_usage_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(start_error="No such file or directory"))
    assert isinstance(await bench.failure(), UsageError)
    assert _names_in(tmp_path) == []


@pytest.mark.parametrize("version", ["1.6.6", "1.16.0", "1.10.0-dev"])
async def test_the_version_is_read(version: str) -> None:
    output = f"Packer v{version}\n\nYour version of Packer is out of date!\n".encode()
    runner = ScriptedProcessRunner([Script(output=[(0, output)])])
    assert await packer_version(runner, Path("/usr/bin/packer")) == version


@pytest.mark.parametrize(
    "script",
    [
        Script(output=[(0, b"skipping line: 1\n0 0\n")]),
        Script(output=[(0, b"Packer v1.5.4\n")]),
        Script(return_code=None),
        Script(start_error="No such file or directory"),
    ],
    ids=["cracklib", "old", "hangs", "missing"],
)
async def test_what_is_no_usable_packer_is_refused_with_a_hint(script: Script) -> None:
    with pytest.raises(PackerMissingError) as caught:
        await packer_version(ScriptedProcessRunner([script]), Path("/usr/sbin/packer"))
    assert caught.value.exit_code == 2
    assert "--packer" in caught.value.hint


# -- the host that does not answer, and what holds Packer up ---------------------------------------


def _on_host(folder: Path, **more: Any) -> dict[str, Any]:
    location = Location(file="x.pkr.hcl", line=1)
    source = TemplateSource(
        type="xenserver-iso",
        label="d",
        build_name=None,
        attributes={},
        locations={},
        location=location,
    )
    template = Template(
        path=folder, folder=folder, kind="hcl2", files=(), sha256_hex="", sources=(source,)
    )
    return {"template": template, "host_answer_s": 120.0, **more}


async def test_a_host_that_never_answers_is_told_and_ends_the_build(tmp_path: Path) -> None:
    script = Script(return_code=None, terminate_after_s=math.inf)
    bench = Bench(tmp_path, script, **_on_host(tmp_path))
    error = await bench.failure()
    assert isinstance(error, BuildTimedOutError)
    assert "did not answer within 2m00s" in error.message
    assert "--host-timeout" in error.hint
    assert 120 <= bench.exits[0].duration_s < 125
    assert bench.waits[0] == ("the host to answer (remote_host, port 443)", 100.0)
    assert "Waiting for the host to answer" in bench.log_text


async def test_a_host_that_answers_late_is_waited_for(tmp_path: Path) -> None:
    output = [(60.0, b"==> x.d: XAPI client session established\n"), (600.0, b"done\n")]
    bench = Bench(tmp_path, Script(output=output), **_on_host(tmp_path))
    assert (await bench.run()).return_code == 0


async def test_cancelled_before_anything_was_made_it_ends_at_once(tmp_path: Path) -> None:
    script = Script(return_code=None, terminate_after_s=math.inf)
    bench = Bench(tmp_path, script, **_on_host(tmp_path, grace_s=120.0))
    assert await _cancel_after(bench, 5) < 9


EXPORTING = b"""==> x.d: XAPI client session established
==> x.d: Step: Create Instance
==> x.d: Created instance '9b242b39-0497-46ee-91f0-5dc8e423dfd6'
==> x.d: Step: Start VM Paused
==> x.d: Step: export artifact
"""


async def test_an_export_is_cut_short_so_that_the_plugin_cleans_up(tmp_path: Path) -> None:
    script = Script(
        output=[(0, EXPORTING)],
        return_code=None,
        exports=True,
        terminate_after_s=0.9,
        farewell=b"==> x.d: Destroying VM\n",
    )
    bench = Bench(tmp_path, script, **_on_host(tmp_path))
    assert await _cancel_after(bench, 5) < 7
    assert bench.runner.processes[0].writes_cut[0] == bench.plan.output_directory
    assert [s.name for s in bench.runner.processes[0].signals] == ["SIGTERM"]


async def test_what_stalls_is_ended_at_the_host_within_the_grace(tmp_path: Path) -> None:
    script = Script(output=[(0, EXPORTING)], return_code=None, terminate_after_s=math.inf)
    bench = Bench(tmp_path, script, **_on_host(tmp_path, grace_s=4.0))
    assert await _cancel_after(bench, 5) < 12
    assert len(bench.unblocked_s) == 1
