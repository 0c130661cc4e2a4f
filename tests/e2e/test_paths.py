"""Checkouts where people keep them: "My Projects", "actions runner"."""

from __future__ import annotations

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
