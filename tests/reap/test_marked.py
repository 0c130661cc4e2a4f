"""What bears our mark at a host goes only where its run is surely dead, or old and meant."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from asyncpipe import reap
from asyncpipe.cli import main
from asyncpipe.cli.run import hosts
from asyncpipe.errors import HostUnreachableError
from asyncpipe.model.clean_up import CleanUp
from asyncpipe.model.documents import run_state
from asyncpipe.model.documents.run_state import RunRecord, UnitRecord, UnitState
from asyncpipe.model.host import FOR_GOOD, Mark, marked
from asyncpipe.reap import Finding, Known, Life
from asyncpipe.system import lock
from asyncpipe.system.groups import ProcessGroups
from asyncpipe.testing.pool import FakePool
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn

pytestmark = pytest.mark.anyio
HERE, DEAD, OLD = (f"20261123T170000Z-0000000{n}" for n in (1, 2, 3))
YOUNG = "20261126T170000Z-00000004"
BEFORE_UTC = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def mark(run_id: str, **changes: Any) -> Mark:
    return Mark(run_id=run_id, unit="debian", machine="runner-1", **changes)


async def swept(
    pool: FakePool,
    *,
    any_machine: bool = False,
    dry_run: bool = False,
    spared: frozenset[str] = frozenset(),
) -> list[Finding]:
    lives = {HERE: Life.AT_WORK, DEAD: Life.ENDED}

    @asynccontextmanager
    async def open_host(_: str) -> AsyncIterator[FakePool]:
        yield pool

    @contextmanager
    def look_at_run(run_id: str) -> Iterator[Known]:
        yield Known(life=lives.get(run_id, Life.UNKNOWN), spared=spared)

    return await reap.sweep_host(
        open_host,
        look_at_run,
        ProcessGroups(),
        before_utc=BEFORE_UTC,
        any_machine=any_machine,
        dry_run=dry_run,
    )


async def test_of_a_run_that_ended_here_everything_goes_and_of_others_it_is_named() -> None:
    pool = FakePool()
    living, plain = pool.add_vm("a", mark=mark(HERE)), pool.add_vm("mail server")
    pool.add_vm("b", mark=mark(DEAD))
    pool.add_vdi("b.iso", mark=mark(DEAD), is_iso=True)
    elsewhere = pool.add_vm("c", mark=mark(OLD))
    shown = await swept(pool, dry_run=True)
    assert [one.removable for one in shown] == [True, True, False]
    found = await swept(pool)
    assert [(one.removed, one.stays) for one in found] == [(True, False)] * 2 + [(False, True)]
    assert f"of run {OLD} on runner-1" in found[2].what
    assert found[2].begun_utc == "2026-11-23T17:00:00.000Z"
    assert "--any-machine" in found[2].advice
    assert set(pool.machines) == {living, plain, elsewhere}


async def test_what_another_machine_made_goes_by_its_age_and_only_when_that_is_asked_for() -> None:
    pool = FakePool()
    living = pool.add_vm("a", mark=mark(HERE))
    pool.add_vm("c", mark=mark(OLD))
    young = pool.add_vm("d", mark=mark(YOUNG))
    began_late = pool.add_vm("e", mark=mark("20261101T170000Z-00000005", since_utc=YOUNG[:16]))
    unclear = pool.add_vm("f", mark=mark("of somebody", since_utc="yesterday"))
    found = await swept(pool, any_machine=True)
    assert [one.what.split(",")[-1] for one in found if one.removed] == [
        f" of run {OLD} on runner-1"
    ]
    assert set(pool.machines) == {living, young, began_late, unclear}


async def test_what_a_person_or_a_template_keeps_stays() -> None:
    pool = FakePool()
    for until in ("29991231T000000Z", FOR_GOOD):
        pool.add_vm("kept", mark=mark(DEAD, keep_until_utc=until))
    spared = pool.add_vm("spared", mark=mark(DEAD))
    found = await swept(pool, spared=frozenset({spared}))
    assert [one.removed for one in found] == [False, False]
    assert sum("is kept for good" in one.what for one in found) == 1
    assert len(pool.machines) == 3


async def test_a_host_that_does_not_answer_is_something_left() -> None:
    pool = FakePool()
    pool.fail("marks", HostUnreachableError("pool.example does not answer."))
    (found,) = await swept(pool)
    assert "does not answer" in found.problem


def run_of(runs: Path, run_id: str, *, named: str = "") -> Path:
    folder = runs / run_id
    folder.mkdir(parents=True)
    kept = UnitRecord(
        state=UnitState.PUBLISHED, clean_up=CleanUp.KEPT, instance_uuids=("the-kept-one",)
    )
    record = RunRecord(
        run_id=named or run_id, timestamp=run_id[:16], destination="x", units={"debian": kept}
    )
    (folder / "run.json").write_bytes(run_state.encode(record))
    return folder


def life(work: Path, run_id: str) -> Life:
    with hosts.look_at_run(work, run_id) as known:
        return known.life


def test_a_run_is_dead_only_if_its_folder_is_here_and_its_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_of(tmp_path / "runs", DEAD)
    with hosts.look_at_run(tmp_path, DEAD) as known:
        assert (known.life, known.spared) == (Life.ENDED, frozenset({"the-kept-one"}))
        assert lock.is_held(folder)  # nobody resumes it meanwhile
    with lock.held(folder):
        assert life(tmp_path, DEAD) is Life.AT_WORK
    assert life(tmp_path, OLD) is Life.UNKNOWN
    run_of(tmp_path / "runs", OLD, named=HERE)
    assert life(tmp_path, OLD) is Life.UNKNOWN
    assert life(tmp_path, f"../runs/{DEAD}") is Life.UNKNOWN
    monkeypatch.setattr(lock, "_take", lambda _: False)  # a file system without locks
    assert life(tmp_path, DEAD) is Life.UNKNOWN


def test_so_are_a_publication_and_a_boot_test_by_itself(tmp_path: Path) -> None:
    published = run_of(tmp_path / "publish", "debian12-0123456789ab", named=DEAD)
    tested = tmp_path / "boot-tests" / OLD
    tested.mkdir(parents=True)
    assert life(tmp_path, OLD) is Life.UNKNOWN  # a test that ended has no lock any more
    for folder, run_id in ((published, DEAD), (tested, OLD)):
        with lock.held(folder):
            assert life(tmp_path, run_id) is Life.AT_WORK
        assert life(tmp_path, run_id) is Life.ENDED
    assert life(tmp_path, HERE) is Life.UNKNOWN


@pytest.fixture
def xapi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[XapiStandIn]:
    with running_xapi() as standin:
        monkeypatch.chdir(tmp_path)
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        yield standin


def put(xapi: XapiStandIn, name: str, run_id: str) -> None:
    """Put a VM there that a run of another time marked."""
    vm = xapi.state.add_vm(name_label=name)
    uuid = xapi.state.uuid_of("VM", vm)
    xapi.state.raw("VM", vm)["other_config"] = marked(mark(run_id), uuid)


def test_reap_without_a_run_asks_the_host_too(
    xapi: XapiStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, run_id in (("dead", DEAD), ("at work", HERE), ("elsewhere", OLD)):
        put(xapi, name, run_id)
    run_of(tmp_path / ".asyncpipe/runs", DEAD)
    with lock.held(run_of(tmp_path / ".asyncpipe/runs", HERE)):
        assert main.run(["reap", "--dry-run"]) == 0
        assert xapi.vms() == ["at work", "dead", "elsewhere"]
        shown = capsys.readouterr().out
        assert "would be removed: vm: VM 'dead'" in shown
        assert "to look at: vm: VM 'elsewhere'" in shown
        assert "old\n  -> asyncpipe reap --any-machine" in shown
        assert main.run(["reap"]) == 0
        assert xapi.vms() == ["at work", "elsewhere"]
        assert main.run(["reap", "--any-machine"]) == 0
        assert xapi.vms() == ["at work"]


def test_packer_that_outlives_its_run_is_left_to_reap_of_that_run(
    xapi: XapiStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(xapi, "dead", DEAD)
    folder = run_of(tmp_path / ".asyncpipe/runs", DEAD)
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    environment = {**os.environ, "PACKER_LOG_PATH": str(folder / "debian/packer.log")}
    with subprocess.Popen(argv, env=environment, cwd=folder, start_new_session=True) as packer:
        try:
            assert main.run(["reap"]) == 0
            assert f"-> asyncpipe reap --run {DEAD}" in capsys.readouterr().out
            assert xapi.vms() == ["dead"]
        finally:
            packer.kill()
    assert main.run(["reap"]) == 0
    assert xapi.vms() == []


def test_runs_of_other_machines_are_left_alone_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["reap", "--any-machine", "--older-than", "1h"]) == 2
    assert "younger than a day" in capsys.readouterr().err
