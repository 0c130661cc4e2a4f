"""No command shows its secrets in /proc to the children that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncpipe.cli import main
from asyncpipe.system import environment

TEMPLATE = 'source "null" "a" { communicator = "none" }\nbuild { sources = ["source.null.a"] }\n'
SECRET = "sesame-sesame-7"
# Writes down what it sees of the process that started it.
CHILD = """#!/bin/sh
tr '\\0' '\\n' </proc/$PPID/environ >>{seen} && echo looked >>{seen}
[ "$1" = version ] && echo "Packer v1.16.0"
exit 0
"""


def _seen_by_children(folder: Path, arguments: list[str], **more: str) -> str:
    seen = folder / "seen"
    for name in ("packer", "git", "gpgv"):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(CHILD.format(seen=seen))
        program.chmod(0o755)
    (folder / "a.pkr.hcl").write_text(TEMPLATE)
    subprocess.run(
        [sys.executable, "-m", "asyncpipe", *arguments],
        cwd=folder,
        env={
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(folder),
            "ASYNCPIPE_DESTINATION": "./published",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "SEEN": "plain",
            **more,
        },
        capture_output=True,
        timeout=120,
        check=False,
    )
    return seen.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at a process that hides itself")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "a.pkr.hcl"],
        ["build", "a.pkr.hcl", "--os", "debian", "--os-version", "12"],
        ["build", "a.pkr.hcl", "--dry-run", "--os", "debian", "--os-version", "12"],
        ["matrix", "a.pkr.hcl", "--changed-since", "main"],
        ["packer", "install", "--for", "a.pkr.hcl"],
    ],
    ids=lambda arguments: " ".join(arguments[:1] + arguments[2:3]),
)
def test_a_child_of_any_command_sees_no_secret(tmp_path: Path, arguments: list[str]) -> None:
    seen = _seen_by_children(tmp_path, arguments)
    assert "looked" in seen
    assert "SEEN=plain" in seen
    assert SECRET not in seen


def test_what_was_refused_is_said_once_and_the_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "hide", lambda _is_secret: ("it was refused",))
    arguments = ["list", "--destination", str(tmp_path)]
    main.run(arguments, owns_process=True)
    assert capfd.readouterr().err.count("asyncpipe: it was refused\n") == 1
    main.run(arguments)  # in somebody else's process nothing is hidden
    assert "it was refused" not in capfd.readouterr().err
