"""The way in for a user without our checkout: install the wheel, init, build."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from asyncpipe import __version__
from tests.e2e.command import needs_packer
from tests.starter.installed import REPOSITORY, Machine, the_testers_way_to_the_index


def test_the_wheel_holds_templates_as_files_and_hashicorps_key(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    ours = [
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("templates", "provisioning")
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {f"asyncpipe/starter/data/{path}" for path in ours} <= set(names)
    assert "asyncpipe/packer/release/hashicorp.asc" in names
    assert f"asyncpipe-{__version__}-" in wheel.name


@pytest.mark.heavy("github")
@pytest.mark.real_packer
@needs_packer
def test_a_wheel_an_empty_home_and_a_new_repository_publish_the_demo(machine: Machine) -> None:
    machine.start_repository()
    machine.run("~/tools/bin/asyncpipe build templates/demo")
    assert len(machine.published) == 1
    status = machine.run("git status --porcelain").stdout.split()
    assert not {"published/", ".asyncpipe/"} & set(status)


@pytest.mark.real_packer
@needs_packer
def test_the_readmes_five_minutes(machine: Machine) -> None:
    """The block itself, line by line; pip stands for pipx, which makes the same environment."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = text.split("## Start in five minutes")[1].split("```sh\n")[1].split("```")[0]
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
    assert lines[0] == "pipx install asyncpipe"
    lines[0] = "python3 -m venv ~/pipx && ~/pipx/bin/pip install -q asyncpipe"
    machine.repository.mkdir()
    machine.run("git init -q")
    tools = machine.environment["HOME"] + "/pipx/bin"
    machine.environment["PATH"] += f":{tools}"
    for line in lines:  # the release server may be out of reach here
        machine.run(f"{line} || test $? = 2" if line == "asyncpipe packer install" else line)
    assert len(lines) == 4
    assert len(machine.published) == 1


def test_both_programs_are_installed_and_run(machine: Machine) -> None:
    machine.start_repository("--from demo --ci none")
    shown = machine.run(
        "~/tools/bin/build-template --dry-run templates/demo --packer /bin/true || :"
    )
    assert "is not HashiCorp Packer" in shown.stderr
    assert __version__ in machine.run("~/tools/bin/asyncpipe --version").stdout
    assert "Nothing to change" in machine.run("~/tools/bin/asyncpipe update").stdout


@pytest.mark.timeout(900)
@pytest.mark.heavy("github")
@pytest.mark.real_packer
@needs_packer
def test_the_wheels_dependencies_from_the_index_are_enough(machine: Machine) -> None:
    """The README's commands with nothing of this test environment."""
    for name in ("PYTHONPATH", "PIP_NO_INDEX", "PIP_NO_DEPS"):
        del machine.environment[name]
    machine.environment |= the_testers_way_to_the_index()
    machine.environment["PIP_FIND_LINKS"] += f" {machine.wheel.parent}"
    (machine.folder / "tools/python3").unlink()
    base = getattr(sys, "_base_executable", sys.executable)
    (machine.folder / "tools/python3").symlink_to(base)
    machine.start_repository()
    machine.run("~/tools/bin/asyncpipe build templates/demo")
    assert len(machine.published) == 1
