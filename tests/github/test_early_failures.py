"""What fails before there is a run leaves an annotation, a summary and outputs on GitHub."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from asyncpipe import catalog, metadata
from asyncpipe.stores.directory.store import DirectoryStore
from tests.github.runner_standin import RunningStep, Step
from tests.github.workflow_files import ROOT
from tests.metadata import documents as make
from tests.s3_standin.server import running_standin

OUTPUTS = {
    "urls",
    "metadata",
    "published-count",
    "failed-count",
    "not-started-count",
    "exit-code",
}
HOST_TEMPLATE = """
variable "remote_host" { type = string }
locals {
  os_name = "debian"
  os_version = "12"
}
source "xenserver-iso" "x" {
  remote_host = var.remote_host
  remote_username = "root"
  remote_password = "secret-password"
}
build { sources = ["source.xenserver-iso.x"] }
"""
BROKEN = "locals {\n  a = [1,\n}\n"


class Desk:
    """A workspace with templates, and steps in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        packer = folder / "packer"
        packer.write_text("#!/bin/sh\necho Packer v1.16.0\n")
        packer.chmod(0o755)
        for name, text in (("pool", HOST_TEMPLATE), ("broken", BROKEN)):
            (self.workspace / name).mkdir(parents=True)
            (self.workspace / name / "x.pkr.hcl").write_text(text)

    def run(self, command: str, **environment: str) -> Step:
        given = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "PACKER": str(self.folder / "packer"),
            "GITHUB_WORKSPACE": str(self.workspace),
            "ASYNCPIPE_DESTINATION": str(self.folder / "published"),
            "ASYNCPIPE_WORK_DIRECTORY": str(self.folder / "work"),
            "PKR_VAR_remote_host": "pool.invalid",
        }
        script = f"cd '{self.workspace}'\nexec python -m asyncpipe {command}\n"
        step = RunningStep(script, folder=self.folder, environment={**given, **environment})
        try:
            return step.wait(120)
        finally:
            step.sweep()


async def publish(destination: Path, took_s: dict[str, float]) -> None:
    """Publish versions of which the catalogue knows how long they took."""
    store = DirectoryStore(destination)
    for short_id, duration_s in took_s.items():
        document = make.published(short_id=short_id)
        entry = catalog.entry_of(metadata.published(document))
        build = msgspec.structs.replace(entry.build, unit=short_id, duration_s=duration_s)
        await store.put(entry.xva.key, b"xva", content_type="x/x")
        await store.put(
            entry.metadata_key, metadata.encode(document), content_type="application/json"
        )
        await catalog.move_pointer(store, msgspec.structs.replace(entry, build=build))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def the_error(done: Step) -> tuple[str, dict[str, str]]:
    (error,) = done.annotations["error"]
    assert done.errors == []
    return error.data, dict(error.properties)


