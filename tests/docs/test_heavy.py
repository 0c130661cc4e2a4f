from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests import heavy

A_TEST = """
import time, pytest

{mark}
def test_it() -> None:
    {body}
"""


def tiny_group(budget_s: int = 60) -> heavy.Group:
    return heavy.Group(name="xva", budget_s=budget_s, what="", folders=())


def one_test(folder: Path, body: str) -> str:
    path = folder / "test_it.py"
    path.write_text(A_TEST.format(mark="@pytest.mark.heavy_xva", body=body), encoding="utf-8")
    return str(path)


def ran(folder: Path, body: str, *, limit_s: float = 60.0) -> heavy.Ran:
    options = ["-p", "no:cacheprovider", "-o", "addopts=", f"--rootdir={folder}"]
    arguments = [one_test(folder, body), *options, "-p", "no:xdist"]
    return heavy.run_group(tiny_group(), arguments, limit_s=limit_s)


def test_a_heavy_test_belongs_to_the_group_that_its_mark_or_its_folder_names() -> None:
    path = heavy.REPOSITORY / "tests/stores/test_x.py"
    assert heavy.group_of(path, None) == "stores"
    assert heavy.group_of(path, "crash") == "crash"
    assert heavy.group_of(path, "nonsense") is None
    assert heavy.group_of(heavy.REPOSITORY / "tests/nowhere/test_x.py", None) is None


def test_no_folder_is_in_two_groups() -> None:
    folders = [folder for group in heavy.GROUPS for folder in group.folders]
    assert len(folders) == len(set(folders)) == len(heavy.BY_FOLDER)


def test_a_group_that_passes_is_no_failure(tmp_path: Path) -> None:
    result = ran(tmp_path, "pass")
    assert (result.passed, result.failed, result.is_bad) == (1, 0, False)


def test_a_test_that_fails_fails_the_run(tmp_path: Path) -> None:
    result = ran(tmp_path, "assert False")
    assert (result.failed, result.is_bad) == (1, True)


def test_a_group_without_a_test_is_no_failure(tmp_path: Path) -> None:
    result = ran(tmp_path, "pass\n\ntest_it = None")
    assert (result.passed, result.is_bad) == (0, False)


def test_a_group_that_runs_out_of_time_is_reported_and_fails_nothing(tmp_path: Path) -> None:
    result = ran(tmp_path, "time.sleep(600)", limit_s=5.0)
    assert result.timed_out
    assert not result.is_bad
    assert "out of time" in result.line()


def test_what_does_not_fit_is_left_out_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert heavy.main(["xva", "boot", "--within", "1"]) == 0
    out = capsys.readouterr().out
    assert "boot      left out: its 9000 s no longer fit" in out


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(SystemExit, match="2"):
        heavy.main(["nosuch"])


def test_the_nightly_workflow_runs_every_group() -> None:
    text = (heavy.REPOSITORY / ".github/workflows/nightly.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["jobs"]["heavy"]["strategy"]["matrix"]["group"] == list(heavy.BY_NAME)
