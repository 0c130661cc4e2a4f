"""Every workflow run for real by nektos/act in host mode, and from another repository."""

from __future__ import annotations

import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.e2e.many import Copy
from tests.github.act import ACTIONLINT, OWN, REF, Bench, go_tool, until, wait
from tests.github.workflow_files import ROOT
from tests.starter.installed import the_testers_way_to_the_index

pytestmark = [
    pytest.mark.heavy("github"),
    pytest.mark.real_packer,
    pytest.mark.skipif(shutil.which("packer") is None, reason="no Packer on this machine"),
    pytest.mark.timeout(900),
]
DEBIAN = Copy(system="debian", version="12", seconds=0, size_mib=1)
ROCKY = Copy(system="rocky", version="9", seconds=0, size_mib=1)
FAILING = Copy(system="ubuntu", version="22.04", seconds=0, size_mib=1, fails=True)
SLOW = Copy(system="debian", version="12", seconds=300, size_mib=1)
BUILD = "build-templates.yml"
USE = f"""
name: Use
on: workflow_dispatch
permissions: {{}}
jobs:
  step:
    runs-on: [self-hosted, linux, xcp-ng]
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      - id: build
        uses: {OWN}@{REF}
        with:
          templates: templates/debian-12
          destination: ${{{{ vars.ASYNCPIPE_DESTINATION }}}}
      - if: always()
        uses: {OWN}/reap@{REF}
        with:
          destination: ${{{{ vars.ASYNCPIPE_DESTINATION }}}}
          run-directory: ${{{{ steps.build.outputs.run-directory }}}}
      - env:
          URLS: ${{{{ steps.build.outputs.urls }}}}
          CODE: ${{{{ steps.build.outputs.exit-code }}}}
        run: echo "published $URLS with $CODE"
  whole:
    uses: {OWN}/.github/workflows/templates.yml@{REF}
    with:
      only: rocky-9
      reap-older-than: 1d
"""


def test_actionlint_finds_nothing() -> None:
    done = subprocess.run(
        [go_tool(*ACTIONLINT)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing_in_the_workflow_that_init_lays(tmp_path: Path) -> None:
    laid = tmp_path / ".github/workflows"
    laid.mkdir(parents=True)
    shutil.copy(ROOT / "asyncpipe/starter/ci/github.yml", laid / "templates.yml")
    own = ["-config-file", str(ROOT / ".github/actionlint.yaml")]  # the runner's labels
    done = subprocess.run(
        [go_tool(*ACTIONLINT), *own, ".github/workflows/templates.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_weekly_run_publishes_everything_with_its_defaults(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DEBIAN, ROCKY])
    done = bench.run("schedule", BUILD)
    assert done.code == 0, done.text[-4000:]
    assert done.jobs("failed") == set()
    assert {"Plan", "Clean up", "Summary"} <= done.jobs("succeeded")
    assert bench.latest() == {"debian12", "rocky9"}


def test_a_template_that_fails_stops_no_other_and_a_re_run_builds_it_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DEBIAN, FAILING])
    run = {"GITHUB_RUN_ID": "77", "GITHUB_REPOSITORY": OWN}
    done = bench.run("workflow_dispatch", BUILD, GITHUB_RUN_ATTEMPT="1", **run)
    assert done.code != 0
    assert bench.latest() == {"debian12"}, done.text[-4000:]
    assert "Summary" in done.jobs("failed")
    again = bench.run("workflow_dispatch", BUILD, GITHUB_RUN_ATTEMPT="2", **run)
    assert "already published" in again.text
    assert len(list(bench.published.glob("templates/debian12/2*"))) == 1


def test_a_dispatch_takes_every_input(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DEBIAN, ROCKY, FAILING])
    inputs = {
        "templates": "templates/debian-12 templates/rocky-9 templates/ubuntu-22-04",
        "only": "*-12 *-9",
        "except": "rocky-9",
        "runners": "1",
        "rebuild": "true",
    }
    done = bench.run("workflow_dispatch", BUILD, inputs=inputs)
    assert done.code == 0, done.text[-4000:]
    assert bench.latest() == {"debian12"}


def test_a_push_that_changes_no_template_builds_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DEBIAN])
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=bench.own, capture_output=True, text=True, check=True
    ).stdout.strip()
    done = bench.run("push", BUILD, payload={"before": head})
    assert done.code == 0, done.text[-4000:]
    assert bench.latest() == set()
    done = bench.run("push", BUILD, payload={"before": "0" * 40})
    assert bench.latest() == {"debian12"}, done.text[-4000:]