NO_SERVER = {
    "ASYNCPIPE_DESTINATION": "s3://bucket/x",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-store",
    "AWS_REGION": "us-east-1",
}
CASES = {
    "no such template": ("build nosuch", 3, "no such template", {}),
    "template that cannot be read": ("build broken", 3, "x.pkr.hcl", {}),
    "an option that is none": ("build --nosuch pool", 2, "--nosuch", {}),
    "no template": ("build", 2, "No template was named", {}),
    "an unset destination": ("build pool", 2, "workspace", {"ASYNCPIPE_DESTINATION": ""}),
    "a mistyped URL": ("build pool", 2, "not a destination", {"ASYNCPIPE_DESTINATION": "s3:/b/x"}),
    "a mistyped scheme": ("build pool", 2, "workspace", {"ASYNCPIPE_DESTINATION": "s3/b/x"}),
    "an unset secret": ("build pool", 2, "remote_host is empty", {"PKR_VAR_remote_host": ""}),
    "no Packer": ("build pool", 2, "acker", {"PACKER": "/nonexistent/packer"}),
    "a store that is not there": ("build pool", 40, "127.0.0.1:1", NO_SERVER),
    "a file that is not there": ("publish nosuch.xva", 2, "nosuch.xva", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_an_early_failure_is_annotated_and_sets_the_outputs(desk: Desk, case: str) -> None:
    command, exit_code, words, environment = CASES[case]
    done = desk.run(command, **environment)
    assert done.return_code == exit_code, done.text
    message, properties = the_error(done)
    assert words in message
    if command == "build broken":
        assert (properties["file"], int(properties["line"]) > 1) == ("broken/x.pkr.hcl", True)
    assert properties["title"].endswith(f": exit code {exit_code}")
    assert done.outputs.keys() >= OUTPUTS
    assert done.outputs["exit-code"] == str(exit_code)
    assert (done.outputs["published-count"], done.outputs["urls"]) == ("0", "")
    assert done.summary is not None
    assert f"exit code {exit_code}" in done.summary


def test_a_store_that_refuses_the_key_is_annotated_without_the_key(desk: Desk) -> None:
    with running_standin() as standin:
        wrong = {**standin.environment, "AWS_SECRET_ACCESS_KEY": "a-wrong-secret-key"}
        done = desk.run("build pool", ASYNCPIPE_DESTINATION=standin.destination, **wrong)
    assert done.return_code == 42, done.text
    the_error(done)
    assert "a-wrong-secret-key" not in done.text + str(done.summary)


def test_a_role_without_an_identity_token_is_annotated(desk: Desk) -> None:
    program = ROOT / "bin/aws-credentials"
    config = desk.folder / "aws-config"
    config.write_text(f'[profile asyncpipe]\ncredential_process = "{program}"\n')
    done = desk.run(
        "build pool",
        ASYNCPIPE_DESTINATION="s3://bucket/x",
        AWS_CONFIG_FILE=str(config),
        AWS_PROFILE="asyncpipe",
        ASYNCPIPE_AWS_ROLE="arn:aws:iam::123456789012:role/publish",
        AWS_REGION="us-east-1",
    )
    assert done.return_code in {2, 42}, done.text
    message, _ = the_error(done)
    assert "id-token: write" in message


def test_an_error_s_words_forge_no_command_in_an_annotation(desk: Desk) -> None:
    done = desk.run("build $'nosuch\\n::error::forged ##[error]x'")
    assert done.return_code == 3
    message, _ = the_error(done)
    assert "forged" in message
    assert [one.name for one in done.obeyed] == ["error"]


def test_a_dry_run_may_name_a_folder_in_the_workspace(desk: Desk) -> None:
    done = desk.run("build pool --dry-run", ASYNCPIPE_DESTINATION="")
    assert (done.return_code, done.annotations) == (0, {}), done.text


def test_a_check_annotates_what_failed_and_shows_all_in_the_summary(desk: Desk) -> None:
    done = desk.run("check pool broken", ASYNCPIPE_DESTINATION="")
    assert done.return_code in {2, 3}, done.text
    said = {one.properties["title"]: one for one in done.annotations["error"]}
    assert said["broken template"].properties["file"] == "broken/x.pkr.hcl"
    assert "workspace" in said["destination"].data
    assert done.outputs["exit-code"] == str(done.return_code)
    assert done.summary is not None
    assert "| ok | " in done.summary


class TestMatrix:
    def test_a_broken_template_is_annotated_and_the_others_are_planned(self, desk: Desk) -> None:
        done = desk.run("matrix .")
        assert done.return_code == 3, done.text
        _, properties = the_error(done)
        assert properties["file"] == "broken/x.pkr.hcl"
        (job,) = json.loads(done.outputs["matrix"])
        assert (job["name"], job["templates"], job["only"]) == ("pool", ["pool"], [])
        assert (done.outputs["count"], done.outputs["exit-code"]) == ("1", "3")

    def test_a_destination_in_the_workspace_is_refused(self, desk: Desk) -> None:
        done = desk.run("matrix pool", ASYNCPIPE_DESTINATION="")
        assert done.return_code == 2, done.text
        assert "workspace" in the_error(done)[0]
        assert "matrix" not in done.outputs

    def test_past_durations_of_the_catalogue_order_and_balance_the_jobs(self, desk: Desk) -> None:
        names = ("debian-10", "debian-11", "debian-12", "debian-13")
        for name in names:
            (desk.workspace / name).mkdir()
            (desk.workspace / name / "x.pkr.hcl").write_text(
                HOST_TEMPLATE.replace('"12"', f'"{name[-2:]}"')
            )
        given = {"ASYNCPIPE_TEMPLATES": " ".join(names)}

        def jobs(**more: str) -> list[dict[str, Any]]:
            done = desk.run("matrix", **given, **more)
            assert (done.return_code, done.annotations) == (0, {}), done.text
            planned: list[dict[str, Any]] = json.loads(done.outputs["matrix"])
            return planned

        took_s = {"debian10": 100.0, "debian11": 300.0, "debian12": 900.0, "debian13": 200.0}
        anyio.run(publish, desk.folder / "published", took_s)
        longest_first = ["debian-12", "debian-11", "debian-13", "debian-10"]
        expected_s = [(job["name"], job["expected_s"]) for job in jobs()]
        assert expected_s == list(zip(longest_first, (900, 300, 200, 100), strict=True))
        alone, together = jobs(ASYNCPIPE_RUNNERS="2")
        assert alone["units"] == ["debian-12"]
        assert (set(together["units"]), together["expected_s"]) == ({*names} - {"debian-12"}, 600)

    def test_durations_that_cannot_be_read_are_a_warning(self, desk: Desk) -> None:
        done = desk.run("matrix pool", **NO_SERVER)
        assert done.return_code == 0, done.text
        (warning,) = done.annotations["warning"]
        assert "durations" in warning.data
        assert json.loads(done.outputs["matrix"])[0]["expected_s"] == 1800

    def test_names_come_by_the_variable_whatever_is_in_them(self, desk: Desk) -> None:
        odd = desk.workspace / "with a blank"
        odd.mkdir()
        (odd / "x.pkr.hcl").write_text(HOST_TEMPLATE.replace("12", "13"))
        for text in ("pool\n'with a blank'", '["pool", "with a blank"]'):
            done = desk.run("matrix", ASYNCPIPE_TEMPLATES=text)
            assert done.return_code == 0, done.text
            jobs = json.loads(done.outputs["matrix"])
            assert sorted(job["templates"] for job in jobs) == [["pool"], ["with a blank"]]
        done = desk.run("matrix", ASYNCPIPE_TEMPLATES="--help")
        assert done.return_code == 3, done.text
        assert "--help: no such template" in the_error(done)[0]

    @pytest.mark.parametrize("jobs", [1, 2, 8])
    def test_the_shipped_templates_are_spread_over_jobs_and_none_collide(
        self, desk: Desk, jobs: int
    ) -> None:
        (desk.workspace / "templates").symlink_to(ROOT / "templates")
        done = desk.run("matrix", ASYNCPIPE_RUNNERS=str(jobs), ASYNCPIPE_BUILD_TIMEOUT="5h")
        assert (done.return_code, done.annotations) == (0, {}), done.text
        plan = json.loads(done.outputs["matrix"])
        templates = [one for job in plan for one in job["templates"]]
        assert len(plan) == jobs
        assert len(set(templates)) == len(templates) >= 9
        assert not {"templates/demo", "templates/qemu/debian-12"} & set(templates)
        waves = max(len(job["units"]) for job in plan)
        assert max(job["timeout_minutes"] for job in plan) == waves * 300 + 60
        assert all(job["only"] == [] for job in plan)
