"""The last steps of a publication: lost answers, refusals and cancellations at each of its PUTs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.errors import (
    AccessDeniedError,
    DestinationTakenError,
    TransientStoreError,
    UploadError,
)
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.model.events import Warned
from asyncpipe.model.log import SealedLog
from asyncpipe.model.publication import Failed, Published
from asyncpipe.model.transfer import StagedObject, TransferOptions
from asyncpipe.run import publish
from asyncpipe.run.pipeline import process_template, publish_built
from asyncpipe.run.state import Built, RunJournal
from asyncpipe.testing.processes import Script
from asyncpipe.upload import session
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.session import UploadSession
from tests.run.faults import half_visible
from tests.run.services import TIMESTAMP, Bench, guest_says, leaves, plan_in, xva_bytes

pytestmark = pytest.mark.anyio

PLACE = f"templates/debian12/{TIMESTAMP}"
FAILURE = f"failed/demo/{TIMESTAMP}"
FOLDER = {f"{PLACE}/debian12.xva", f"{PLACE}/metadata.json", f"{PLACE}/build.log"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    script = Script(
        output=((0.0, guest_says("debian", "12")),),
        on_exit=leaves("demo.xva", xva_bytes(tmp_path, 12 << 20)),
    )
    return Bench(tmp_path, (script,))


def at_put(bench: Bench, name: str, act: Any) -> None:
    """Let ``act(really_put)`` answer the PUT of the object that ends in ``name``."""
    store, put = bench.store, bench.store.put

    async def call(key: str, body: bytes, **named: Any) -> Any:
        if key.endswith(name) and key.startswith("templates/"):
            return await act(lambda: put(key, body, **named))
        return await put(key, body, **named)

    store.put = call  # type: ignore[method-assign]


def in_folder(bench: Bench) -> set[str]:
    return {key for key in bench.visible() if key.startswith(PLACE)}


def warned(bench: Bench, code: str) -> list[str]:
    heard = bench.events.heard
    return [event.message for event in heard if isinstance(event, Warned) and event.code == code]


async def run(bench: Bench, tmp_path: Path) -> Published | Failed:
    with anyio.fail_after(60):
        return await process_template(plan_in(tmp_path), bench.workshop())


async def resumed(bench: Bench, tmp_path: Path) -> Published | Failed:
    built = Built.read(plan_in(tmp_path).run_directory)
    assert built is not None
    with anyio.fail_after(60):
        return await publish_built(plan_in(tmp_path), bench.workshop(), built)


async def cancelled_at(bench: Bench, tmp_path: Path, name: str, *, committed: bool) -> None:
    """Cancel the run while the answer to the PUT of ``name`` is awaited."""
    async with anyio.create_task_group() as tasks:

        async def hang(really_put: Any) -> None:
            if committed:
                with anyio.CancelScope(shield=True):
                    await really_put()
            tasks.cancel_scope.cancel()
            await anyio.sleep_forever()

        at_put(bench, name, hang)
        with anyio.fail_after(60):
            await process_template(plan_in(tmp_path), bench.workshop())


def without_hook(bench: Bench) -> None:
    del bench.store.put  # the method of the class is back


@pytest.mark.parametrize("committed", [True, False])
async def test_cancelled_while_metadata_is_stored_the_image_stays_and_resuming_finishes(
    bench: Bench, tmp_path: Path, committed: bool
) -> None:
    await cancelled_at(bench, tmp_path, "metadata.json", committed=committed)
    assert f"{PLACE}/debian12.xva" in bench.visible()
    assert in_folder(bench) == (FOLDER if committed else FOLDER - {f"{PLACE}/metadata.json"})
    [message] = warned(bench, "half-published")
    assert "--resume" in message
    assert "reap" in message
    without_hook(bench)
    outcome = await resumed(bench, tmp_path)
    assert isinstance(outcome, Published), outcome
    assert half_visible(bench.store) == []
    assert "templates/debian12/latest.json" in bench.visible()


async def test_a_quick_answer_to_metadata_is_awaited_by_a_cancellation(
    bench: Bench, tmp_path: Path
) -> None:
    async with anyio.create_task_group() as tasks:

        async def answer(really_put: Any) -> Any:
            tasks.cancel_scope.cancel()
            await anyio.sleep(0.05)
            return await really_put()

        at_put(bench, "metadata.json", answer)
        with anyio.fail_after(60):
            await process_template(plan_in(tmp_path), bench.workshop())
    assert in_folder(bench) == FOLDER
    assert warned(bench, "half-published") == []
    assert RunJournal.read(tmp_path / "run").state_of("demo") is UnitState.BUILT


@pytest.mark.parametrize("name", ["build.log", "latest.json", "index.json"])
@pytest.mark.parametrize("committed", [True, False])
async def test_cancelled_at_another_put_a_version_is_whole_or_absent_and_can_be_resumed(
    bench: Bench, tmp_path: Path, name: str, committed: bool
) -> None:
    await cancelled_at(bench, tmp_path, name, committed=committed)
    assert in_folder(bench) == (set() if name == "build.log" else FOLDER)
    without_hook(bench)
    outcome = await resumed(bench, tmp_path)
    assert isinstance(outcome, Published), outcome
    assert half_visible(bench.store) == []
    log = bench.store.objects[f"{PLACE}/build.log"]
    assert outcome.publication.log.digests.crc64nvme_base64 == log.info.crc64nvme_base64


async def test_a_store_that_never_answers_for_metadata_leaves_what_resume_and_reap_know(
    bench: Bench, tmp_path: Path
) -> None:
    async def lose(really_put: Any) -> Any:
        raise TransientStoreError("reset")

    at_put(bench, "metadata.json", lose)
    outcome = await run(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 40
    assert in_folder(bench) == FOLDER - {f"{PLACE}/metadata.json"}
    assert warned(bench, "half-published")
    without_hook(bench)
    assert isinstance(await resumed(bench, tmp_path), Published)
    assert half_visible(bench.store) == []


@pytest.mark.parametrize("name", ["build.log", "metadata.json"])
async def test_a_refused_put_takes_back_all_that_was_visible(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    async def refuse(really_put: Any) -> Any:
        raise AccessDeniedError("no")

    at_put(bench, name, refuse)
    outcome = await run(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 42
    assert in_folder(bench) == set()
    assert len(bench.store.uploads) == (name == "build.log"), "sent parts wait for --resume"
    completed = any(call.operation == "complete_upload" for call in bench.store.calls)
    assert completed == (name == "metadata.json"), "an image waits for its log"


async def test_an_image_that_cannot_be_taken_back_is_named(bench: Bench, tmp_path: Path) -> None:
    async def refuse(really_put: Any) -> Any:
        bench.store.fail("delete", UploadError("no right to delete"), times=100)
        raise AccessDeniedError("no")

    at_put(bench, "metadata.json", refuse)
    outcome = await run(bench, tmp_path)
    assert isinstance(outcome, Failed)
    named = " ".join(warned(bench, "half-published"))
    for text in ("debian12.xva", "build.log", "no right to delete", "asyncpipe reap"):
        assert text in named


@pytest.mark.parametrize("theirs", [b'{"files": {}}', b"not JSON", b"[]", b'{"files": [1]}'])
async def test_another_version_under_this_timestamp_outlives_a_failed_publication(
    bench: Bench, tmp_path: Path, theirs: bytes
) -> None:
    await bench.store.put(f"{PLACE}/metadata.json", theirs, content_type="x")
    outcome = await run(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 43
    assert in_folder(bench) == {f"{PLACE}/metadata.json"}


async def test_a_log_that_changes_after_it_was_sealed_is_not_published(
    bench: Bench, tmp_path: Path
) -> None:
    class Changing(UploadSession):
        async def stage(self) -> StagedObject:
            if self.target.key.endswith("build.log"):
                path = self._request.source.path
                path.write_bytes(path.read_bytes() + b"another line\n")
            return await super().stage()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "UploadSession", Changing)
        outcome = await run(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert "changed after it was sealed" in outcome.error
    assert in_folder(bench) == set()


def failure_log(folder: Path, said: bytes) -> SealedLog:
    path = folder / "build.log"
    path.write_bytes(said)
    digest = hashlib.sha256(said).hexdigest()
    return SealedLog(
        path=path, size_bytes=len(said), sha256_hex=digest, line_count=1, redaction_count=0
    )


async def leave_failure(bench: Bench, log: SealedLog | None, metadata: bytes) -> str:
    destination = publish.Destination(
        store=bench.store, budget=Budget(TransferOptions()), options=TransferOptions()
    )
    return await publish.publish_failure(destination, FAILURE, log, metadata)


@pytest.mark.parametrize(("has_log", "name"), [(True, "build.log"), (False, "metadata.json")])
async def test_a_failure_is_left_where_its_url_says(
    bench: Bench, tmp_path: Path, has_log: bool, name: str
) -> None:
    log = failure_log(tmp_path, b"it failed\n") if has_log else None
    url = await leave_failure(bench, log, b"{}")
    assert url == bench.store.url_of(f"{FAILURE}/{name}")
    names = {f"{FAILURE}/metadata.json"} | ({f"{FAILURE}/build.log"} if has_log else set())
    assert set(bench.store.objects) == names


async def test_each_failure_of_one_run_leaves_its_own_log(bench: Bench, tmp_path: Path) -> None:
    said = {"build.log": b"first\n", "build-2.log": b"second\n", "build-3.log": b"third\n"}
    for name, text in said.items():
        url = await leave_failure(bench, failure_log(tmp_path, text), b'{"text": "%s"}' % text)
        assert url == bench.store.url_of(f"{FAILURE}/{name}")
    for name, text in said.items():
        assert bench.store.objects[f"{FAILURE}/{name}"].body == text
        metadata = name.replace("build", "metadata").replace(".log", ".json")
        assert text in bench.store.objects[f"{FAILURE}/{metadata}"].body


async def test_a_failure_whose_metadata_was_lost_is_completed_with_its_own_log(
    bench: Bench, tmp_path: Path
) -> None:
    log = failure_log(tmp_path, b"it failed\n")
    await leave_failure(bench, log, b"{}")
    del bench.store.objects[f"{FAILURE}/metadata.json"]
    await leave_failure(bench, log, b"{}")
    assert set(bench.store.objects) == {f"{FAILURE}/build.log", f"{FAILURE}/metadata.json"}


async def test_a_run_that_fails_hundreds_of_times_says_that_its_log_has_no_place(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_MAX_ATTEMPTS", 2)
    for text in (b"first\n", b"second\n"):
        await leave_failure(bench, failure_log(tmp_path, text), b"{}")
    with pytest.raises(DestinationTakenError):
        await leave_failure(bench, failure_log(tmp_path, b"third\n"), b"{}")


async def test_a_resumed_build_that_fails_again_publishes_its_second_log(tmp_path: Path) -> None:
    texts = (b"no space left\n", b"no network\n")
    bench = Bench(tmp_path, tuple(Script(output=((0.0, t),), return_code=1) for t in texts))
    services = bench.workshop()
    for number, text in enumerate(texts, 1):
        outcome = await process_template(plan_in(tmp_path / str(number)), services)
        assert isinstance(outcome, Failed)
        name = outcome.log_url.rpartition("/")[2]
        assert text in bench.store.objects[f"{FAILURE}/{name}"].body
    assert warned(bench, "failure-log") == []
