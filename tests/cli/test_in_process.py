"""A command that somebody's test calls by ``main.run`` leaves that process as it was."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from asyncpipe.cli import main

TEMPLATE = 'source "null" "a" { communicator = "none" }\nbuild { sources = ["source.null.a"] }\n'


def test_a_build_leaves_the_garbage_collector_of_its_caller_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pkr.hcl").write_text(TEMPLATE)
    packer = tmp_path / "packer"
    packer.write_text('#!/bin/sh\n[ "$1" = version ] && echo "Packer v1.11.2"\nexit 0\n')
    packer.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACKER", str(packer))
    before = (gc.get_threshold(), gc.get_freeze_count())
    assert main.run(["build", "a.pkr.hcl", "--os", "debian", "--os-version", "12"]) == 30
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
