"""Checkouts where people keep them: "My Projects", "actions runner"."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Desk, needs_packer


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short name: Packer's plugins listen on sockets below it (108 bytes)."""
    with tempfile.TemporaryDirectory(prefix="ap") as folder:
        yield Path(folder)


@pytest.mark.real_packer
@needs_packer
@pytest.mark.parametrize("name", ["actions runner", "it's Ünïcode $HOME"])
def test_the_demo_builds_in_a_checkout_whose_path_has_a_blank(short_path: Path, name: str) -> None:
    project = short_path / name
    desk = Desk(project)
    words = ["build", "templates/demo", "-var", "seconds=0", "-var", "size_mib=4"]
    ended = desk.run(*words)
    assert ended.code == 0, ended.all
    assert len(list(project.glob("published/templates/debian12-demo/*/debian12-demo.xva"))) == 1


def test_a_path_that_is_not_utf_8_is_no_obstacle_on_github(short_path: Path) -> None:
    """Such a name reaches the step's commands, its summary and its outputs."""
    project = short_path / os.fsdecode(b"caf\xe9")
    files = {name: short_path / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    environment = {"GITHUB_ACTIONS": "true", **{name: str(path) for name, path in files.items()}}
    desk = Desk(project, environment=environment)
    (project / "disk.raw").write_bytes(b"x" * (2 << 20))
    name = os.fsdecode(b"debian-12-\xe9.xva")
    made = desk.run("xva", "create", "--name", "x", "--disk", "disk.raw", "-o", name)
    assert made.code == 0, made.all
    ended = desk.run("publish", name, "--os", "debian", "--os-version", "12")
    assert ended.code == 0, ended.all
    assert "defect" not in ended.all
    assert "Traceback" not in ended.all
    for path in files.values():
        assert path.read_bytes().decode("utf-8")
