from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncpipe.errors import AccessDeniedError, TransientStoreError, UploadError
from asyncpipe.model.documents.catalog import Filler, encode_place
from asyncpipe.model.events import OutputLines, PhaseChanged, Warned
from asyncpipe.model.publication import Failed, Published
from asyncpipe.model.template import Location, Variable
from asyncpipe.run.pipeline import process_template
from asyncpipe.run.state import RunJournal
from asyncpipe.testing.processes import Script, ScriptedProcessRunner
from asyncpipe.upload import buffers, digests
from tests.run.services import SECRET, TIMESTAMP, Bench, guest_says, leaves, plan_in, xva_bytes

pytestmark = pytest.mark.anyio

PLACE = f"templates/debian12/{TIMESTAMP}"
FAILED = f"failed/demo/{TIMESTAMP}"


def good(folder: Path, said: bytes = b"") -> Script:
    return Script(
        output=((0.0, b"==> null.demo: hello\n"), (0.0, said or guest_says("debian", "12"))),
        on_exit=leaves("demo.xva", xva_bytes(folder)),
    )


def metadata_of(bench: Bench, folder_key: str = PLACE) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bench.store.objects[f"{folder_key}/metadata.json"].body)
    return document


async def test_a_good_build_is_published_whole_and_the_pointer_follows(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (good(tmp_path),))
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    assert bench.visible() == {
        f"{PLACE}/debian12.xva",
        f"{PLACE}/metadata.json",
        f"{PLACE}/build.log",
        "templates/debian12/latest.json",
        "templates/debian12/index/000001.json",
        "templates/index.json",
    }
    document = metadata_of(bench)
    for name, key in (("xva", f"{PLACE}/debian12.xva"), ("log", f"{PLACE}/build.log")):
        body = bench.store.objects[key].body
        assert document["files"][name]["sha256_hex"] == hashlib.sha256(body).hexdigest()
    assert document["os"]["version"] == "12"
    assert document["packages"] == [{"name": "openssl", "version": "3.0.15", "arch": "amd64"}]
    assert document["xva"]["verdict"] == "accept"
    latest = json.loads(bench.store.objects["templates/debian12/latest.json"].body)
    assert latest["version"]["timestamp"] == TIMESTAMP
    assert not bench.store.uploads
    assert RunJournal.read(tmp_path / "run").state_of("demo") == "published"


async def test_the_local_xva_is_removed_after_publication(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (good(tmp_path),))
    one = plan_in(tmp_path)
    with anyio.fail_after(30):
        await process_template(one, bench.workshop())
    assert not list(one.output_directory.glob("*.xva"))


async def test_a_truncated_export_is_never_published_though_packer_ended_well(
    tmp_path: Path,
) -> None:
    cut = xva_bytes(tmp_path)[: 2 << 20]
    bench = Bench(tmp_path, (Script(on_exit=leaves("demo.xva", cut)),))
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 31
    assert bench.visible() == set()
    assert not bench.store.uploads
    document = metadata_of(bench, FAILED)
    assert document["xva"]["verdict"] == "reject"
    assert document["failure"]["exit_code"] == 31


async def test_a_failing_packer_tells_the_cause_and_leaves_its_log(tmp_path: Path) -> None:
    said = b"Build 'null.demo' errored after 1 second: Script exited with non-zero exit status: 7\n"
    bench = Bench(tmp_path, (Script(output=((0.0, said),), return_code=1),))
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 20
    assert "non-zero exit status: 7" in outcome.error
    log = bench.store.objects[f"{FAILED}/build.log"].body
    assert b"non-zero exit status: 7" in log
    assert bench.visible() == set()


async def test_no_secret_reaches_the_log_the_console_or_the_metadata(tmp_path: Path) -> None:
    halves = (SECRET[:7].encode(), SECRET[7:].encode() + b"\n")
    script = Script(
        output=((0.0, b"==> x: password=" + halves[0]), (0.0, halves[1])), return_code=1
    )
    bench = Bench(tmp_path, (script,))
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    everything = b"".join(stored.body for stored in bench.store.objects.values())
    assert SECRET.encode() not in everything
    assert SECRET not in repr(outcome)
    assert SECRET not in repr(bench.events.heard)
    assert any(isinstance(e, OutputLines) and "****" in e.text for e in bench.events.heard)


async def test_the_guest_wins_over_the_iso_and_decides_the_place(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (good(tmp_path, guest_says("debian", "13")),), eager=True)
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    assert f"templates/debian13/{TIMESTAMP}/debian13.xva" in bench.store.objects
    warnings = [e for e in bench.events.heard if isinstance(e, Warned)]
    assert any(w.code == "identity-conflict" and "13" in w.message for w in warnings)
    assert not bench.store.uploads


