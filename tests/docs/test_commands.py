"""Every command that README and documents show is one that the program takes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from asyncpipe.cli.main import COMMANDS, asyncpipe
from tests.docs import reference
from tests.docs.test_docs import PAGES, REPOSITORY

PROGRAM = r"(?:bin/)?(?:asyncpipe|build-template)"
IN_BLOCK = re.compile(rf"^ *({PROGRAM} [^\n]*)$", re.MULTILINE)
IN_SPAN = re.compile(rf"`({PROGRAM} [^`\n]*)`")
# What stands for a value that a person knows, where only a value of its kind is taken.
VALUES = {"N": "3", "BUILD_TIMEOUT": "1h", "FOLDER": "folder"}


def commands_of(page: Path) -> list[str]:
    """Command lines in blocks and spans, without comments, redirections and pipes."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```(?:sh|console)?\n(.*?)```", text, re.DOTALL))
    found = IN_BLOCK.findall(blocks) + IN_SPAN.findall(text)
    lines = (re.split(r"\s{3,}| [>|] ?|\s#|;|&&", line)[0].strip() for line in found)
    return list(dict.fromkeys(lines))


SHOWN = [(page, line) for page in PAGES if page != reference.PAGE for line in commands_of(page)]


def words_of(line: str) -> list[str]:
    """The words of a line; of alternatives the first, and what is optional as if given."""
    line = re.sub(r"\{(\w+)[|\w]*\}", r"\1", line)
    line = re.sub(r"\[:(\w+)[^\]]*\]", r":\1", line)  # NAME[:CHANNEL|@TIMESTAMP]
    line = re.sub(r"\[,\w+\]", "", line)
    line = re.sub(r"[\[\]]|\.\.\.", " ", line)
    words = [word.split("|")[0] for word in shlex.split(line)]
    return [VALUES.get(word, word) for word in words]


def parsed(words: list[str]) -> None:
    """Let click read a command line; nothing is run."""
    program, *rest = words
    command: click.Command | None = asyncpipe
    context = click.Context(asyncpipe, info_name="asyncpipe")
    if program.endswith("build-template"):
        rest = ["build", *rest]
    while isinstance(command, click.Group):
        if not rest or rest[0].startswith("-") or rest[0] == "COMMAND":
            return
        name, *rest = rest
        assert name in COMMANDS or command is not asyncpipe, name
        command = command.get_command(context, name)
    assert command is not None, words
    if rest not in ([], ["--help"], ["--run"]):  # a flag that the text is about
        command.make_context(words[1], rest, parent=context, resilient_parsing=False)


@pytest.mark.parametrize(
    ("page", "line"), SHOWN, ids=[f"{page.name}:{line}" for page, line in SHOWN]
)
def test_a_command_that_is_shown_is_taken(
    page: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCPIPE_HOST", "xcp1.example")  # as the blocks export it
    parsed(words_of(line))


def test_commands_are_found_in_most_pages() -> None:
    assert len(SHOWN) > 50
    assert sum(page.name == "README.md" for page, _ in SHOWN) >= 15


def test_a_command_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed(["asyncpipe", "build", "--no-such-option"])
    with pytest.raises(AssertionError):
        parsed(["asyncpipe", "biuld"])


def test_a_release_points_the_readme_at_its_tag() -> None:
    """PyPI knows no folder docs/: the workflow's own command leaves no link into it."""
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/release.yml").read_text("utf-8"))
    (script,) = (
        step["run"]
        for step in workflow["jobs"]["build"]["steps"]
        if step.get("name") == "Point the README's links at this tag"
    )
    environment = {**os.environ, "GITHUB_REPOSITORY": "o/r", "TAG": "v1.2.3"}
    command = script.replace("-i ", "").replace("README.md", str(REPOSITORY / "README.md"))
    done = subprocess.run(
        ["bash", "-euc", command], env=environment, capture_output=True, text=True, check=True
    )
    links = re.findall(r'\]\(([^)]+)\)|(?:src|srcset)="([^"]+)"', done.stdout)
    assert len(links) > 20
    assert [one for pair in links for one in pair if one and not one.startswith("https://")] == []
    assert "https://github.com/o/r/blob/v1.2.3/docs/xva.md" in done.stdout
    assert "https://raw.githubusercontent.com/o/r/v1.2.3/docs/images/run-dark.svg" in done.stdout
