"""Every workflow, step by step, with its own defaults: what a repository that copies them gets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import many
from tests.github.made_environment import made_environment
from tests.github.workflow_files import ROOT, WORKFLOWS, script_of
from tests.github.workflow_standin import Ran, Runner

pytestmark = [
    pytest.mark.real_packer,
    pytest.mark.timeout(900),  # several whole workflows, also on a busy machine
    pytest.mark.skipif(shutil.which("packer") is None, reason="no Packer on this machine"),
]
CALLER = ROOT / ".github/workflows/build-templates.yml"
NAMES = {"debian-12", "ubuntu-22-04", "rocky-9"}
SHORT_IDS = {"debian12", "ubuntu22.04", "rocky9"}
COPIES = [
    many.Copy(system=system, version=version, seconds=0, size_mib=1)
    for system, version in (("debian", "12"), ("ubuntu", "22.04"), ("rocky", "9"))
]


class Repository:
    """A repository with three templates, and what is set in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.published = folder / "published"
        many.write(self.workspace / "templates", COPIES)
        self.git("init", "--quiet")
        self.commit()
        self.variables = {"ASYNCPIPE_DESTINATION": str(self.published)}
        self.environment = {"ASYNCPIPE_VENV": str(made_environment(folder / "venv"))}

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.invalid")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.workspace, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def run(
        self, name: str, inputs: Mapping[str, Any] | None = None, *, attempt: int = 1,
        path: Path = CALLER, until: str = "", **github: Any,
    ) -> dict[str, list[Ran]]:  # fmt: skip
        runner = Runner(
            folder=self.folder,
            workspace=self.workspace,
            github={
                "event_name": name, "repository": "o/r", "run_id": 7, "run_attempt": attempt,
                "ref": "refs/heads/main", "event": {"repository": {"fork": False}}, **github,
            },
            variables=self.variables,
            environment=self.environment,
            until=until,
        )  # fmt: skip
        return runner.run(path, inputs)

    def latest(self) -> set[str]:
        return {path.parent.name for path in self.published.glob("templates/*/latest.json")}

    def metadata(self) -> list[Path]:
        return sorted(self.published.glob("templates/*/*/metadata.json"))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def told(done: dict[str, list[Ran]]) -> str:
    """Everything that was printed, for a message."""
    return "\n".join(
        f"--- {key}: {leg.name}: {leg.result}: {name}\n{step.text[-1500:]}"
        for key, legs in done.items()
        for leg in legs
        for name, step in leg.steps.items()
    )


def results(done: dict[str, list[Ran]]) -> dict[str, list[str]]:
    return {key: [leg.result for leg in legs] for key, legs in done.items()}


def test_the_weekly_run_publishes_every_template_with_the_defaults(repository: Repository) -> None:
    done = repository.run("schedule")
    assert done["templates"][0].result == "success", told(done)
    assert results(done)["templates/build"] == ["success"] * 3
    assert {leg.name for leg in done["templates/build"]} == NAMES
    assert results(done)["templates/reap"] == ["success"]
    assert repository.latest() == SHORT_IDS
    for leg in done["templates/build"]:
        build = leg.steps["Build and publish"]
        assert (build.outputs["exit-code"], build.outputs["published-count"]) == ("0", "1")
        assert (build.errors, build.annotations) == ([], {})
        assert leg.steps["Clean up after the run"].return_code == 0


@pytest.mark.parametrize(("runners", "only"), [(1, "debian-12"), (8, "debian-12 rocky-9")])
def test_a_dispatch_builds_on_as_many_runners_as_are_asked_for(
    repository: Repository, runners: int, only: str
) -> None:
    """Two is the default: the weekly run's."""
    done = repository.run("workflow_dispatch", {"runners": runners, "only": only})
    assert done["templates"][0].result == "success", told(done)
    assert repository.latest() == ({"debian12", "rocky9"} if runners > 1 else {"debian12"})
    assert results(done)["templates/reap"] == ["skipped"]


