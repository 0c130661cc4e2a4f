"""``build``, ``check``, ``matrix`` and ``detect`` choose builds alike, before Packer starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asyncpipe.cli import main

# Two sources, one with a name of its own: hashicorp/packer#11020, #10902, #9421.
TEMPLATE = """
source "null" "debian12" { communicator = "none" }
source "file" "debian12" {
  content = "x"
  target  = "x"
}
build {
  name = "base"
  source "source.null.debian12" { name = "debian12-server" }
  source "source.file.debian12" {}
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1/a.pkr.hcl").write_text(TEMPLATE)
    marker = tmp_path / "started"
    packer = tmp_path / "packer"
    packer.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && echo "Packer v1.11.2" && exit\n[ "$1" = build ] && '
        f"touch '{marker}'\nexit 0\n"
    )
    packer.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACKER", str(packer))
    return tmp_path


@pytest.mark.parametrize("option", ["-only", "--only"])
@pytest.mark.parametrize("command", ["build", "matrix", "check"])
def test_a_name_that_matches_no_build_ends_with_2_and_names_those_there_are(
    project: Path, command: str, option: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run([command, "p1", option, "null"]) == 2
    told = "".join(capfd.readouterr())
    assert "--only null matches no build" in told
    for name in ("p1-debian12-server (base.null.debian12-server)", "base.file.debian12"):
        assert name in told
    assert not (project / "started").exists()


@pytest.mark.parametrize("glob", ["p1-debian12-server", "base.null.*", "*-server"])
def test_one_build_is_planned_under_the_name_that_it_has_among_all(
    project: Path, glob: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["build", "--dry-run", "p1", "-only", glob, "--os", "debian"]) == 0
    told = capfd.readouterr().out
    assert told.startswith("p1-debian12-server\n")
    assert "-only=base.null.debian12-server" in told
    assert main.run(["matrix", "p1", "--only", glob]) == 0
    assert [one["units"] for one in json.loads(capfd.readouterr().out)] == [["p1-debian12-server"]]


def test_check_looks_at_the_builds_that_are_chosen(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main.run(["check", "p1", "--except", "base.null.*", "--json"])
    units = {one["unit"] for one in json.loads(capfd.readouterr().out)["checks"]}
    assert units - {""} == {"p1-debian12"}


STEPS = """
  post-processor "shell-local" {
    name   = "sign"
    inline = ["true"]
  }
  post-processors {
    post-processor "manifest" {}
    post-processor "checksum" {}
  }
}
"""


@pytest.mark.parametrize("name", ["sign", "si*", "manifest"])
def test_a_post_processor_is_left_out_by_its_name_or_type(
    project: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "p1/a.pkr.hcl").write_text(TEMPLATE.rstrip().removesuffix("}") + STEPS)
    chosen = ["--except", f"p1-debian12,{name}", "--os", "debian"]
    assert main.run(["build", "--dry-run", "p1", *chosen]) == 0
    told = capfd.readouterr().out
    left_out = "manifest" if name == "manifest" else "sign"
    assert f"-only=base.null.debian12-server -except={left_out}" in told
    assert "-only=base.file.debian12" not in told


def test_a_name_that_is_neither_a_build_nor_a_post_processor_ends_with_2_and_names_both(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "p1/a.pkr.hcl").write_text(TEMPLATE.rstrip().removesuffix("}") + STEPS)
    assert main.run(["build", "p1", "--except", "sigh"]) == 2
    told = "".join(capfd.readouterr())
    assert "--except sigh matches no build or post-processor" in told
    assert "The post-processors are checksum, manifest, sign." in told
    assert not (project / "started").exists()


def test_a_post_processor_of_a_json_template_is_left_out_by_its_name_or_type(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    builders = [{"type": "null", "communicator": "none", "name": name} for name in "ab"]
    steps = [{"type": "shell-local", "name": "sign"}, ["manifest", {"type": "checksum"}]]
    text = json.dumps({"builders": builders, "post-processors": steps})
    (project / "t.json").write_text(text)
    command = ["build", "--dry-run", "t.json", "--os", "debian", "--except"]
    assert main.run([*command, "b,sign,manifest,checksum"]) == 0
    told = capfd.readouterr().out
    assert "-only=a -except=sign,manifest,checksum" in told
    assert "-only=b" not in told


@pytest.mark.parametrize("name", ["elsewhere.pkr.hcl", "vars.txt"])
@pytest.mark.parametrize("command", [["build", "--dry-run"], ["check"], ["detect"]])
def test_a_template_given_as_a_file_of_variables_is_reported_as_such(
    project: Path, name: str, command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (project / name).write_text('\nvariable "os_version" { default = "12" }\n')
    assert main.run([*command, "p1", "-var-file", name]) == 3
    told = "".join(capfd.readouterr())
    assert f"{name}:2: a file of variables holds assignments" in told
    assert "variable block" in told
