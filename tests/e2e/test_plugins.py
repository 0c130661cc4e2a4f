"""Plugins that are missing: `packer init` runs by itself, or the message says what to do."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tests.e2e.command import Desk, Ended

TEMPLATE = """
packer {
  required_version = ">= 1.8.0"
  required_plugins {
    xenserver = {
      version = "~> 0.11.4"
      source  = "github.com/vatesfr/xenserver"
    }
  }
}
source "null" "x" {}
build {
  sources = ["source.null.x"]
}
"""
# A Packer 1.16 whose plugins are the lines of a file; the network is there when a file says so.
PACKER = """#!/bin/sh
cd "${0%/*}"
echo "$*" >>asked
case $1 in
version) echo 'Packer v1.16.0' ;;
plugins) cat plugins 2>/dev/null || : ;;
init)
    if ! [ -e network ]; then
        printf 'Failed getting the "github.com/vatesfr/xenserver" plugin:\\n1 error occurred:\\n'
        printf '\\t* Get "https://api.github.com/": dial tcp: lookup: no such host\\n'
        exit 1
    fi
    p=/h/.config/packer/plugins/github.com/vatesfr/xenserver
    echo "$p/packer-plugin-xenserver_v0.11.4_x5.0_linux_amd64" >plugins ;;
build) echo 'the build began' && exit 1 ;;
esac
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    (tmp_path / "packer").write_text(PACKER, encoding="utf-8")
    (tmp_path / "packer").chmod(0o755)
    (tmp_path / "templates/x").mkdir()
    (tmp_path / "templates/x/x.pkr.hcl").write_text(TEMPLATE, encoding="utf-8")
    return desk


def run(desk: Desk, command: str, *more: str) -> tuple[Ended, list[str]]:
    packer = str(desk.folder / "packer")
    ended = desk.run(command, "templates/x", "--packer", packer, *more)
    asked = (desk.folder / "asked").read_text(encoding="utf-8").splitlines()
    return ended, [line.split()[0] for line in asked]


@pytest.mark.parametrize("command", ["build", "check"])
def test_missing_plugins_are_installed_before_anything_else(desk: Desk, command: str) -> None:
    (desk.folder / "network").touch()
    ended, asked = run(desk, command)
    assert "init" in asked
    assert asked[-1] == ("build" if command == "build" else "validate"), ended.all
    asked_before = len(asked)
    _, asked = run(desk, command)
    assert "init" not in asked[asked_before:]  # it is there now


@pytest.mark.parametrize("command", ["build", "check"])
def test_offline_the_message_names_plugin_version_and_folder(desk: Desk, command: str) -> None:
    ended, asked = run(desk, command)
    assert ended.code == 2
    assert "build" not in asked
    assert "github.com/vatesfr/xenserver ~> 0.11.4" in ended.all
    assert "no such host" in ended.all
    assert str(desk.folder / ".config/packer/plugins") in ended.all


@pytest.mark.parametrize("command", ["build", "check"])
def test_no_init_forbids_it(desk: Desk, command: str) -> None:
    (desk.folder / "network").touch()
    ended, asked = run(desk, command, "--no-init")
    assert ended.code == 2
    assert "init" not in asked
    assert "--no-init" in ended.all


def test_a_dry_run_installs_nothing(desk: Desk) -> None:
    (desk.folder / "network").touch()
    ended, asked = run(desk, "build", "--dry-run")
    assert ended.code == 0, ended.all
    assert "init" not in asked


def test_a_build_without_a_home_gets_the_one_of_the_account(desk: Desk) -> None:
    del desk.environment["HOME"]
    script = PACKER.replace("build) echo", 'build) echo "$HOME" >home; echo')
    (desk.folder / "packer").write_text(script, encoding="utf-8")
    (desk.folder / "network").touch()
    run(desk, "build")
    home = (desk.folder / "home").read_text(encoding="utf-8").strip()
    assert home == pwd.getpwuid(os.getuid()).pw_dir


def test_a_long_tmpdir_is_refused_before_packer_crashes(desk: Desk) -> None:
    desk.environment["TMPDIR"] = str(desk.folder / ("x" * 90))
    ended = desk.run("build", "templates/demo", "--packer", str(desk.folder / "packer"))
    assert ended.code == 2
    assert "TMPDIR is too long" in ended.err