def test_a_push_builds_what_it_changes_and_a_push_that_changes_none_nothing(
    repository: Repository,
) -> None:
    before = repository.git("rev-parse", "HEAD")
    with (repository.workspace / "templates/rocky-9/os-release").open("a") as file:
        file.write("CHANGED=1\n")
    after = repository.commit()
    event = {"repository": {"fork": False}}
    done = repository.run("push", event={**event, "before": before})
    assert done["templates"][0].result == "success", told(done)
    assert repository.latest() == {"rocky9"}
    done = repository.run("push", event={**event, "before": after})
    assert results(done)["templates/build"] == ["skipped"]
    assert done["templates"][0].result == "success", told(done)


def test_a_forced_push_plans_everything(repository: Repository) -> None:
    event = {"repository": {"fork": False}, "before": "0" * 40}
    done = repository.run("push", event=event, until="plan")
    plan = done["templates/plan"][0].steps["Plan"]
    assert {job["name"] for job in json.loads(plan.outputs["matrix"])} == NAMES


def test_a_fork_runs_nothing(repository: Repository) -> None:
    done = repository.run("push", event={"repository": {"fork": True}, "before": ""})
    assert results(done) == {"templates": ["skipped"]}


def test_an_unset_destination_is_red_and_says_so(repository: Repository) -> None:
    repository.variables = {}
    done = repository.run("schedule")
    assert results(done)["templates/plan"] == ["failure"]
    assert results(done)["templates/build"] == ["skipped"]
    assert results(done)["templates/summary"] == ["failure"]
    (error,) = done["templates/plan"][0].steps["Plan"].annotations["error"]
    assert "ASYNCPIPE_DESTINATION" in error.data


def test_a_template_that_fails_or_cannot_be_read_stops_no_other(repository: Repository) -> None:
    broken = repository.workspace / "templates/broken"
    broken.mkdir()
    (broken / "x.pkr.hcl").write_text("locals {\n  a = [1,\n}\n")
    install = repository.workspace / "templates/rocky-9/install.sh"
    install.write_text("#!/bin/sh\necho it went wrong\nexit 3\n")
    done = repository.run("workflow_dispatch")
    assert repository.latest() == SHORT_IDS - {"rocky9"}, told(done)
    assert results(done)["templates/plan"] == ["failure"]
    assert sorted(results(done)["templates/build"]) == ["failure", "success", "success"]
    (failed,) = (leg for leg in done["templates/build"] if leg.result == "failure")
    assert failed.steps["Build and publish"].outputs["exit-code"] == "20"
    (error,) = failed.steps["Build and publish"].annotations["error"]
    assert "rocky-9" in error.properties["title"]
    (summary,) = done["templates/summary"][0].steps["Say how it ended"].annotations["error"]
    assert "failure" in summary.data


@pytest.mark.heavy("github")
def test_a_re_run_builds_only_what_the_attempt_before_did_not(repository: Repository) -> None:
    install = repository.workspace / "templates/rocky-9/install.sh"
    good = install.read_text()
    install.write_text("#!/bin/sh\nexit 3\n")
    repository.run("workflow_dispatch")
    published = repository.metadata()
    install.write_text(good)
    done = repository.run("workflow_dispatch", attempt=2)
    assert done["templates"][0].result == "success", told(done)
    assert len(repository.metadata()) == len(published) + 1 == 3
    done = repository.run("workflow_dispatch", {"rebuild": True}, attempt=3)
    assert len(repository.metadata()) == 6, told(done)


