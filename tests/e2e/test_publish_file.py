"""``asyncpipe publish`` of an XVA with the log of its build, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.detect.test_guest import BLOCK, printed
from tests.e2e.command import Desk, needs_packer

pytestmark = needs_packer


def test_a_build_log_names_the_system_and_its_packages_as_a_build_does(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.run("build", "templates/demo").code == 0
    (image,) = (tmp_path / "published").rglob("*.xva")
    stray = tmp_path / "exported.xva"
    image.rename(stray)
    lines = printed(BLOCK)
    log = tmp_path / "packer.log"
    lines.append("password=c0rrect-h0rse-battery")
    log.write_text("".join(f"2026-11-26T19:00:00.123Z {line}\n" for line in lines), "utf-8")

    asked = counting_git(desk)
    ended = desk.run("publish", "exported.xva", "--log", "packer.log", "--page")

    assert ended.code == 0, ended.all
    questions = [line.split()[2] for line in asked.read_text("utf-8").splitlines()]
    assert sorted(questions) == ["config", "rev-parse", "status"], "each is asked once"
    folder = max((tmp_path / "published/templates/debian12").glob("2*"))
    metadata = json.loads((folder / "metadata.json").read_text("utf-8"))
    assert metadata["os"]["release"] == "12.11"
    assert [one["name"] for one in metadata["packages"]] == ["openssh-server", "tzdata"]
    published = (folder / "build.log").read_text("utf-8").splitlines()
    assert published[:-1] == log.read_text("utf-8").splitlines()[:-1]
    assert published[-1].startswith("2026-11-26T19:00:00.123Z password=***")
    page = (tmp_path / "published/index.html").read_text("utf-8")
    assert "openssh-server" in page
    assert (folder / "sbom.cdx.json").exists()


def counting_git(desk: Desk) -> Path:
    """Put a git first in PATH that notes what it is asked, and knows nothing."""
    programs, asked = desk.folder / "programs", desk.folder / "asked"
    programs.mkdir()
    git = programs / "git"
    git.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexit 1\n', "utf-8")
    git.chmod(0o755)
    desk.environment["PATH"] = f"{programs}:{desk.environment['PATH']}"
    return asked


def test_a_page_that_cannot_be_written_is_a_warning_and_the_version_is_published(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "published/index.html").mkdir(parents=True)
    ended = desk.run("build", "templates/demo", "--page")
    assert ended.code == 0, ended.all
    assert "The page was not written" in ended.all
    assert list((tmp_path / "published").rglob("*.xva"))
