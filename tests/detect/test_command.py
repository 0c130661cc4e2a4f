"""``asyncpipe detect`` as a person or a script calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asyncpipe.cli.detect import detect
from asyncpipe.cli.matrix import matrix
from asyncpipe.errors import UsageError

TEMPLATES = Path(__file__).parent / "templates"


def run(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(detect, arguments, catch_exceptions=False, **more)


def test_json_is_one_list_in_the_order_of_the_arguments() -> None:
    result = run(
        "--json",
        "debian-12.14.0-amd64-netinst.iso",
        "virtio-win.iso",
        str(TEMPLATES / "windows"),
        "https://download.rockylinux.org/pub/rocky/9/isos/x86_64/Rocky-x86_64-boot.iso",
    )
    answers = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [one["os_type"] for one in answers] == ["debian", None, "windows-server", "rocky"]
    assert [one["os_version"] for one in answers] == ["12", None, "2022", "9"]
    wanted = {"os_type", "os_version", "release", "codename", "arch", "confidence"}
    assert all(wanted | {"evidence", "conflicts"} <= one.keys() for one in answers)
    assert (answers[0]["release"], answers[0]["codename"]) == ("12.14.0", "bookworm")
    assert answers[1]["confidence"] == 0.0


def test_thousands_of_names_come_by_standard_input() -> None:
    names = [f"debian-12.{i % 15}.0-amd64-netinst.iso" for i in range(3000)]
    answers = json.loads(run("--json", "--stdin", input="\n".join(names)).stdout)
    assert len(answers) == 3000
    assert {one["short_id"] for one in answers} == {"debian12"}


def test_bytes_that_are_no_text_are_unknown_not_a_crash() -> None:
    result = run("--json", "--stdin", input=b"\xff\xfe\x00\nrocky-9.iso\n\x1b[31m\n")
    assert [one["os_type"] for one in json.loads(result.stdout)] == [None, "rocky", None]


def test_explain_names_file_and_line() -> None:
    result = run("--explain", str(TEMPLATES / "windows"))
    assert "win2k22" in result.stdout
    assert "windows.pkr.hcl:6: iso_url" in result.stdout


def test_several_sources_are_told_apart() -> None:
    answer = json.loads(run("--json", str(TEMPLATES / "build-overrides")).stdout)[0]
    assert answer["os_type"] is None
    assert [one["short_id"] for one in answer["sources"]] == ["ubuntu24.04", "debian12"]


def test_a_template_that_cannot_be_read_is_told_and_the_others_are_answered(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "a.pkr.hcl"
    broken.write_text('source "x" {\n  = 1\n}\n')
    missing = str(tmp_path / "missing.pkr.hcl")
    result = run("--json", str(broken), "rocky-9.iso", missing, standalone_mode=False)
    assert result.return_value == 3
    answers = json.loads(result.stdout)
    assert f"{broken}:2" in answers[0]["error"]
    assert answers[1]["short_id"] == "rocky9"
    assert "no such file" in answers[2]["error"]


@pytest.mark.parametrize("option", ["--only", "--except"])
def test_a_selection_that_matches_no_build_of_any_template_ends_with_2(option: str) -> None:
    folder = str(TEMPLATES / "build-overrides")
    with pytest.raises(UsageError) as refused:
        run(option, "nothing", folder, str(TEMPLATES / "windows"), standalone_mode=False)
    assert refused.value.message == f"{option} nothing matches no build."
    answer = json.loads(run("--json", "--only", "*server-b", folder, "rocky-9.iso").stdout)
    assert [one["short_id"] for one in answer] == ["debian12", "rocky9"]


def test_variables_reach_the_template() -> None:
    name = str(TEMPLATES / "auto-vars" / "template.pkr.hcl")
    found = json.loads(run("--json", "-var", "release=13.5.0", name).stdout)[0]
    assert (found["short_id"], found["release"]) == ("debian13", "13.5.0")


def test_control_characters_of_an_argument_are_escaped() -> None:
    assert "\x1b" not in run("--explain", "\x1b[31mdebian-12.iso").stdout


def test_nothing_to_do_is_a_usage_error() -> None:
    assert CliRunner().invoke(detect, []).exit_code == 2


def test_a_broken_template_does_not_keep_the_others_out_of_the_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = 'source "null" "x" {}\nbuild { sources = ["null.x"] }\n'
    for name, text in (("good", good), ("bad", 'source "x" {')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pkr.hcl").write_text(text)
    monkeypatch.chdir(tmp_path)
    arguments = ["good", "bad", "--destination", (tmp_path / "d").as_uri()]
    result = CliRunner().invoke(matrix, arguments, standalone_mode=False, catch_exceptions=False)
    assert result.return_value == 3
    assert [one["units"] for one in json.loads(result.stdout)] == [["good"]]
    assert "bad/a.pkr.hcl" in result.stderr
