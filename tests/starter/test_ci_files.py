"""The CI files that `asyncpipe init --ci` lays: parsed, and their commands run, step by step."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from asyncpipe.starter import CI_FILES
from tests.e2e.command import needs_packer
from tests.github.runner_standin import RunningStep
from tests.starter.installed import Machine

HERE = Path(__file__).parents[2] / "asyncpipe/starter/ci"
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
# What a person would set in the CI system's settings.
KNOWN = {
    "inputs.templates || 'templates'": "templates/demo",
    "vars.ASYNCPIPE_DESTINATION": "published",
    "github.workspace": "{repository}",
}


def jobs(path: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return list(document["jobs"].values())


def filled(environment: Mapping[str, str], repository: Path) -> dict[str, str]:
    """Expressions replaced; a secret that nobody set is empty, as on the real ones."""

    def value(match: re.Match[str]) -> str:
        return KNOWN.get(match[1], "").format(repository=repository)

    return {name: EXPRESSION.sub(value, str(text)) for name, text in environment.items()}


@pytest.mark.real_packer
@needs_packer
@pytest.mark.parametrize(
    "ci", ["github", pytest.param("forgejo", marks=pytest.mark.heavy("github"))]
)
def test_the_steps_of_a_workflow_publish_under_the_runner(machine: Machine, ci: str) -> None:
    machine.lay("--from", "demo", "--ci", ci)
    (path,) = CI_FILES[ci]
    (job,) = jobs(machine.repository / path)
    given = machine.environment | {"RUNNER_TEMP": str(machine.folder / "runner temp")}
    Path(given["RUNNER_TEMP"]).mkdir()
    given |= filled(job.get("env", {}), machine.repository)
    ran = []
    for step in job["steps"]:
        if "run" not in step:
            continue
        assert "${{" not in step["run"]
        environment = given | filled(step.get("env", {}), machine.repository)
        environment["ASYNCPIPE_TEMPLATES"] = "templates/demo"
        runner = RunningStep(step["run"], folder=machine.repository, environment=environment)
        try:
            ended = runner.wait(240)
        finally:
            runner.sweep()
        assert ended.return_code == 0, (step["name"], ended.text)
        ran.append(step["name"])
    assert ran == [
        "Install asyncpipe and Packer",
        "Build and publish",
        "Clean up after the run",
    ]
    assert len(machine.published) == 1


@pytest.mark.real_packer
@needs_packer
def test_the_script_of_the_gitlab_job_publishes(machine: Machine) -> None:
    machine.lay("--from", "demo", "--ci", "gitlab")
    document = yaml.safe_load((machine.repository / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    (job,) = document.values()
    machine.environment |= job["variables"] | {"ASYNCPIPE_TEMPLATES": "templates/demo"}
    machine.run("\n".join([*job["before_script"], *job["script"]]))  # one shell, as GitLab's
    machine.run("\n".join(job["after_script"]))
    assert len(machine.published) == 1


def jenkins_steps(text: str) -> list[str]:
    """The scripts of every ``sh`` step, in order."""
    found = re.findall(r"""\bsh (?:'''(.*?)'''|'([^'\n]*)')""", text, re.DOTALL)
    return [long or short for long, short in found]


@pytest.mark.real_packer
@needs_packer
def test_an_unset_destination_is_annotated_by_the_laid_workflow(tmp_path: Path) -> None:
    (job,) = jobs(HERE / "github.yml")
    step = next(step for step in job["steps"] if step.get("name") == "Build and publish")
    program = tmp_path / "asyncpipe/bin/asyncpipe"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asyncpipe "$@"\n')
    program.chmod(0o755)
    given = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path)}
    given |= {"PYTHONPATH": str(HERE.parents[2]), "GITHUB_WORKSPACE": str(tmp_path)}
    given |= dict.fromkeys(step["env"], "") | {"ASYNCPIPE_TEMPLATES": "templates/demo"}
    shutil.copytree(HERE.parents[2] / "templates/demo", tmp_path / "templates/demo")
    runner = RunningStep(step["run"], folder=tmp_path, environment=given)
    try:
        ended = runner.wait(120)
    finally:
        runner.sweep()
    assert ended.return_code == 2, ended.text
    (error,) = ended.annotations["error"]
    assert "ASYNCPIPE_DESTINATION" in error.data


@pytest.mark.heavy("github")
@pytest.mark.real_packer
@needs_packer
def test_the_steps_of_the_jenkinsfile_publish(machine: Machine) -> None:
    machine.lay("--from", "demo", "--ci", "jenkins")
    text = (machine.repository / "Jenkinsfile").read_text(encoding="utf-8")
    code = re.sub(r"'''[\s\S]*?'''|'[^'\n]*'|//.*", "", text)
    assert re.fullmatch(r"\s*pipeline\s*\{.*\}\s*", code, re.DOTALL)
    assert code.count("{") == code.count("}")
    assert code.count("(") == code.count(")")
    steps = jenkins_steps(text)
    assert len(steps) == 3
    machine.environment["ASYNCPIPE_TEMPLATES"] = "templates/demo"
    for step in steps:
        machine.run(step)
    assert len(machine.published) == 1


@pytest.mark.heavy("github")
@pytest.mark.real_packer
@needs_packer
def test_the_script_for_cron_publishes_with_settings_from_its_file(machine: Machine) -> None:
    machine.lay("--from", "demo", "--ci", "cron")
    settings = Path(machine.environment["HOME"], ".config/asyncpipe/environment")
    settings.parent.mkdir(parents=True)
    settings.write_text(
        "ASYNCPIPE_DESTINATION=published\nASYNCPIPE_TEMPLATES=templates/demo\n", encoding="utf-8"
    )
    machine.run("cd / && '{}/ci/build-templates.sh'".format(machine.repository))  # noqa: UP032
    assert len(machine.published) == 1
    machine.run("ci/build-templates.sh")  # a second night


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def clean(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", "github.yml"),
        ("vendor.github-workflows", "forgejo.yml"),
        ("vendor.gitlab-ci", "gitlab.yml"),
    ],
)
def test_a_file_fits_its_schema(schema: str, file: str) -> None:
    clean(tool("check-jsonschema"), "--builtin-schema", schema, str(HERE / file))


def test_zizmor_finds_nothing_in_the_workflows(tmp_path: Path) -> None:
    workflows = tmp_path / ".github/workflows"
    workflows.mkdir(parents=True)
    shutil.copy(HERE / "github.yml", workflows)
    strict = ("--offline", "--no-progress", "--quiet", "--persona", "auditor")
    clean(tool("zizmor"), *strict, str(tmp_path))


def test_yamllint_finds_nothing() -> None:
    rules = "{extends: default, rules: {line-length: {max: 120}, truthy: disable, "
    rules += "document-start: disable, comments: {min-spaces-from-content: 1}}}"
    clean(tool("yamllint"), "--strict", "-d", rules, *map(str, HERE.glob("*.yml")))


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    scripts = [jenkins_steps((HERE / "Jenkinsfile").read_text(encoding="utf-8"))]
    scripts += [
        [step["run"] for step in job["steps"] if "run" in step]
        for name in ("github.yml", "forgejo.yml")
        for job in jobs(HERE / name)
    ]
    for number, script in enumerate(one for several in scripts for one in several):
        file = tmp_path / f"{number}.sh"
        file.write_text(script, encoding="utf-8")
        clean(tool("shellcheck"), "--shell=bash", str(file))
    clean(tool("shellcheck"), "--exclude=SC1090", str(HERE / "cron.sh"))
