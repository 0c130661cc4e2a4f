"""A guest behind a stand-in for QEMU, and a folder with an image to start there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot_test.guest import Guest, path_with, running
from tests.e2e.command import Desk
from tests.run.services import xva_bytes


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    with running(Guest(folder=tmp_path / "qemu")) as served:
        yield served


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "debian12.xva").write_bytes(xva_bytes(tmp_path))
    return Desk(folder, environment={"PATH": path_with(tmp_path / "qemu")})
