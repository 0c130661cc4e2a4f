"""What a guest prints never becomes a command, an output or markup of ours."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncpipe.model.events import OutputLines, Warned
from asyncpipe.report import github
from asyncpipe.report.json_log import JsonPrinter
from tests.github.runner_standin import (
    COMMANDS,
    Parser,
    RunningStep,
    Step,
    parse,
    parse_output_file,
)
from tests.report.samples import failed, published

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "::set-output name=urls::forged",
    "  \t::set-output name=forged::x",
    "deb12: ##[set-output name=forged]x",
    "::add-mask::o",
    "x\r::set-output name=forged::x",
    "x\n::set-output name=forged::x",
    "\x1b[0m::set-output name=forged::x",
    "\u200b:\u00ad:set-output name=forged::x",
    "#\u2060#[set-output name=forged]x",
    "\ufeff::error file=a,line=1::forged",
    "\uff1a\uff1aset-output name=forged\uff1a\uff1ax",
    "\u2028::set-output name=forged::x",
    "\x85::stop-commands::aaaaaaaa",
    "::stop-commands::abcdefgh",
    "::endgroup::",
    "##[endgroup]",
    "::group::forged",
    "urls<<EOF",
    "</pre><script>alert(1)</script>",
    "```mermaid",
    "| a | b |",
    "[click](javascript:alert(1)) @everyone <img src=x>",
)
TEXT = st.text(
    st.one_of(st.sampled_from(list(":#[]= \u200b\u00ad\r\n\t\x1b\x00")), st.characters()),
    max_size=40,
)


def run_step(folder: Path, units: int = 2, secrets: tuple[str, ...] = ()) -> Step:
    program = shlex.join(
        [
            sys.executable,
            "-m",
            "tests.github.hostile_step",
            json.dumps([HOSTILE, secrets]),
            str(units),
        ]
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return RunningStep(f"exec {program}\n", folder=folder, environment=environment).wait(60)


@pytest.mark.parametrize("units", [1, 2])
def test_no_command_of_a_hostile_guest_is_obeyed_in_a_real_step(tmp_path: Path, units: int) -> None:
    step = run_step(tmp_path, units)
    assert step.return_code == 4
    assert step.errors == []
    assert step.stopped is False
    assert {command.name for command in step.obeyed} <= {"group", "endgroup", "error", "warning"}
    assert all(": " in group and "forged" not in group for group in step.groups)
    assert set(step.outputs) == {
        "urls",
        "metadata",
        "published-count",
        "failed-count",
        "not-started-count",
        "run-directory",
        "exit-code",
    }
    assert "forged" not in step.outputs["urls"]
    assert step.outputs["failed-count"] == "1"


def test_every_line_of_the_guest_is_still_readable(tmp_path: Path) -> None:
    step = run_step(tmp_path)
    assert "deb12: ##\\[set-output name=forged]x" in step.text
    assert "rocky-9 | ::stop-commands::abcdefgh" in step.text


def test_secrets_are_masked_from_the_first_line_on_even_over_several_lines(tmp_path: Path) -> None:
    secrets = ("s3cr3t-value", "-----BEGIN KEY-----\nbG9uZ2VyLWtleQ==\n-----END KEY-----", "ab")
    step = run_step(tmp_path, 1, secrets)
    assert "s3cr3t-value" not in step.text
    assert "bG9uZ2VyLWtleQ==" not in step.text
    assert "ab" not in step.masks
    assert "***" in step.text


@given(TEXT)
def test_no_text_at_all_passes_as_a_command(text: str) -> None:
    parser = Parser()
    for line in (text, f"::error::{text}", f"##[set-output name=x]{text}"):
        parser.feed(github.neutralised(line))
    assert parser.step.obeyed == []
    assert parser.step.stopped is False


@given(TEXT, st.sampled_from(sorted(COMMANDS | {"stop-commands"})), TEXT)
def test_no_text_before_or_between_makes_a_command(before: str, name: str, inside: str) -> None:
    for line in (f"{before}::{name}{inside}::x", f"{before}##[{name}{inside}]x"):
        written = github.neutralised(line)
        assert "\n" not in written
        assert "\r" not in written
        assert parse(written).obeyed == []


@given(st.lists(TEXT, max_size=6))
def test_a_bracket_is_always_closed_and_holds_whatever_stands_in_it(lines: list[str]) -> None:
    shield = github.Shield()
    text = "".join(shield.guest(line) for line in lines)
    text += shield.own(github.command("notice", "ours")) + shield.finish()
    step = parse(text)
    assert step.stopped is False
    assert [command.data for command in step.obeyed] == ["ours"]


SAID = st.text(st.sampled_from(list("ab0ADC3%:,;=]\r\n #")), max_size=30)


@given(SAID, SAID)
def test_what_we_say_in_a_command_arrives_as_we_said_it(data: str, title: str) -> None:
    text = github.command("error", data, {"title": title, "line": "7"})
    command = parse(text).obeyed[0]
    assert (command.name, command.data) == ("error", data)
    assert command.properties == {"line": "7", **({"title": title} if title else {})}


@given(TEXT, st.sampled_from(HOSTILE))
def test_the_json_log_is_no_command_either_and_loses_nothing(text: str, hostile: str) -> None:
    printer = JsonPrinter()
    warned = Warned(unit="u", code="x", message=hostile + text)
    written = printer.show((OutputLines(unit="u", text=hostile), warned), {}, 0.0)
    assert parse(written).obeyed == []
    assert json.loads(written.split("\n")[-2])["message"] == hostile + text


def test_a_secret_is_named_to_the_runner_as_it_is_and_an_annotation_quotes_no_command() -> None:
    legacy = "pw##[set-output name=x]y"
    assert parse("\n".join(github.mask_commands([legacy]))).masks == {legacy}
    said = github.annotation(
        github.CHECK_FAILED, f"denied: {legacy}", names={"template": legacy, "check": ""}
    )
    assert "##[" not in said
    assert [one.name for one in parse(said).obeyed] == ["error"]


def test_the_bracket_alone_stops_commands_too() -> None:
    shield = github.Shield()
    raw = "::set-output name=forged::x\n##[error]x\n::stop-commands::abcdefgh\n"
    step = parse(shield.guest("x") + raw + shield.own(github.command("notice", "ours")))
    assert [command.name for command in step.obeyed] == ["notice"]
    assert step.outputs == {}


@given(st.text())
def test_outputs_hand_on_any_value_unchanged(run_directory: str) -> None:
    clean = "".join(c for c in run_directory if not "\ud800" <= c <= "\udfff")
    text = github.outputs([], exit_code=0, run_directory=clean)
    assert parse_output_file(text)["run-directory"] == clean


def test_a_guest_cannot_end_a_heredoc_it_cannot_guess() -> None:
    first = github.outputs([published()], exit_code=0, run_directory="x")
    second = github.outputs([published()], exit_code=0, run_directory="x")
    delimiters = {line.split("<<")[1] for line in (first + second).split("\n") if "<<" in line}
    assert len(delimiters) == 14
    assert min(map(len, delimiters)) >= 32


def test_the_metadata_of_many_templates_stays_within_the_limit_of_outputs() -> None:
    metadata: dict[str, object] = {"files": {}, "packages": ["x"] * 9, "notes": "n" * 100_000}
    outcomes = [published(f"t{n}", metadata=metadata) for n in range(50)]
    values = parse_output_file(github.outputs(outcomes, exit_code=0, run_directory="r"))
    documents = json.loads(values["metadata"])
    assert len(values["metadata"]) <= 900_000
    assert len(documents) == 50
    assert documents["t49"]["files"] == {}
    assert "packages" not in documents["t49"]
    assert documents["t0"] is None


def test_at_most_ten_annotations_of_a_type_and_those_with_a_line_first() -> None:
    outcomes = [failed(f"plain-{n}") for n in range(20)]
    outcomes.append(failed("named", file="/w/repo/templates/x/a.pkr.hcl", line=12))
    step = parse("\n".join(github.annotation_commands(outcomes, workspace="/w/repo")))
    errors = step.annotations["error"]
    assert len(errors) == 10
    assert errors[0].properties["file"] == "templates/x/a.pkr.hcl"
    assert errors[0].properties["line"] == "12"
    assert errors[9].data == "12 more; the step summary has them all."
