from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import anyio
import click
import pytest

from asyncpipe.cli import main
from asyncpipe.cli import reap as reap_command
from asyncpipe.stores.directory.store import DirectoryStore

STAMP = "20261123T170000Z"
KEY = f"templates/debian12/{STAMP}/debian12.xva"


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interrupted run with an open upload and half an export on disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASYNCPIPE_DESTINATION", raising=False)
    folder = tmp_path / ".asyncpipe" / "runs" / f"{STAMP}-0a0a"
    output = folder / "debian" / "output"
    output.mkdir(parents=True)
    (output / "half.xva").write_bytes(b"x")
    unit = {
        "state": "building",
        "output_directory": str(output),
        "folder_key": f"templates/debian12/{STAMP}",
        "instance_uuids": ["0a1b2c3d-0000-4000-8000-0123456789ab"],
    }
    journal = {
        "schema_version": 1,
        "run_id": folder.name,
        "timestamp": STAMP,
        "destination": str(tmp_path / "published"),
        "units": {"debian": unit},
    }
    (folder / "run.json").write_text(json.dumps(journal))

    async def begin() -> None:
        store = DirectoryStore(tmp_path / "published")
        await store.create_upload(KEY, content_type="x/x", metadata={})

    anyio.run(begin)
    return folder


def _reap(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main.run(["reap", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["last", "path", "id"])
def test_an_interrupted_run_is_finished_and_a_second_time_nothing_is_left(
    run_folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    named = {"last": "last", "path": str(run_folder), "id": run_folder.name}[name]
    code, shown = _reap(capsys, "--run", named, "--dry-run")
    assert code == 40  # without credentials nobody can tell whether the VM is there
    assert (run_folder / "debian" / "output").exists()

    code, document = _reap(capsys, "--run", named)
    assert code == 40  # without credentials nobody can tell whether the VM is there
    assert [f["kind"] for f in document["findings"]] == ["vm", "upload", "files"]
    assert [f["kind"] for f in shown["findings"]] == ["vm", "upload", "files"]
    assert not (run_folder / "debian" / "output").exists()

    code, document = _reap(capsys, "--run", named)
    assert [f["kind"] for f in document["findings"]] == ["vm"]


@pytest.mark.usefixtures("run_folder")
def test_old_uploads_are_found_without_a_run_and_young_ones_are_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _reap(capsys, "--older-than", "1d", "--destination", "published")[1]["findings"] == []
    code, document = _reap(capsys, "--older-than", "0s", "--destination", "published")
    assert code == 0
    assert [(f["kind"], f["removed"]) for f in document["findings"]] == [("upload", True)]


def test_a_folder_that_is_no_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["reap", "--run", "last"]) == 2
    assert main.run(["reap", "--run", str(tmp_path)]) == 2
    assert "run.json" in capsys.readouterr().err


class TestOnATerminal:
    """It shows what there is, and asks."""

    @pytest.fixture(autouse=True)
    def _terminal(self, monkeypatch: pytest.MonkeyPatch, run_folder: Path) -> None:
        monkeypatch.setattr(reap_command.sys, "stdin", _Terminal())  # type: ignore[attr-defined]
        journal = json.loads((run_folder / "run.json").read_text())
        journal["units"]["debian"]["instance_uuids"] = []
        (run_folder / "debian" / "output" / "half.xva").write_bytes(b"x" * 2048)
        (run_folder / "run.json").write_text(json.dumps(journal))

    def _answered(
        self, monkeypatch: pytest.MonkeyPatch, answer: bool, *arguments: str
    ) -> tuple[int, list[str]]:
        asked: list[str] = []

        def confirm(text: str, **_: object) -> bool:
            asked.append(text)
            return answer

        monkeypatch.setattr(click, "confirm", confirm)
        return main.run(["reap", "--run", "last", *arguments]), asked

    def test_it_shows_age_and_size_and_removes_what_is_agreed_to(
        self,
        monkeypatch: pytest.MonkeyPatch,
        run_folder: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        code, asked = self._answered(monkeypatch, True)
        assert (code, asked) == (0, ["Remove them?"])
        out = capsys.readouterr().out
        files = f"files: {run_folder / 'debian' / 'output'}, 2.0 KiB, "
        assert re.search(
            rf"^would be removed: {re.escape(files)}\d+h\d\dm old$", out, re.MULTILINE
        ), out
        assert f"removed: {files}" in out
        assert not (run_folder / "debian" / "output").exists()

    def test_what_is_not_agreed_to_stays_and_the_exit_code_says_so(
        self, monkeypatch: pytest.MonkeyPatch, run_folder: Path
    ) -> None:
        code, asked = self._answered(monkeypatch, False)
        assert (code, asked) == (40, ["Remove them?"])
        assert (run_folder / "debian" / "output").exists()

    @pytest.mark.parametrize("option", ["--yes", "--json", "--dry-run"])
    def test_nobody_is_asked_who_says_so(
        self, monkeypatch: pytest.MonkeyPatch, run_folder: Path, option: str
    ) -> None:
        code, asked = self._answered(monkeypatch, False, option)
        assert (code, asked) == (0, [])
        assert (run_folder / "debian" / "output").exists() == (option == "--dry-run")

    def test_where_there_is_nothing_nobody_is_asked(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._answered(monkeypatch, True, "--yes")
        capsys.readouterr()
        assert self._answered(monkeypatch, False) == (0, [])
        assert capsys.readouterr().out == "Nothing was left behind.\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_name_that_is_no_run_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["reap", "--run", "mistyped"]) == 2
    assert list(tmp_path.rglob("mistyped")) == []
