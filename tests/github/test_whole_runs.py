"""Whole runs with real Packer, started and cancelled as GitHub's runner does it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.github.runner_standin import SIGINT_WAIT_S, RunningStep
from tests.github.workflow_files import ROOT
from tests.s3_standin.server import StandIn, running_standin

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


@pytest.mark.parametrize("moment", ["phase provision", "==> ", "phase export", "phase publish"])
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


def wait_for_an_open_upload(standin: StandIn, step: RunningStep) -> None:
    deadline_s = time.monotonic() + 120
    while not any(
        upload.key.endswith(".xva") and standin.parts(upload.upload_id)
        for upload in standin.uploads()  # others are of the question what the store honours
    ):
        assert time.monotonic() < deadline_s, "no part arrived"
        with suppress(TimeoutError):
            step.wait_for_line(lambda _line: False, 0.05)


@pytest.mark.parametrize("kill", [False, True], ids=["SIGINT", "SIGKILL"])
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
            wait_for_an_open_upload(standin, step)
            if kill:
                for pid in step.alive():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                done = step.wait(30)
            else:
                done = step.cancel()
                assert (done.killed_by, done.return_code) == ("SIGINT", 130), done.text
                assert "remains: to clean up: bin/asyncpipe reap --run" in done.text
            assert step.alive() == ()
            reaped = reap(done.outputs["run-directory"], environment)
            assert reaped.returncode == 0, reaped.stdout + reaped.stderr
            assert standin.uploads() == []
            assert [key for key in standin.objects() if "/templates/" in key] == []
        finally:
            step.sweep()


def test_an_error_before_the_run_forges_no_command(tmp_path: Path) -> None:
    script = f"cd {ROOT}\nexec python -m asyncpipe build $'nosuch\\n::error::forged ##[error]x'\n"
    step = RunningStep(script, folder=tmp_path, environment=environment_of(tmp_path))
    done = step.wait(60)
    assert done.return_code == 3, done.text
    assert (done.annotations, done.obeyed) == ({}, [])
    assert "forged" in done.text