def test_a_lost_plan_is_no_green_run(repository: Repository) -> None:
    script = script_of("summary:Say how it ended")
    for planned, built, count, green in (
        ("success", "success", "3", True),
        ("success", "skipped", "0", True),
        ("success", "skipped", "3", False),
        ("success", "skipped", "", False),
        ("success", "failure", "3", False),
        ("success", "cancelled", "3", False),
        ("failure", "success", "3", False),
    ):
        summary = repository.folder / "summary"
        ended = subprocess.run(
            ["bash", "-e", "-c", script],
            env={
                "PLANNED": planned, "BUILT": built, "COUNT": count,
                "GITHUB_STEP_SUMMARY": str(summary),
            },
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (ended.returncode == 0) is green, (planned, built, count)
        assert ended.stdout.startswith("::error") is not green


def test_the_check_of_every_weekday_passes_and_names_what_is_wrong(repository: Repository) -> None:
    (repository.workspace / "bin").symlink_to(ROOT / "bin")
    path = ROOT / ".github/workflows/iso-check.yml"
    done = repository.run("schedule", path=path)
    assert results(done) == {"check": ["success"]}, told(done)
    repository.variables = {}
    done = repository.run("schedule", path=path)
    assert results(done) == {"check": ["failure"]}
    (error,) = done["check"][0].steps["Check what a build would need"].annotations["error"]
    assert "ASYNCPIPE_DESTINATION" in error.data


def test_every_workflow_is_run_by_a_test_or_runs_the_tests() -> None:
    run_here = {"build-templates.yml", "templates.yml", "iso-check.yml"}
    others = {"ci.yml", "nightly.yml", "zizmor.yml", "release.yml"}  # by test_act.py, by act
    assert {path.name for path in WORKFLOWS} == run_here | others


class TestThePage:
    """docs/github-actions.md, step by step, from an empty folder."""

    PAGE = (ROOT / "docs/github-actions.md").read_text()

    def blocks(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```", self.PAGE, re.MULTILINE | re.DOTALL)

    def test_an_empty_repository_comes_to_its_first_published_template(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "asyncpipe").symlink_to(ROOT)
        _packages, make, owners, commit = self.blocks("sh")
        caller, single = self.blocks("yaml")
        path = tmp_path / "images/.github/workflows/build-templates.yml"
        subprocess.run(["bash", "-e", "-c", make], cwd=tmp_path, check=True, timeout=60)
        path.write_text(caller)
        for block in (owners, commit):
            subprocess.run(["bash", "-e", "-c", block], cwd=path.parents[2], check=True, timeout=60)
        owned = (path.parents[1] / "CODEOWNERS").read_text().splitlines()
        assert owned == ["/.github/    @YOU", "/templates/  @YOU"]
        repository = object.__new__(Repository)
        repository.folder, repository.workspace = tmp_path, tmp_path / "images"
        repository.published = tmp_path / "published"
        repository.variables = {"ASYNCPIPE_DESTINATION": str(repository.published)}
        repository.environment = {"ASYNCPIPE_VENV": str(made_environment(tmp_path / "venv"))}
        event: dict[str, Any] = {"repository": "YOU/images", "event": {}}
        done = repository.run("workflow_dispatch", path=path, **event)
        assert done["templates"][0].result == "success", told(done)
        assert {leg.name for leg in done["templates/build"]} == {"first"}
        assert len(repository.metadata()) == 1
        (tmp_path / "single.yml").write_text(single)
        done = repository.run("workflow_dispatch", path=tmp_path / "single.yml", **event)
        assert done["build"][0].result == "success", told(done)
        assert len(repository.metadata()) == 2

    def test_what_it_says_to_set_is_what_the_workflow_reads(self) -> None:
        text = (ROOT / ".github/workflows/templates.yml").read_text()
        read = set(re.findall(r"\b(?:vars|secrets)\.([A-Z_0-9]+)", text))
        table = self.PAGE.partition("### 5. The environment")[2].partition("### 6.")[0]
        named = {
            name
            for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
            for name in re.findall(r"`([A-Z_0-9]+)`", row)
        }
        assert named == read

    @pytest.mark.heavy("github")
    @pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed here")
    def test_the_packages_of_the_runner_are_there(self, tmp_path: Path) -> None:
        sudo = tmp_path / "sudo"
        sudo.write_text('#!/bin/sh\nprogram=$1; shift; exec "$program" --simulate "$@"\n')
        sudo.chmod(0o755)
        subprocess.run(
            ["bash", "-e", "-c", self.blocks("sh")[0]],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            check=True,
            timeout=120,
        )

    def test_its_workflows_fit_the_schema(self, tmp_path: Path) -> None:
        argv = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"]
        for number, text in enumerate(self.blocks("yaml")):
            path = tmp_path / f"{number}.yml"
            path.write_text(text)
            argv.append(str(path))
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout
