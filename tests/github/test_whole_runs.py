"""Whole runs with real Packer, started and cancelled as GitHub's runner does it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.github.runner_standin import SIGINT_WAIT_S, RunningStep
from tests.github.workflow_files import ROOT
from tests.s3_standin.faults import Faults, answer_late
from tests.s3_standin.server import running_standin
from tests.s3_standin.standin import StandIn

pytestmark = [
    pytest.mark.real_packer,
    pytest.mark.skipif(shutil.which("packer") is None, reason="no Packer on this machine"),
]
SCRIPT = f"cd {ROOT}\nexec python -m asyncpipe build templates/demo\n"
SECRET = "pool-secret-value"


def environment_of(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "ASYNCPIPE_DESTINATION": (folder / "published").as_uri(),
        "ASYNCPIPE_WORK_DIRECTORY": str(folder / "work"),
        "GITHUB_WORKSPACE": str(ROOT),
        "GITHUB_TOKEN": SECRET,
        "ASYNCPIPE_VARIABLES": "size_mib=64\nseconds=2",
        "ASYNCPIPE_BANDWIDTH": "16MiB",  # so that there is a publication to interrupt
    }


@pytest.fixture
def step(tmp_path: Path) -> Iterator[RunningStep]:
    running = RunningStep(SCRIPT, folder=tmp_path, environment=environment_of(tmp_path))
    try:
        yield running
    finally:
        running.sweep()


def test_a_good_run_hands_on_where_things_are_and_shows_a_summary(
    step: RunningStep, tmp_path: Path
) -> None:
    done = step.wait(180)
    assert done.return_code == 0, done.text
    assert (done.errors, done.stopped, done.annotations) == ([], False, {})
    assert SECRET in done.masks
    assert done.outputs["published-count"] == "1"
    (metadata,) = json.loads(done.outputs["metadata"]).values()
    assert done.outputs["urls"].rstrip("/").endswith(metadata["timestamp"])
    assert done.summary is not None
    assert metadata["files"]["xva"]["sha256_hex"] in done.summary
    assert any(group.endswith(": publish") for group in done.groups)
    assert step.alive() == ()


HEAVY = pytest.mark.heavy("github")  # every night


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("phase provision", marks=HEAVY),
        pytest.param("==> ", marks=HEAVY),
        "phase export",
        "phase publish",
    ],
)
def test_a_cancel_is_safe_in_time_and_reap_finishes_it(
    step: RunningStep, tmp_path: Path, moment: str
) -> None:
    step.wait_for_line(lambda line: moment in line, 120)
    done = step.cancel()
    assert (done.killed_by, done.return_code) == ("SIGINT", 130), done.text
    assert done.ended_after_s < SIGINT_WAIT_S
    assert step.alive() == ()
    assert done.stopped is False
    assert list(tmp_path.glob("published/templates/*/*/metadata.json")) == []
    (log,) = tmp_path.glob("work/runs/*/**/build.log")
    assert log.stat().st_size > 0
    run = done.outputs["run-directory"]
    reaped = subprocess.run(
        [sys.executable, "-m", "asyncpipe", "reap", "--run", run],
        cwd=ROOT, env=environment_of(tmp_path), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert reaped.returncode == 0, reaped.stdout + reaped.stderr
    assert list(tmp_path.glob("published/templates/**/*.*")) == []


def reap(run: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "asyncpipe", "reap", "--run", run],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def wait_until(is_so: Callable[[], bool], step: RunningStep) -> None:
    deadline_s = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline_s, "it never came to that"
        with suppress(TimeoutError):
            step.wait_for_line(lambda _line: False, 0.05)


def has_an_open_upload(standin: StandIn) -> bool:
    return any(
        upload.key.endswith(".xva") and standin.parts(upload.upload_id)
        for upload in standin.uploads()  # others are of the question what the store honours
    )


@pytest.mark.parametrize(
    "kill", [pytest.param(False, id="SIGINT"), pytest.param(True, id="SIGKILL", marks=HEAVY)]
)
def test_an_open_upload_to_s3_is_closed_by_the_cancel_or_by_reap(
    tmp_path: Path, *, kill: bool
) -> None:
    with running_standin() as standin:
        environment = {
            **environment_of(tmp_path),
            **standin.environment,
            "ASYNCPIPE_DESTINATION": standin.destination,
            "ASYNCPIPE_VARIABLES": "size_mib=96\nseconds=1",
            "ASYNCPIPE_BANDWIDTH": "4MiB",
            "ASYNCPIPE_PART_SIZE": "5MiB",
        }
        step = RunningStep(SCRIPT, folder=tmp_path, environment=environment)
        try:
            wait_until(lambda: has_an_open_upload(standin), step)
            if kill:
                for pid in step.alive():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                done = step.wait(30)
            else:
                done = step.cancel()
                assert (done.killed_by, done.return_code) == ("SIGINT", 130), done.text
                assert "remains: to clean up: asyncpipe reap --run" in done.text
            assert step.alive() == ()
            reaped = reap(done.outputs["run-directory"], environment)
            assert reaped.returncode == 0, reaped.stdout + reaped.stderr
            assert standin.uploads() == []
            assert [key for key in standin.objects() if "/templates/" in key] == []
        finally:
            step.sweep()


SLOWLY, NEVER = 0.5, 600.0
PROBE = ("PutObject", "CreateMultipartUpload", "UploadPart", "AbortMultipartUpload", "DeleteObject")


@pytest.mark.parametrize(
    ("operation", "seconds"),
    [
        pytest.param("PutObject", SLOWLY, marks=HEAVY),
        pytest.param("UploadPart", SLOWLY, marks=HEAVY),
        ("DeleteObject", SLOWLY),
        pytest.param("PutObject", NEVER, marks=HEAVY),
        ("UploadPart", NEVER),
    ],
)
def test_a_cancel_while_the_store_is_asked_what_it_honours_is_safe_in_time(
    tmp_path: Path, operation: str, seconds: float
) -> None:
    late = PROBE if seconds == SLOWLY else PROBE[PROBE.index(operation) :]
    faults = Faults([answer_late(name, seconds, times=1000) for name in late])
    with running_standin(faults) as standin:
        environment = {
            **environment_of(tmp_path),
            **standin.environment,
            "ASYNCPIPE_DESTINATION": standin.destination,
        }
        step = RunningStep(SCRIPT, folder=tmp_path, environment=environment)
        try:
            wait_until(lambda: bool(standin.seen(operation)), step)
            assert_safe(step, tmp_path)
            assert [key for key in standin.objects() if "/.asyncpipe-probe/" not in key] == []
            assert seconds == NEVER or (standin.objects(), standin.uploads()) == ({}, [])
        finally:
            step.sweep()


def assert_safe(step: RunningStep, folder: Path) -> None:
    """Cancelled before a run began: nothing lives, and there is nothing to reap."""
    done = step.cancel()
    assert (done.killed_by, done.return_code) == ("SIGINT", 130), done.text
    assert done.ended_after_s < SIGINT_WAIT_S
    assert step.alive() == ()
    assert list(folder.glob("work/runs/*")) == []
    assert "run-directory" not in done.outputs


def test_a_cancel_while_packer_is_asked_its_version_is_safe_in_time(tmp_path: Path) -> None:
    packer, asked = tmp_path / "packer", tmp_path / "asked"
    packer.write_text(f"#!/bin/sh\ntrap '' INT TERM\nsleep 600 &\ntouch '{asked}'\nwait\n")
    packer.chmod(0o755)
    environment = {**environment_of(tmp_path), "PACKER": str(packer)}
    step = RunningStep(SCRIPT, folder=tmp_path, environment=environment)
    try:
        wait_until(asked.exists, step)
        assert_safe(step, tmp_path)
    finally:
        step.sweep()


def test_a_cancel_while_templates_are_read_is_safe_in_time(tmp_path: Path) -> None:
    text = (ROOT / "templates/demo/demo.pkr.hcl").read_text()
    filling = "".join(f'locals {{ x{n} = [1, 2, "{n}", {{ a = {n} }}] }}\n' for n in range(1200))
    for number in range(100):  # far more than a minute of reading
        folder = tmp_path / f"many/demo-{number}"
        folder.mkdir(parents=True)
        (folder / "demo.pkr.hcl").write_text(text + filling)
    script = f"cd {tmp_path}\nexec python -m asyncpipe build many\n"
    step = RunningStep(script, folder=tmp_path, environment=environment_of(tmp_path))
    try:
        wait_until(lambda: thread_count(step) > 1, step)
        assert_safe(step, tmp_path)
    finally:
        step.sweep()


def thread_count(step: RunningStep) -> int:
    """Of the step's one process; templates are read in a thread."""
    return max((len(list(Path(f"/proc/{pid}/task").glob("*"))) for pid in step.alive()), default=0)


def test_a_re_run_of_a_workflow_builds_nothing_that_an_earlier_attempt_published(
    tmp_path: Path,
) -> None:
    given = environment_of(tmp_path) | {
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "77",
        "ASYNCPIPE_VARIABLES": "size_mib=8\nseconds=0",
    }
    done = []
    for run_id, attempt in (("77", "1"), ("77", "2"), ("78", "2")):
        given |= {"GITHUB_RUN_ID": run_id, "GITHUB_RUN_ATTEMPT": attempt}
        step = RunningStep(SCRIPT, folder=tmp_path, environment=given)
        try:
            done.append(step.wait(180))
        finally:
            step.sweep()
        step.output_file.unlink()
        step.summary_file.unlink()
    first, again, other = done
    assert [one.return_code for one in done] == [0, 0, 0], again.text
    assert [one.outputs["published-count"] for one in done] == ["1", "0", "1"]
    assert again.outputs["urls"] == first.outputs["urls"]
    assert "already published" in again.text
    assert "published by an earlier attempt" in str(again.summary)
    assert other.outputs["urls"] != first.outputs["urls"]
