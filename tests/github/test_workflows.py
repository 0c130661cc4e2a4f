"""Workflows and action: linted, pinned, without injection, and their scripts do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from asyncpipe.cli import main
from asyncpipe.cli.build import build
from asyncpipe.cli.matrix import matrix
from asyncpipe.cli.reap import reap
from asyncpipe.report.github import outputs
from tests.github.runner_standin import RunningStep
from tests.github.workflow_files import ACTIONS, ROOT, WORKFLOWS, load, script_of, steps

BIN = Path(sys.executable).parent
PLANNED = "${{ matrix.job.timeout_minutes }}"


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
        clean(
            tool("zizmor"), "--offline", "--no-progress", "--quiet", "--persona", "auditor",
            ".github", *map(str, ACTIONS),
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("schema", "paths"),
        [("workflows", WORKFLOWS), ("actions", ACTIONS)],
        ids=["workflows", "actions"],
    )
    def test_workflows_and_actions_fit_their_schemas(
        self, schema: str, paths: Sequence[Path]
    ) -> None:
        given = ("--builtin-schema", f"vendor.github-{schema}")
        clean(tool("check-jsonschema"), *given, *map(str, paths))

    def test_dependabot_s_file_fits_the_schema(self) -> None:
        path = ROOT / ".github/dependabot.yml"
        clean(tool("check-jsonschema"), "--builtin-schema", "vendor.dependabot", str(path))

    def test_yamllint_finds_nothing(self) -> None:
        rules = "{extends: default, rules: {line-length: {max: 120}, truthy: disable, "
        rules += "document-start: disable, comments: {min-spaces-from-content: 1}}}"
        clean(tool("yamllint"), "--strict", "-d", rules, ".github", *map(str, ACTIONS))

    def test_shellcheck_finds_nothing_in_any_script(self) -> None:
        for name, step in steps():
            if "run" in step:
                script = f"# {name}\n{step['run']}"
                clean(tool("shellcheck"), "--shell=bash", "--enable=quote-safe-variables", "-",
                      stdin=script)  # fmt: skip


class TestRules:
    def test_no_expression_stands_inside_a_script(self) -> None:
        assert [name for name, step in steps() if "${{" in step.get("run", "")] == []

    def test_every_foreign_action_is_pinned_by_commit_and_says_its_version(self) -> None:
        for path in WORKFLOWS:
            for line in path.read_text().splitlines():
                if "uses:" in line and not re.search(r"uses: [.$]/", line):
                    assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)

    def test_every_job_has_a_time_limit_and_no_more_rights_than_it_needs(self) -> None:
        rights = {"contents": "read", "id-token": "write"}
        for path in WORKFLOWS:
            document = load(path)
            assert document["permissions"] == {}
            for job in document["jobs"].values():
                if "uses" not in job and job["timeout-minutes"] != PLANNED:
                    assert 0 < job["timeout-minutes"] <= 120
                assert job.get("permissions", {}).items() <= rights.items()

    def test_pull_requests_of_strangers_never_run_on_a_self_hosted_runner(self) -> None:
        for path in WORKFLOWS:
            assert "pull_request_target" not in path.read_text()
            if "pull_request:" in path.read_text():
                for job in load(path)["jobs"].values():
                    assert job["runs-on"] == "ubuntu-24.04"
                    assert "secrets" not in job
                assert "secrets." not in path.read_text()

    def test_every_action_is_entered_by_exec_and_without_a_pipe(self) -> None:
        for path in ACTIONS:
            (step,) = load(path)["runs"]["steps"]
            last = step["run"].strip().splitlines()[-1]
            assert last.startswith("exec ")
            assert "|" not in last
        for program in ("step", "asyncpipe", "build-template"):
            assert "exec " in (ROOT / "bin" / program).read_text()

    def test_builds_of_one_template_exclude_each_other_whatever_the_branch(self) -> None:
        group = load(ROOT / ".github/workflows/templates.yml")["jobs"]["build"]["concurrency"]
        assert "matrix.job.name" in group["group"]
        assert "ref" not in group["group"]
        assert (group["queue"], group["cancel-in-progress"]) == ("max", False)

    def test_what_an_environment_holds_is_read_in_steps_only(self) -> None:
        """Before a job has its environment, `vars` holds those of the repository alone."""
        for path in (*WORKFLOWS, ROOT / "asyncpipe/starter/ci/github.yml"):
            document = load(path)
            jobs = document["jobs"].values()
            around = [
                {k: v for k, v in job.items() if k not in {"steps", "secrets"}} for job in jobs
            ]
            assert "vars." not in json.dumps([document.get("env"), around])

    def test_the_store_of_one_s_own_reaches_every_step_that_speaks_to_it(self) -> None:
        for name, step in steps():
            if "$/" in step.get("uses", ""):
                wanted = {"AWS_REGION", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"}
                assert wanted <= step["env"].keys(), name

    def test_owners_are_asked_for_all_that_runs_with_secrets(self) -> None:
        owned = (ROOT / ".github/CODEOWNERS").read_text()
        folders = {"/.github/", "/action.yml", "/bin/", "/provisioning/", "/templates/"}
        folders |= {f"/{path.parent.name}/" for path in ACTIONS if path.parent != ROOT}
        assert all(re.search(rf"^{re.escape(name)} +@", owned, re.MULTILINE) for name in folders)


def variables_of(parameter: click.Parameter) -> list[str]:
    names = parameter.envvar or []
    return [names] if isinstance(names, str) else list(names)


COMMANDS = {"action.yml": build, "plan/action.yml": matrix, "reap/action.yml": reap}
# Variables that bin/step reads itself: a profile of the AWS configuration, arguments of reap.
OF_THE_STEP = {
    "ASYNCPIPE_AWS_ROLE",
    "ASYNCPIPE_CHANGED_SINCE",
    "ASYNCPIPE_OLDER_THAN",
    "ASYNCPIPE_RUN_DIRECTORY",
    "AWS_REGION",
}


class TestAction:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_input_reaches_a_setting_and_every_setting_has_an_input(self, name: str) -> None:
        (step,) = load(ROOT / name)["runs"]["steps"]
        text = " ".join(step["env"].values())
        for one in load(ROOT / name)["inputs"]:
            assert f"inputs.{one} " in text
        known = {name for one in COMMANDS[name].params for name in variables_of(one)}
        assert set(step["env"]) - OF_THE_STEP <= known
        options = {variables_of(one)[0] for one in COMMANDS[name].params if variables_of(one)}
        assert options - set(step["env"]) <= {"ASYNCPIPE_RESUME"}  # it names no templates

    def test_every_output_is_one_that_a_run_writes(self) -> None:
        written = outputs([], exit_code=0, run_directory="r")
        names = {line.split("<<")[0] for line in written.splitlines() if "<<" in line}
        assert set(load(ROOT / "action.yml")["outputs"]) == names

    def test_the_link_for_our_own_workflows_is_the_same_action(self) -> None:
        assert (ROOT / "build/action.yml").samefile(ROOT / "action.yml")

    @pytest.fixture(params=["", "/build"], ids=["root", "link"])
    def checkout(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        """The root action's folder, as itself and by the link."""
        for name in ("build", "plan", "reap", "bin"):
            (tmp_path / name).mkdir()
        for name in ("step", "aws-credentials"):
            shutil.copy(ROOT / "bin" / name, tmp_path / "bin" / name)
        return Path(f"{tmp_path}{request.param}")

    def begin(
        self, checkout: Path, program: str, action: str = "action.yml:asyncpipe",
        **environment: str,
    ) -> RunningStep:  # fmt: skip
        root = checkout.parent if checkout.name in {"build", "plan", "reap"} else checkout
        for name in ("build-template", "asyncpipe"):
            entry = root / "bin" / name
            entry.write_text(program)
            entry.chmod(0o755)
        given = {
            "PATH": os.environ["PATH"],
            "GITHUB_ACTION_PATH": str(checkout),
            "RUNNER_TEMP": str(root),
            "ASYNCPIPE_AWS_ROLE": "",
        }
        return RunningStep(script_of(action), folder=root, environment={**given, **environment})

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
        root = checkout.parent if checkout.name == "build" else checkout
        assert done.log == [
            "[profile asyncpipe]",
            f'credential_process = "{root}/bin/aws-credentials"',
            "asyncpipe<>",
        ]

    def test_without_a_role_the_environments_credentials_stay(self, checkout: Path) -> None:
        program = '#!/bin/sh\necho "$AWS_PROFILE<$AWS_ACCESS_KEY_ID>"\n'
        assert self.begin(checkout, program, AWS_ACCESS_KEY_ID="key").wait(30).log == ["<key>"]

    def test_what_nobody_set_is_unset(self, checkout: Path) -> None:
        program = '#!/bin/sh\nenv | grep -c "^AWS_" || true\n'
        names = ("AWS_REGION", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "AWS_ACCESS_KEY_ID")
        assert self.begin(checkout, program, **dict.fromkeys(names, "")).wait(30).log == ["0"]


