"""Many templates in one process, by the command line and with real Packer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e import many
from tests.e2e.command import Desk, Ended, needs_packer

pytestmark = [pytest.mark.real_packer, needs_packer]

IMAGE_MIB = 64  # several parts, more than a lone upload would keep in memory
NAMES = {copy.name for copy in many.EIGHT}


def desk_with(folder: Path, *copies: many.Copy) -> Desk:
    desk = Desk(folder)
    many.write(folder / "many", copies)
    return desk


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Ended]:
    """One run of eight for all the tests that look at it."""
    copies = [replace(copy, size_mib=IMAGE_MIB) for copy in many.EIGHT]
    desk = desk_with(tmp_path_factory.mktemp("eight"), *copies)
    limits = ("-j", "4", "--build-timeout", "25s", "--report", "report.json")
    return desk, desk.run_anew("build", "many", *limits)


def test_eight_templates_publish_five_and_tell_why_three_did_not(eight: tuple[Desk, Ended]) -> None:
    desk, ended = eight
    assert ended.code == 4, ended.all
    report = json.loads((desk.folder / "report.json").read_text("utf-8"))
    assert report["counts"] == {"published": 5, "failed": 3, "not_started": 0}
    published = {name.split("/")[0] for name in desk.files("published/templates") if "/" in name}
    assert published == {copy.short_id for copy in many.GOOD}
    table = ended.out[ended.out.index("\ntemplate ") :]
    for copy in many.EIGHT:
        (row,) = re.findall(
            rf"^many-{copy.name} +(\S+)(?: \((\d+)\))? +(\S+) ", table, re.MULTILINE
        )
        expected = ("FAILED", "20") if copy.fails else ("published", "")
        assert row == (*(("FAILED", "21") if copy is many.SLOW else expected), copy.short_id)


def test_eight_templates_need_hardly_more_memory_than_one(
    eight: tuple[Desk, Ended], tmp_path: Path
) -> None:
    desk, _ = eight
    alone = desk_with(tmp_path, replace(many.GOOD[1], size_mib=IMAGE_MIB))
    assert alone.run_anew("build", "many").code == 0
    assert alone.peak_mib > 50  # it is the process that was measured
    assert desk.peak_mib < 1.25 * alone.peak_mib


def test_all_of_them_share_one_timestamp(eight: tuple[Desk, Ended]) -> None:
    desk, _ = eight
    (run,) = (desk.folder / ".asyncpipe/runs").iterdir()
    places = [
        *desk.folder.glob("published/templates/*/*/"),
        *desk.folder.glob("published/failed/*/*/"),
    ]
    versions = {place.name for place in places if re.fullmatch(r"\d{8}T\d{6}Z", place.name)}
    assert versions == {run.name.split("-")[0]}
    assert len([place for place in places if place.name in versions]) == len(many.EIGHT)


def test_each_log_holds_its_own_lines_only(eight: tuple[Desk, Ended]) -> None:
    desk, _ = eight
    for copy in many.EIGHT:
        (log,) = desk.folder.glob(f".asyncpipe/runs/*/*{copy.name}/build.log")
        text = log.read_text("utf-8")
        assert f"Setting up libc6 for {copy.name} ..." in text
        for other in NAMES - {copy.name}:
            assert other not in text


def test_each_line_of_the_common_log_says_whose_it_is(eight: tuple[Desk, Ended]) -> None:
    _, ended = eight
    told = [line for line in ended.out.splitlines() if " | " in line and "Setting up" in line]
    assert len(told) > 5 * 8
    for line in told:
        assert re.search(r"^many-([a-z]+-\d+(?:-\d+)?) \| .* for \1 \.\.\.$", line), line


def test_two_templates_for_one_place_are_refused_before_anything_starts(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, many.GOOD[1])
    ended = desk.run("build", "many", "templates/demo", "--variant", "web")
    assert ended.code == 2, ended.all
    both = "many/debian-12 and templates/demo would both publish to templates/debian12-web."
    assert both in ended.err
    assert not (tmp_path / ".asyncpipe").exists()


def test_two_templates_that_make_one_vm_are_refused_before_anything_starts(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, *many.GOOD[:2])
    for file in (tmp_path / "many").glob("*/demo.pkr.hcl"):
        text = file.read_text("utf-8")
        old = '  communicator = "none"\n'
        assert old in text
        file.write_text(text.replace(old, f'{old}  vm_name = "golden"\n'), encoding="utf-8")
    ended = desk.run("build", "many")
    assert ended.code == 2, ended.all
    assert "have the same VM name: golden" in ended.err
    assert not (tmp_path / ".asyncpipe").exists()