async def test_a_place_that_only_the_guest_tells_is_taken_before_publishing(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, (good(tmp_path, guest_says("debian", "13")),))
    theirs = Filler(repository="github.com/example/images", path="other")
    await bench.store.put(
        "templates/debian13/place.json", encode_place(theirs, TIMESTAMP), content_type="x/x"
    )
    await bench.store.put("templates/debian13/latest.json", b"{}", content_type="x/x")
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Failed), outcome
    assert outcome.exit_code == 43
    assert "another template: other of github.com/example/images" in outcome.error
    assert not any(key.endswith("/metadata.json") for key in bench.visible())
    assert RunJournal.read(tmp_path / "run").state_of("demo") == "built"  # --resume publishes it


async def test_a_variant_is_part_of_the_place_and_of_the_metadata(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (good(tmp_path),))
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path, variant="web"), bench.workshop())
    assert isinstance(outcome, Published), outcome
    place = f"templates/debian12-web/{TIMESTAMP}"
    assert f"{place}/debian12-web.xva" in bench.visible()
    assert metadata_of(bench, place)["variant"] == "web"
    latest = json.loads(bench.store.objects["templates/debian12-web/latest.json"].body)
    assert latest["version"]["variant"] == "web"
    assert latest["version"]["short_id"] == "debian12-web"


async def test_with_strict_identity_a_contradiction_ends_the_run_unseen(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (good(tmp_path, guest_says("debian", "13")),))
    one = plan_in(tmp_path, strict_identity=True)
    with anyio.fail_after(30):
        outcome = await process_template(one, bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 32
    assert bench.visible() == set()


async def test_a_refused_upload_is_told_and_nothing_is_visible(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (good(tmp_path),))
    bench.store.fail("put", AccessDeniedError("no"), times=100)
    bench.store.fail("create_upload", AccessDeniedError("no"), times=100)
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 42
    assert bench.visible() == set()
    assert outcome.log_path


async def test_an_answer_lost_after_the_metadata_was_stored_is_settled_by_looking(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, (good(tmp_path),))
    for _ in range(3):
        bench.store.fail("put", TransientStoreError("reset"), after_commit=True)
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome


async def test_a_lost_log_takes_the_image_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (good(tmp_path),))
    bench.store.objects[f"{PLACE}/build.log"] = await _stored(
        bench, f"{PLACE}/build.log", b"somebody else's"
    )
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 43
    assert bench.visible() == {f"{PLACE}/build.log"}


async def _stored(bench: Bench, key: str, body: bytes) -> Any:
    await bench.store.put(key, body, content_type="text/plain")
    return bench.store.objects[key]


async def test_an_output_folder_that_cannot_be_watched_does_not_end_the_build(
    tmp_path: Path,
) -> None:
    said = b"Build 'null.demo' errored after 1 second: no space\n"
    bench = Bench(tmp_path, (Script(output=((0.5, said),), return_code=1),), eager=True)
    one = plan_in(tmp_path, output_directory=tmp_path / ("x" * 300))  # longer than a name may be
    with anyio.fail_after(30):
        outcome = await process_template(one, bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 20
    assert any("cannot be watched" in warning for warning in outcome.warnings)


async def test_two_xvas_are_an_error_with_its_own_code(tmp_path: Path) -> None:
    data = xva_bytes(tmp_path)

    def both(command: Any) -> None:
        leaves("a.xva", data)(command)
        (plan_in(tmp_path).output_directory / "b.xva").write_bytes(data)

    bench = Bench(tmp_path, (Script(on_exit=both),))
    with anyio.fail_after(30):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 30


@pytest.mark.parametrize("phase", ["building", "uploading"])
async def test_cancelled_in_any_phase_nothing_is_visible_and_the_log_is_kept(
    tmp_path: Path, phase: str
) -> None:
    script = Script(output=((0.0, b"==> x: one\n"),), return_code=None)
    bench = Bench(tmp_path, (script if phase == "building" else good(tmp_path),))
    if phase == "uploading":
        bench.store.delay("head", 3600, times=1)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process_template, plan_in(tmp_path), bench.workshop())
            await _reached(bench, phase)
            tasks.cancel_scope.cancel()
    assert bench.visible() == set()
    assert not bench.store.uploads
    assert f"{FAILED}/build.log" in bench.store.objects
    # what was built is not built again: --resume sends it
    state = "cancelled" if phase == "building" else "built"
    assert RunJournal.read(tmp_path / "run").state_of("demo") == state


