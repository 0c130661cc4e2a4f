from __future__ import annotations

import errno
import json
import os
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.errors import UsageError
from asyncpipe.model.documents.run_state import UnitRecord, UnitState
from asyncpipe.run import state
from asyncpipe.run.state import Built, RunJournal, find_run, read_run
from asyncpipe.system.files import replace_file

pytestmark = pytest.mark.anyio
HEAD = '{"schema_version":1,"run_id":"r","timestamp":"t","destination":"d",'


def begun(folder: Path) -> RunJournal:
    return RunJournal.begin(
        folder, run_id="r1", timestamp="20261123T170000Z", destination="s3://b/p"
    )


async def test_what_many_tasks_note_is_there_for_the_next_run(tmp_path: Path) -> None:
    journal = begun(tmp_path / "run")
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(partial(journal.note, f"unit-{number}", UnitState.BUILDING))
    await journal.note("unit-3", UnitState.PUBLISHED, folder_key="templates/x/y")
    again = RunJournal.read(tmp_path / "run")
    assert again.destination == "s3://b/p"
    assert again.timestamp == "20261123T170000Z"
    assert len(again.units) == 10
    assert again.units["unit-3"] == UnitRecord(
        state=UnitState.PUBLISHED, folder_key="templates/x/y"
    )
    assert again.state_of("never") is None


async def test_the_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    await begun(tmp_path).note("u", UnitState.PLANNED)
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600


async def test_a_folder_that_is_no_run_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a run"):
        RunJournal.read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"schema_version": 99}',
        "\x00\xff",
        HEAD + '"units":null}',
        HEAD + '"units":[]}',
        HEAD + '"units":{"a":null}}',
        HEAD + '"units":{"a":{"state":"asleep"}}}',
    ],
)
async def test_a_broken_journal_is_one_clear_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError):
        RunJournal.read(tmp_path)


async def test_units_whose_turn_never_came_are_known_and_what_is_known_stays(
    tmp_path: Path,
) -> None:
    journal = begun(tmp_path / "run")
    await journal.note("one", UnitState.PUBLISHED, template="templates/one")
    await journal.open({"one": "templates/one", "two": "templates/two"})
    again = RunJournal.read(tmp_path / "run")
    assert again.state_of("one") is UnitState.PUBLISHED
    assert again.units["two"] == UnitRecord(state=UnitState.PLANNED, template="templates/two")


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
        folder_key="templates/debian12/20261123T170000Z",
        name="debian12",
        redaction_count=3,
        draft={"schema_version": 1},
    )
    for path in (built.xva_path, tmp_path / "build.log"):
        path.write_bytes(b"x")
    assert not await built.keep(tmp_path)
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


async def test_a_run_of_the_released_version_is_read(tmp_path: Path) -> None:
    unit = {
        "state": "failed",
        "template": "templates/demo",
        "run_directory": "/w/demo",
        "output_directory": "/w/demo/output",
        "folder_key": "templates/debian12/20261123T170000Z",
        "instance_uuids": ["0a1b2c3d-0000-4000-8000-0123456789ab"],
        "exit_code": 20,
    }
    head = {"schema_version": 1, "run_id": "r", "timestamp": "20261123T170000Z"}
    document = {**head, "destination": "s3://b/p", "units": {"demo": unit}}
    (tmp_path / "run.json").write_text(json.dumps(document, indent=1, sort_keys=True))
    known = RunJournal.read(tmp_path).units["demo"]
    assert known.state is UnitState.FAILED
    assert known.instance_uuids == ("0a1b2c3d-0000-4000-8000-0123456789ab",)
    assert known.exit_code == 20


async def test_one_damaged_entry_is_named_and_hides_no_other(tmp_path: Path) -> None:
    await begun(tmp_path).open({"one": "templates/one"})
    text = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(text.replace('"one": {', '"two": 5, "one": {'))
    known = read_run(tmp_path)
    assert list(known.record.units) == ["one"]
    assert list(known.unreadable) == ["two"]
    with pytest.raises(UsageError, match="two"):
        RunJournal.read(tmp_path)


async def test_a_full_disk_is_told_once_and_what_it_refused_is_in_the_next_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begun(tmp_path / "run")
    await journal.open({"one": "templates/one", "two": "templates/two"})
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(state, "replace_file", _raising(full))
        assert "No space left on device" in await journal.note("one", UnitState.BUILDING)
        assert await journal.note("one", UnitState.FAILED) == ""
        await journal.settle()
    assert await journal.note("two", UnitState.BUILDING) == ""
    again = RunJournal.read(tmp_path / "run")
    assert again.state_of("one") is UnitState.FAILED
    assert again.state_of("two") is UnitState.BUILDING


async def test_what_the_disk_refused_last_is_written_when_the_run_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begun(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(state, "replace_file", _raising(OSError(errno.EIO, "Input/output error")))
        assert "Input/output error" in await journal.note("one", UnitState.BUILT)
    await journal.settle()
    assert RunJournal.read(tmp_path / "run").state_of("one") is UnitState.BUILT


def _raising(error: Exception) -> Callable[..., None]:
    def refuse(*_args: object, **_named: object) -> None:
        raise error

    return refuse


async def test_a_disk_that_stalls_holds_no_note_and_no_cancellation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, come_back = begun(tmp_path / "run"), threading.Event()
    really = replace_file

    def stall(*args: Any, **named: Any) -> None:
        come_back.wait(30)
        really(*args, **named)

    monkeypatch.setattr(state, "replace_file", stall)
    monkeypatch.setattr(state, "_WRITE_S", 0.05)
    with anyio.fail_after(10):
        assert "has not answered" in await journal.note("one", UnitState.BUILDING)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.note, "one", UnitState.BUILT)
            tasks.cancel_scope.cancel()
        monkeypatch.setattr(state, "_WRITE_S", 5.0)
        come_back.set()
        assert await journal.note("one", UnitState.FAILED) == ""
    assert RunJournal.read(tmp_path / "run").state_of("one") is UnitState.FAILED


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
async def test_only_a_regular_file_is_a_journal(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run.json"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    else:
        path.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        RunJournal.read(tmp_path)


async def test_a_runs_folders_are_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await begun(tmp_path / "work/runs/one").open({})
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("work", "work/runs")]
    assert modes == [0o755, 0o755]
    assert stat.S_IMODE((tmp_path / "work/runs/one").stat().st_mode) == 0o700


async def test_a_path_that_is_not_utf_8_is_kept(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    for name in ("image.xva", "build.log"):
        (odd / name).write_bytes(b"x")
    journal = begun(odd)
    await journal.open({"one": str(odd)})
    assert await journal.note("one", UnitState.BUILT, run_directory=str(odd)) == ""
    assert RunJournal.read(odd).units["one"].run_directory == str(odd)
    built = Built(xva_path=odd / "image.xva", folder_key="k", name="n", redaction_count=0, draft={})
    assert await built.keep(odd) == ""
    assert Built.read(odd) == built