class TestScripts:
    """The steps of the actions, with a stand-in for bin/asyncpipe that says how it was called."""

    SAY = '#!/bin/sh\nprintf "%s\\n" "$@" "since ${ASYNCPIPE_CHANGED_SINCE-}"\n'

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("plan", "reap", "bin"):
            (tmp_path / name).mkdir()
        shutil.copy(ROOT / "bin/step", tmp_path / "bin/step")
        return tmp_path

    def called(self, folder: Path, action: str, **environment: str) -> list[str]:
        step = TestAction().begin(
            folder / action, self.SAY, f"{action}/action.yml:asyncpipe {action}", **environment
        )
        done = step.wait(60)
        assert done.return_code == 0, done.text
        return done.log

    def test_a_push_plans_what_changed_since_a_commit_that_is_there(self, folder: Path) -> None:
        for command in (
            ["init", "-q"],
            ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x", "--allow-empty"],
        ):
            subprocess.run(["git", *command], cwd=folder, check=True, timeout=60)
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()
        assert self.called(folder, "plan", ASYNCPIPE_CHANGED_SINCE=head)[-1] == f"since {head}"
        gone = self.called(folder, "plan", ASYNCPIPE_CHANGED_SINCE="0" * 40)
        assert "everything is planned" in gone[0]
        assert gone[-1] == "since "

    def test_the_clean_up_reaps_the_run_that_the_step_named(self, folder: Path) -> None:
        called = self.called(folder, "reap", ASYNCPIPE_RUN_DIRECTORY="some where/r1")
        assert called[:3] == ["reap", "--run", "some where/r1"]

    def test_the_clean_up_takes_the_last_run_of_a_step_that_was_killed(self, folder: Path) -> None:
        assert self.called(folder, "reap")[:4] == ["reap", "--run", "last", "--if-any"]

    def test_the_weekly_clean_up_takes_what_is_old(self, folder: Path) -> None:
        called = self.called(folder, "reap", ASYNCPIPE_OLDER_THAN="1d")
        assert called[:3] == ["reap", "--older-than", "1d"]

    def test_the_clean_up_of_nothing_is_no_failure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main.run(["reap", "--run", "last", "--if-any"]) == 0
        assert "no run to clean up" in capsys.readouterr().out
        assert main.run(["reap", "--run", "last"]) == 2
