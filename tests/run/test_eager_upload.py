"""The export while Packer still writes it: reported as it grows, sent early, dropped when wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from asyncpipe.errors import UploadError
from asyncpipe.model.clean_up import HostOutcome
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.model.events import ExportGrew, Warned
from asyncpipe.model.publication import Failed, Published
from asyncpipe.model.store import StoredPart, UploadHandle
from asyncpipe.model.transfer import StagedObject
from asyncpipe.run import eager_upload
from asyncpipe.run.context import RunContext
from asyncpipe.run.host.beside import HostSide
from asyncpipe.run.pipeline import process_template
from asyncpipe.testing.processes import Script
from asyncpipe.upload.session import UploadSession
from tests.run.services import TIMESTAMP, Bench, guest_says, leaves, plan_in, xva_bytes

pytestmark = pytest.mark.anyio

SIZE_BYTES = 12 << 20


def exported_at_once(folder: Path, said: bytes, *, after_s: float) -> Script:
    """A Packer that has exported when it starts, and in which the guest speaks afterwards."""
    return Script(
        output=((0.0, b"==> null.demo: exporting\n"), (after_s, said)),
        on_start=leaves("demo.xva", xva_bytes(folder, SIZE_BYTES)),
    )


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager_upload, "_POLL_S", 0.01)


@pytest.mark.parametrize("eager", [True, False])
async def test_the_growth_of_the_export_is_reported_again_and_again(
    tmp_path: Path, eager: bool
) -> None:
    script = exported_at_once(tmp_path, guest_says("debian", "12"), after_s=1.5)
    bench = Bench(tmp_path, (script,), eager=eager)
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    sizes = [one.size_bytes for one in bench.events.heard if isinstance(one, ExportGrew)]
    assert len(sizes) > 1
    assert SIZE_BYTES < sizes[0] < 2 * SIZE_BYTES


async def test_an_upload_to_the_place_that_the_iso_named_is_dropped_when_the_guest_names_another(
    tmp_path: Path,
) -> None:
    script = exported_at_once(tmp_path, guest_says("debian", "13"), after_s=1.0)
    bench = Bench(tmp_path, (script,), eager=True)
    send = bench.store.upload_part

    async def stuck(handle: UploadHandle, *more: Any, **named: Any) -> StoredPart:
        if "debian12" in handle.key:
            await anyio.sleep_forever()
        return await send(handle, *more, **named)

    bench.store.upload_part = stuck  # type: ignore[method-assign]
    services = bench.workshop()
    with anyio.fail_after(50):
        outcome = await process_template(plan_in(tmp_path), services)
    assert isinstance(outcome, Published), outcome
    assert outcome.publication.folder_key == f"templates/debian13/{TIMESTAMP}"
    assert not [key for key in bench.visible() if "debian12" in key]
    assert bench.store.uploads == {}
    assert services.budget.buffers.in_use_bytes == 0
    assert not [
        one for one in bench.events.heard if isinstance(one, Warned) and "upload" in one.code
    ]


async def test_the_end_of_the_export_is_sent_while_the_host_is_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = exported_at_once(tmp_path, guest_says("debian", "12"), after_s=0.1)
    bench = Bench(tmp_path, (script,), eager=True)
    staged, settled = anyio.Event(), []
    stage, settle = UploadSession.stage, HostSide.settle

    async def noted(session: UploadSession) -> StagedObject:
        result = await stage(session)
        staged.set()
        return result

    async def slow(host: HostSide, *what: Any, **more: Any) -> HostOutcome | None:
        with anyio.fail_after(30):
            await staged.wait()
        settled.append(bench.visible())
        return await settle(host, *what, **more)

    monkeypatch.setattr(UploadSession, "stage", noted)
    monkeypatch.setattr(HostSide, "settle", slow)
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    assert not [key for key in settled[0] if key.endswith(".xva")], "all is there, none is visible"


class _Stubborn:
    """A session with a part on its way whose connection takes a moment to close."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def stage(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            self.log.append("the part has ended")

    async def close(self, error: BaseException | None = None) -> None:
        self.log.append("aborted")


async def test_a_dropped_upload_is_aborted_only_when_none_of_its_parts_is_on_its_way() -> None:
    session = _Stubborn()
    early = eager_upload._Early(cast("UploadSession", session), Path("demo.xva"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(early.run)
            await anyio.wait_all_tasks_blocked()
            await early.drop()
    assert session.log == ["the part has ended", "aborted"]


async def test_an_early_upload_that_failed_and_cannot_be_aborted_is_resumed(
    tmp_path: Path,
) -> None:
    script = exported_at_once(tmp_path, guest_says("debian", "12"), after_s=1.0)
    bench = Bench(tmp_path, (script,), eager=True)
    bench.store.fail("upload_part", UploadError("a bad moment"), times=1)
    bench.store.fail("abort_upload", UploadError("not now"), times=1000)
    with anyio.fail_after(120):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    assert [one.code for one in bench.events.heard if isinstance(one, Warned)]
    assert bench.store.uploads == {}, "the first upload was completed, none is left open"


async def test_an_early_upload_of_a_build_that_fails_is_aborted(tmp_path: Path) -> None:
    script = replace(
        exported_at_once(tmp_path, guest_says("debian", "12"), after_s=1.0), return_code=1
    )
    bench = Bench(tmp_path, (script,), eager=True)
    services = bench.workshop()
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), services)
    assert isinstance(outcome, Failed), outcome
    assert bench.store.uploads == {}
    assert services.budget.buffers.in_use_bytes == 0


async def test_the_folder_is_looked_at_now_and_then_until_the_export_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def none_yet(_: Path) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(eager_upload, "_first_xva", none_yet)
    monkeypatch.setattr(eager_upload, "_POLL_S", 0.2)
    script = exported_at_once(tmp_path, guest_says("debian", "12"), after_s=1.0)
    bench = Bench(tmp_path, (script,), eager=True)
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    assert 0 < looks < 40


async def test_the_uploads_journal_stays_until_the_run_is_noted_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, there = RunContext.note_state, []

    async def noted(context: RunContext, state: UnitState, **more: Any) -> None:
        if state is UnitState.PUBLISHED:
            there.append((context.plan.run_directory / "upload.json").exists())
        await note(context, state, **more)

    monkeypatch.setattr(RunContext, "note_state", noted)
    script = exported_at_once(tmp_path, guest_says("debian", "12"), after_s=0.1)
    bench = Bench(tmp_path, (script,))
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    assert there == [True], "killed here, a resumed run would take its own image for another's"
