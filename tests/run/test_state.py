from __future__ import annotations

import stat
from functools import partial
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import UsageError
from asyncpipe.run.state import Built, RunJournal, find_run

pytestmark = pytest.mark.anyio


def begun(folder: Path) -> RunJournal:
    return RunJournal.begin(
        folder, run_id="r1", timestamp="20261123T170000Z", destination="s3://b/p"
    )


async def test_what_many_tasks_note_is_there_for_the_next_run(tmp_path: Path) -> None:
    journal = begun(tmp_path / "run")
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(partial(journal.update, f"unit-{number}", state="building"))
    await journal.update("unit-3", state="published", folder_key="templates/x/y")
    again = RunJournal.read(tmp_path / "run")
    assert again.destination == "s3://b/p"
    assert again.timestamp == "20261123T170000Z"
    assert len(again.units) == 10
    assert again.unit("unit-3") == {"state": "published", "folder_key": "templates/x/y"}
    assert again.unit("never") == {}


async def test_the_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    await begun(tmp_path).update("u", state="planned")
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600


async def test_a_folder_that_is_no_run_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a run"):
        RunJournal.read(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 99}', "\x00\xff"])
async def test_a_broken_journal_is_one_clear_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError):
        RunJournal.read(tmp_path)


async def test_units_whose_turn_never_came_are_known_and_what_is_known_stays(
    tmp_path: Path,
) -> None:
    journal = begun(tmp_path / "run")
    await journal.update("one", state="published", template="templates/one")
    await journal.open({"one": "templates/one", "two": "templates/two"})
    again = RunJournal.read(tmp_path / "run")
    assert again.unit("one")["state"] == "published"
    assert again.unit("two") == {"state": "planned", "template": "templates/two"}


async def test_a_run_that_is_cancelled_before_it_begins_leaves_no_folder(tmp_path: Path) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await begun(tmp_path / "run").open({"one": "templates/one"})
    assert not (tmp_path / "run").exists()


async def test_a_build_that_was_kept_is_there_for_the_next_run_while_its_files_are(
    tmp_path: Path,
) -> None:
    built = Built(
        xva_path=tmp_path / "image.xva",
        log_path=tmp_path / "build.log",
        folder_key="templates/debian12/20261123T170000Z",
        name="debian12",
        redaction_count=3,
        draft={"schema_version": 1},
    )
    for path in (built.xva_path, built.log_path):
        path.write_bytes(b"x")
    await built.keep(tmp_path)
    assert Built.read(tmp_path) == built
    built.xva_path.unlink()
    assert Built.read(tmp_path) is None


async def test_a_run_is_found_by_its_folder_its_name_or_as_the_last(tmp_path: Path) -> None:
    for name in ("20261123T170000Z-a", "20261124T170000Z-b"):
        await begun(tmp_path / "work/runs" / name).open({})
    (tmp_path / "work/runs/20261125T170000Z-none").mkdir()
    older, newer = sorted((tmp_path / "work/runs").glob("*-[ab]"))
    assert find_run(str(older), tmp_path / "elsewhere") == older
    assert find_run(older.name, tmp_path / "work") == older
    assert find_run("last", tmp_path / "work") == newer
    with pytest.raises(UsageError, match="no run in"):
        find_run("last", tmp_path / "elsewhere")
