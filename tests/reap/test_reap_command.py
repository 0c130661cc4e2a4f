from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.cli import main
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
