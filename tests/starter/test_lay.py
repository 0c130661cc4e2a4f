"""`asyncpipe init` and `update` in a repository that belongs to somebody else."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from asyncpipe import __version__, template
from asyncpipe.cli.main import run
from asyncpipe.starter import RECORD, available, files_of
from asyncpipe.starter import files as starter_files


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def content(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_an_empty_repository_gets_demo_template_provisioning_and_workflow(repository: Path) -> None:
    assert run(["init"]) == 0
    found = content(repository)
    assert {
        "templates/demo/demo.pkr.hcl",
        "templates/debian/12/variables.pkr.hcl",
        "templates/common/http/debian/preseed.cfg",
        "templates/common/http/debian/late.sh",
        "provisioning/debian/debian_specific.sh",
        ".github/workflows/build-templates.yml",
        RECORD,
    } <= set(found)
    assert not any("rocky" in path or "http/redhat" in path for path in found)
    assert not any(path.is_symlink() for path in repository.rglob("*"))
    assert os.access(repository / "provisioning/provision.sh", os.X_OK) == os.access(
        Path(starter_files.__file__).parents[2] / "provisioning/provision.sh", os.X_OK
    )


@pytest.mark.parametrize("name", available())
def test_every_template_is_laid_with_all_that_it_names(name: str, repository: Path) -> None:
    assert run(["init", "--from", name]) == 0
    loaded = template.load(Path("templates", name))
    named = [one.text for one in loaded.references if not one.is_word]
    assert named
    assert [text for text in named if not Path(text).exists()] == []
    assert loaded.sources


def test_the_workflow_installs_the_version_that_laid_it(repository: Path) -> None:
    assert run(["init"]) == 0
    workflow = (repository / ".github/workflows/build-templates.yml").read_text(encoding="utf-8")
    assert f"asyncpipe=={__version__}'" in workflow
    assert "asyncpipe==9.0" in files_of(["demo"], "gitlab", "9.0")[".gitlab-ci.yml"].body.decode()


@pytest.mark.parametrize(
    "theirs", ["templates/demo/demo.pkr.hcl", ".github/workflows/build-templates.yml"]
)
def test_a_collision_is_listed_and_nothing_is_written(
    repository: Path, theirs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / theirs
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n", encoding="utf-8")
    before = content(repository)
    assert run(["init"]) == 2
    assert theirs in capsys.readouterr().err
    assert content(repository) == before


def test_a_template_of_theirs_in_the_same_folder_is_a_collision(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packer would read both as one template."""
    folder = repository / "templates/debian/12"
    folder.mkdir(parents=True)
    (folder / "mine.pkr.hcl").write_text("# mine\n", encoding="utf-8")
    assert run(["init"]) == 2
    assert "templates/debian/12/mine.pkr.hcl" in capsys.readouterr().err


def test_a_link_that_leads_out_of_the_repository_is_not_followed(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (repository / "templates").symlink_to(tmp_path / "elsewhere")
    assert run(["init"]) == 2
    assert content(tmp_path / "elsewhere") == {}


def test_keep_leaves_theirs_and_writes_the_rest(repository: Path) -> None:
    path = repository / ".github/workflows/build-templates.yml"
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n", encoding="utf-8")
    assert run(["init", "--keep"]) == 0
    assert path.read_text(encoding="utf-8") == "# mine\n"
    assert (repository / "templates/demo/demo.pkr.hcl").exists()
    assert str(path.relative_to(repository)) not in json.loads(Path(RECORD).read_bytes())["files"]


def test_a_second_init_adds_a_template_and_leaves_edits(repository: Path) -> None:
    assert run(["init"]) == 0
    edited = repository / "templates/debian/12/template.pkr.hcl"
    edited.write_text("# mine now\n", encoding="utf-8")
    assert run(["init", "--from", "rocky/9"]) == 0
    assert edited.read_text(encoding="utf-8") == "# mine now\n"
    assert (repository / "templates/rocky/9/redhat.pkr.hcl").exists()
    record = json.loads(Path(RECORD).read_bytes())
    assert record["templates"] == ["debian/12", "demo", "rocky/9"]


def test_a_full_disk_leaves_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.fdopen, [5]

    def fdopen(*given: object, **more: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(*given, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "fdopen", fdopen)
    assert run(["init"]) != 0
    monkeypatch.undo()
    assert content(repository) == {}


def test_an_unknown_template_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["init", "--from", "debian/99"]) == 2
    assert "debian/12" in capsys.readouterr().err


def test_update_of_an_untouched_repository_has_nothing_to_change(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["init"])
    assert run(["update"]) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_update_elsewhere_says_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["update"]) == 2
    assert "asyncpipe init" in capsys.readouterr().err


