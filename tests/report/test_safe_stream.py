"""Whatever a command prints, nothing of it acts on a terminal or on GitHub's runner."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import click
import pytest

from asyncpipe.report.console.lines import guests
from asyncpipe.report.safe_stream import guarded
from tests.e2e import forked
from tests.github.runner_standin import parse


def _printed(*texts: str, github: bool = False) -> str:
    stream = io.StringIO()
    guard = guarded(stream, github=github)
    for text in texts:
        guard.write(text)
    return stream.getvalue()


def test_what_acts_on_a_terminal_is_written_out_and_our_own_colours_stay() -> None:
    assert _printed("a\x1b[2Jb\x07\u202ec\n") == "a\\x1b[2Jb\\x07\\u202ec\n"
    assert _printed("\x1b[1;31mred\x1b[0m\n") == "\x1b[1;31mred\x1b[0m\n"
    assert _printed("\r\x1b[K50 %", "\r\x1b[K") == "\r\x1b[K50 %\r\x1b[K"
    assert _printed("name\rover\n") == "name\\x0dover\n"
    assert _printed("x\udcffy\n") == "x\\udcffy\n"


@pytest.mark.parametrize(
    ("texts", "printed"),
    [
        (("::add-mask::x\n",), "\\::add-mask::x\n"),
        (("  ::error::x\n",), "  \\::error::x\n"),
        (("one\n", "::error::x\n"), "one\n\\::error::x\n"),
        (("a ##[set-output name=x]y\n",), "a ##\\[set-output name=x]y\n"),
        (("a ::b\n", "c", "::d\n"), "a ::b\nc::d\n"),
    ],
)
def test_the_runner_finds_no_command(texts: tuple[str, ...], printed: str) -> None:
    assert _printed(*texts, github=True) == printed
    assert _printed(*texts) == "".join(texts)


def test_json_is_still_the_same_json() -> None:
    document = {"path": "x ##[set-output name=a]b", "other": "::error::"}
    printed = _printed(json.dumps(document, indent=2) + "\n", github=True)
    assert "##[" not in printed
    assert json.loads(printed) == document


def test_click_prints_through_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", guarded(stream, github=True))
    click.echo("::add-mask::x")
    assert stream.getvalue() == "\\::add-mask::x\n"


def _asyncpipe(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GITHUB_ACTIONS": "true", "API_TOKEN": "sesame-sesame-7"}
    done = forked.run(arguments, folder=folder, environment=environment, limit_s=120)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "command", ["list", "latest", "pull", "detect", "matrix", "check", "build"]
)
def test_no_command_prints_a_command_of_a_folders_name(tmp_path: Path, command: str) -> None:
    name = "x\n::add-mask::boo\n##[set-output name=a]b\x1b[2J"
    template = tmp_path / name / "a.pkr.hcl"
    template.parent.mkdir()
    template.write_text('source "null" "x" {}\nbuild { sources = ["null.x"] }\n')
    arguments = {
        "list": ["--destination", f"./{name}"],
        "latest": [name, "--destination", "./store"],
        "pull": [name, "--destination", f"./{name}", "-o", f"{name}/x.xva"],
        "build": [str(template), "--dry-run", "--destination", f"./{name}", "--os", "debian"],
        "detect": [str(template)],
        "matrix": [str(template)],
        "check": [str(template), "--destination", "./store"],
    }[command]
    printed = _asyncpipe(tmp_path, command, *arguments)
    assert "##[" not in printed
    assert "\x1b[2J" not in printed
    step = parse(printed)
    assert (step.outputs, step.masks, step.stopped) == ({}, set(), False)
    # why it failed, and what was checked: each of ours is one line, escaped
    assert {one.name for one in step.obeyed} <= {"error", "warning"}
    assert all(one.properties["title"] for one in step.obeyed)


def test_a_traceback_shows_no_secret_of_the_environment(tmp_path: Path) -> None:
    name = "sesame-sesame-7"
    printed = _asyncpipe(tmp_path, "verify", f"{name}.xva", "--debug")
    assert "Traceback" in printed
    assert name not in printed


@pytest.mark.parametrize(
    "line",
    [
        "asyncpipe: published 1 GiB",
        "  asyncpipe: x",
        "ASYNCPIPE: x",
        "\uff41\uff53yncpipe\uff1a x",
        "\x1b[0masyncpipe: x",
        "asy\u200bncpipe: x",
    ],
)
def test_a_line_of_the_guest_is_never_taken_for_ours(line: str) -> None:
    assert guests(line).startswith("\\")
    assert guests("    x.y: asyncpipe: published") == "    x.y: asyncpipe: published"