def test_a_cancelled_run_leaves_nothing_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [SLOW])
    work = tmp_path / "work"
    step = USE.partition("  whole:")[0]
    step = step.replace("with:\n", f"with:\n          work-directory: {work}\n")
    repository = bench.repository(step, [SLOW])
    with bench.start("workflow_dispatch", "use.yml", repository=repository) as child:
        until(lambda: bool(list(work.glob("runs/*/*/build.log"))))
        child.send_signal(signal.SIGINT)
        wait(child)
    until(lambda: bench.living() == [], 60)
    assert bench.latest() == set()
    assert list(bench.published.glob("templates/*/*/*.xva")) == []


def test_another_repository_uses_the_actions_and_the_workflow(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [])
    repository = bench.repository(USE, [DEBIAN, ROCKY])
    done = bench.run("workflow_dispatch", "use.yml", repository=repository)
    assert done.code == 0, done.text[-4000:]
    assert bench.latest() == {"debian12", "rocky9"}
    assert "with 0" in done.text


@pytest.mark.parametrize(
    ("event", "workflow"), [("pull_request", "ci.yml"), ("schedule", "nightly.yml")]
)
def test_the_workflows_of_the_tests_call_them(tmp_path: Path, event: str, workflow: str) -> None:
    if workflow == "nightly.yml" and shutil.which("sudo") is None:
        pytest.skip("nightly.yml needs sudo, which is not installed here")
    bench = Bench(tmp_path, [])
    done = bench.run(event, workflow)
    assert done.code == 0, done.text[-4000:]
    assert "bin/test" in done.text


def test_the_check_of_every_weekday_is_green_where_nothing_is_wrong(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DEBIAN])
    done = bench.run("schedule", "iso-check.yml")
    assert done.code == 0, done.text[-4000:]
    assert "0 failed, 0 to look at" in done.text
    assert bench.latest() == set()


def test_the_audit_of_the_workflows_runs_and_finds_nothing(tmp_path: Path) -> None:
    """With the zizmor of the lock file, from the package index; GitHub itself is not asked."""
    bench = Bench(tmp_path, whole=True)
    given = the_testers_way_to_the_index() | {"ZIZMOR_OFFLINE": "true"}
    done = bench.run("schedule", "zizmor.yml", **given)
    assert done.code == 0, done.text[-4000:]
    assert done.jobs("succeeded") == {"zizmor"}
    assert "::error" not in done.text


def test_a_tag_becomes_a_release_up_to_the_upload(tmp_path: Path) -> None:
    """The upload to PyPI itself needs PyPI's trust in the workflow: a stand-in does nothing."""
    bench = Bench(tmp_path, whole=True)
    tag = {"ref": "refs/tags/v1.2.3", "ref_type": "tag"}
    done = bench.run("push", "release.yml", payload=tag, **the_testers_way_to_the_index())
    assert done.code == 0, done.text[-4000:]
    assert done.jobs("succeeded") == {"Build", "Publish"}
    names = {path.name for path in (bench.kept / "dist").iterdir()}
    assert names == {"asyncpipe-1.2.3.tar.gz", "asyncpipe-1.2.3-py3-none-any.whl"}
    with zipfile.ZipFile(bench.kept / "dist/asyncpipe-1.2.3-py3-none-any.whl") as wheel:
        about = wheel.read("asyncpipe-1.2.3.dist-info/METADATA").decode()
    assert f"](https://github.com/{OWN}/blob/v1.2.3/docs/" in about
    assert "](docs/" not in about
    assert "Nothing to change" in done.text  # asyncpipe update, by the wheel


def test_a_pull_request_starts_nothing_that_builds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [DEBIAN])
    done = bench.run("pull_request", BUILD)
    assert bench.latest() == set()
    assert done.jobs("succeeded") == set()