@pytest.fixture
def older(repository: Path) -> Path:
    """A repository laid by an older version: one file was different, one not needed since."""
    run(["init"])
    record = json.loads(Path(RECORD).read_bytes())
    _was(repository, record, "provisioning/provision.sh", "# older\n")
    _was(repository, record, "templates/demo/retired.sh", "# older\n")
    Path(RECORD).write_text(json.dumps(record), encoding="utf-8")
    return repository


def _was(repository: Path, record: dict[str, dict[str, str]], path: str, text: str) -> None:

    (repository / path).write_text(text, encoding="utf-8")
    record["files"][path] = hashlib.sha256(text.encode()).hexdigest()


def test_update_shows_a_diff_that_git_applies_and_changes_nothing_itself(
    older: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = content(older)
    capfd.readouterr()
    assert run(["update"]) == 0
    diff = capfd.readouterr().out
    assert "-# older" in diff
    assert "+++ b/provisioning/provision.sh" in diff
    assert content(older) == before
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True)
    want = files_of(["demo", "debian/12"], "github", __version__)
    assert (older / "provisioning/provision.sh").read_bytes() == (
        want["provisioning/provision.sh"].body
    )
    assert not (older / "templates/demo/retired.sh").exists()


def test_update_apply_makes_the_changes_and_notes_them(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["update", "--apply"]) == 0
    assert not (older / "templates/demo/retired.sh").exists()
    capsys.readouterr()
    assert run(["update"]) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_update_apply_leaves_what_both_sides_changed(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = older / "provisioning/provision.sh"
    edited.write_text("# mine\n", encoding="utf-8")
    assert run(["update", "--apply"]) == 0
    assert edited.read_text(encoding="utf-8") == "# mine\n"
    assert "You changed provisioning/provision.sh" in capsys.readouterr().out


def test_update_does_not_bring_back_what_was_removed(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["init"])
    (repository / "templates/demo/demo.pkr.hcl").unlink()
    assert run(["update", "--apply"]) == 0
    assert not (repository / "templates/demo/demo.pkr.hcl").exists()


def test_update_never_follows_a_link_out_of_the_repository(older: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.sh"
    ours = older / "provisioning/provision.sh"
    ours.rename(outside)
    ours.symlink_to(outside)
    assert run(["update", "--apply"]) == 0
    assert outside.read_text(encoding="utf-8") == "# older\n"


def test_update_shows_that_a_template_is_no_longer_ours(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["init"])
    record = json.loads(Path(RECORD).read_bytes())
    record["templates"].append("debian/9")
    Path("templates/debian/9").mkdir()
    _was(repository, record, "templates/debian/9/x.pkr.hcl", "# older\n")
    Path(RECORD).write_text(json.dumps(record), encoding="utf-8")
    capsys.readouterr()
    assert run(["update"]) == 0
    assert "--- a/templates/debian/9/x.pkr.hcl" in capsys.readouterr().out


RECORD_OF = '{"version": "1", "templates": [], "ci": "%s", "files": {"%s": ""}}'


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"schema_version": 2}',
        '{"schema_version": "x"}',
        RECORD_OF % ("github", "../../etc/passwd"),
        RECORD_OF % ("github", "/etc/passwd"),
        RECORD_OF % ("travis", "x"),
    ],
)
def test_a_broken_record_is_said(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(RECORD).write_text(text, encoding="utf-8")
    assert run(["update"]) == 2
    assert RECORD in capsys.readouterr().err
