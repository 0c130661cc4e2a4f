from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from asyncpipe.cli import main

PACKER = shutil.which("packer")
DEMO = Path(__file__).parents[2] / "templates" / "demo"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASYNCPIPE_DESTINATION", raising=False)
    monkeypatch.delenv("PACKER", raising=False)


def _check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main.run(["check", "--json", *arguments])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return code, {check["name"]: check for check in checks}


@pytest.mark.real_packer
@pytest.mark.skipif(PACKER is None, reason="no packer on this machine")
def test_the_demo_template_is_ready_to_build(capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = _check(capsys, str(DEMO))
    assert code == 0
    assert {check["status"] for check in checks.values()} == {"ok"}
    assert {"packer", "template", "validate", "disk", "destination"} <= checks.keys()


@pytest.mark.real_packer
@pytest.mark.skipif(PACKER is None, reason="no packer on this machine")
def test_what_packer_refuses_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = tmp_path / "broken.pkr.hcl"
    template.write_text(
        'source "null" "x" {\n  communicator = "none"\n  nonsense = 1\n}\n'
        'build {\n  sources = ["source.null.x"]\n}\n'
    )
    code, checks = _check(capsys, str(template))
    assert code == 3
    assert checks["validate"]["status"] == "fail"


def test_without_packer_all_else_is_still_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, checks = _check(capsys, str(DEMO))
    assert code == 2
    assert checks["packer"]["status"] == "fail"
    assert "asyncpipe packer install" in checks["packer"]["hint"]
    assert checks["template"]["status"] == "ok"
    assert checks["destination"]["status"] == "ok"


def test_a_broken_template_is_told_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.pkr.hcl").write_text('source "null" "x" {\n  a = \n}\n')
    _, checks = _check(capsys, "x.pkr.hcl", "--packer", "/nowhere")
    assert checks["template"]["exit_code"] == 3
    assert checks["template"]["file"].endswith("x.pkr.hcl")
    assert checks["template"]["line"] >= 2


def test_a_destination_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    _, checks = _check(capsys, str(DEMO), "--destination", str(tmp_path / "file" / "published"))
    assert checks["destination"]["status"] == "fail"
    assert checks["destination"]["exit_code"] > 0