async def test_cancelled_within_the_completion_the_image_is_taken_back(tmp_path: Path) -> None:
    data = xva_bytes(tmp_path, 12 << 20)
    bench = Bench(tmp_path, (Script(on_exit=leaves("demo.xva", data)),))
    store, completed = bench.store, anyio.Event()
    really_complete = store.complete_upload

    async def complete_and_hang(*args: Any, **named: Any) -> Any:
        await really_complete(*args, **named)
        completed.set()
        await anyio.sleep_forever()

    store.complete_upload = complete_and_hang  # type: ignore[method-assign]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process_template, plan_in(tmp_path), bench.workshop())
            await completed.wait()
            assert f"{PLACE}/debian12.xva" in store.objects
            tasks.cancel_scope.cancel()
    assert bench.visible() == set()
    assert not store.uploads


async def _reached(bench: Bench, phase: str) -> None:
    """Wait until the run is where the test wants to cut it."""
    while True:
        heard = bench.events.heard
        if phase == "building" and any(isinstance(e, OutputLines) for e in heard):
            return
        if phase == "uploading" and any(
            isinstance(e, PhaseChanged) and e.phase == "verify" for e in heard
        ):
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            return
        await anyio.sleep(0.01)


async def test_a_lost_link_keeps_the_build_and_what_the_store_has_for_a_resumption(
    tmp_path: Path,
) -> None:
    data = xva_bytes(tmp_path, 24 << 20)
    bench = Bench(tmp_path, (Script(on_exit=leaves("demo.xva", data)),))
    bench.store.fail("upload_part", TransientStoreError("no link"), times=1000, part_number=2)
    one = plan_in(tmp_path)
    with anyio.fail_after(60):
        outcome = await process_template(one, bench.workshop())
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 40
    assert bench.visible() == set()
    assert len(bench.store.uploads) == 1
    assert RunJournal.read(tmp_path / "run").state_of("demo") == "built"
    assert (one.output_directory / "demo.xva").exists()


async def test_an_eager_upload_that_fails_does_not_harm_the_build(tmp_path: Path) -> None:
    data = xva_bytes(tmp_path, 12 << 20)
    script = Script(
        output=((0.0, guest_says("debian", "12")), (1.0, b"==> x: exported\n")),
        on_start=leaves("demo.xva", data),
    )
    bench = Bench(tmp_path, (script,), eager=True)
    bench.store.fail("create_upload", UploadError("no link"), times=1)
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), bench.workshop())
    assert isinstance(outcome, Published), outcome
    codes = [e.code for e in bench.events.heard if isinstance(e, Warned)]
    assert "eager-upload" in codes


@pytest.mark.parametrize("place", ["memory", "read"])
async def test_a_fault_of_the_machine_during_the_eager_upload_leaves_packer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    data = xva_bytes(tmp_path, 12 << 20)
    script = Script(
        output=((0.0, guest_says("debian", "12")), (1.0, b"==> x: exported\n")),
        on_start=leaves("demo.xva", data),
    )
    bench = Bench(tmp_path, (script,), eager=True)
    refused = [OSError(errno.ENOMEM if place == "memory" else errno.EIO, "refused by the test")]
    where: tuple[Any, str] = (buffers, "Buffer") if place == "memory" else (digests, "read_exactly")
    really = getattr(*where)

    def once(*args: Any) -> Any:
        if refused:
            raise refused.pop()
        return really(*args)

    monkeypatch.setattr(*where, once)
    services = bench.workshop()
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(tmp_path), services)
    assert isinstance(outcome, Published), outcome
    runner = services.runner
    assert isinstance(runner, ScriptedProcessRunner)
    assert runner.processes[0].signals == []
    [message] = [w.message for w in bench.events.heard if isinstance(w, Warned)]
    assert "refused by the test" in message
    assert "starts over" in message
    assert services.budget.buffers.in_use_bytes == 0


async def test_a_sensitive_value_too_short_to_be_masked_is_named_in_a_warning(
    tmp_path: Path,
) -> None:
    variables = {
        name: Variable(
            name=name,
            value=value,
            is_set=True,
            sensitive=True,
            origin="default",
            location=Location(file="a.hcl"),
        )
        for name, value in {"pin": "42", "key": "a-long-secret-7"}.items()
    }
    plan = plan_in(tmp_path)
    plan = replace(plan, template=replace(plan.template, variables=variables))
    bench = Bench(tmp_path, (good(tmp_path),))
    with anyio.fail_after(30):
        outcome = await process_template(plan, bench.workshop())
    assert isinstance(outcome, Published)
    (warning,) = [text for text in outcome.warnings if "too short" in text]
    assert "pin" in warning
    assert "42" not in warning
