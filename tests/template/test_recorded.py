"""Our values against those that Packer 1.16's console gave, which are recorded here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from asyncpipe import template
from asyncpipe.model.template import UNKNOWN
from tests.template import recording
from tests.template.console import ours

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "hcl"


def test_every_recorded_expression_has_packers_value_or_is_an_error_where_packer_has_one(
    tmp_path: Path,
) -> None:
    rows = recording.load()
    folder = recording.copy_of(recording.RECORDED / "folder", tmp_path)
    answers = ours(folder, [text for text, _ in rows])
    wrong = {
        text: (theirs, mine)
        for (text, theirs), mine in zip(rows, answers, strict=True)
        if mine != theirs
    }
    assert len(rows) > 400
    assert not wrong


def test_a_larger_sample_of_values_is_packers_too(tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("the sample ../shared/data/hcl is not on this machine")
    rows = json.loads((SHARED / "expressions.json").read_text(encoding="utf-8"))
    folder = tmp_path / "t"
    shutil.copytree(SHARED / "t", folder)
    lines = [f"  zz{i} = {row['expression']}\n" for i, row in enumerate(rows)]
    (folder / "zz.pkr.hcl").write_text("locals {\n" + "".join(lines) + "}\n", encoding="utf-8")
    found = template.load(folder, working_directory=folder).locals
    wrong = {}
    for i, row in enumerate(rows):
        # A note: the console printed null, which is what it prints for some unknown values.
        wanted = (
            [UNKNOWN] if row.get("error") else [row["value"], *([UNKNOWN] if "note" in row else [])]
        )
        if found[f"zz{i}"] not in wanted:
            wrong[row["expression"]] = (wanted, found[f"zz{i}"])
    assert not wrong
