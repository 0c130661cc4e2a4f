"""An image is started between its verdict and its publication, and a bad one is not published."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import AccessDeniedError, BootTestNotRunError, HostFullError
from asyncpipe.model.boot.machine import Subject
from asyncpipe.model.boot.result import BootHow, BootResult, Check, CheckOutcome, Reason
from asyncpipe.model.build import Phase
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.model.events import OutputLines, PhaseChanged
from asyncpipe.model.publication import Failed, Published
from asyncpipe.run.pipeline import process_template, publish_built
from asyncpipe.run.services import Services
from asyncpipe.run.state import Built
from asyncpipe.testing.boot import PNG
from tests.run.services import SECRET, Bench, plan_in
from tests.run.test_pipeline import FAILED, PLACE, good, metadata_of

pytestmark = pytest.mark.anyio

PASSED = BootResult(
    how=BootHow.QEMU,
    firmware="bios",
    accelerated=True,
    login_s=41.5,
    checks=(Check(name="machine-id", outcome=CheckOutcome.PASSED, says="new"),),
    check_output=f"the script shows {SECRET}\n",
)
PANICKED = BootResult(
    how=BootHow.QEMU,
    firmware="uefi",
    accelerated=False,
    reason=Reason.KERNEL_PANIC,
    says=f"The kernel panicked: {SECRET}.",
    screenshot=PNG,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class FakeTester:
    """Finds what a test says, or raises it."""

    finds: BootResult | Exception
    folders: list[Path] = field(default_factory=list)
    subjects: list[Subject] = field(default_factory=list)

    async def test_file(
        self,
        xva: Path,
        folder: Path,
        on_console: Callable[[bytes], Awaitable[None]],
        subject: Subject,
    ) -> BootResult:
        self.subjects.append(subject)
        assert xva.name == "demo.xva"
        self.folders.append(folder)
        await on_console(
            f"Linux says {SECRET}\r\nasyncpipe-evidence/1 begin\n"
            "asyncpipe-evidence/1 os-release ID=gentoo\nasyncpipe-evidence/1 end 1\n".encode()
        )
        if isinstance(self.finds, Exception):
            raise self.finds
        return self.finds


def bench_with(folder: Path, finds: BootResult | Exception) -> tuple[Bench, FakeTester]:
    tester = FakeTester(finds)
    return Bench(folder, (good(folder),), boot_tester=tester), tester


async def built_by(bench: Bench, folder: Path) -> tuple[Services, Published | Failed]:
    services = bench.workshop()
    with anyio.fail_after(60):
        outcome = await process_template(plan_in(folder), services)
    return services, outcome


async def test_what_passes_is_published_and_says_so(tmp_path: Path) -> None:
    bench, tester = bench_with(tmp_path, PASSED)
    services, outcome = await built_by(bench, tmp_path)
    assert isinstance(outcome, Published), outcome
    document = metadata_of(bench)
    assert document["boot_test"] == {
        "passed": True,
        "how": "qemu",
        "firmware": "bios",
        "accelerated": True,
        "reason": None,
        "says": "",
        "login_s": 41.5,
        "checks": [{"name": "machine-id", "outcome": "passed", "says": "new"}],
        "check_output": "the script shows ****\\n",
    }
    log = bench.store.objects[f"{PLACE}/build.log"].body.decode()
    assert "Linux says ****" in log
    assert "[asyncpipe] boot test: passed" in log
    assert SECRET not in log
    phases = [event.phase for event in bench.events.of(PhaseChanged)]
    assert phases[-2:] == [Phase.BOOT_TEST, Phase.PUBLISH]
    assert tester.folders == [tmp_path / "run/demo/boot-test"]
    (subject,) = tester.subjects
    assert (subject.run_id, subject.unit) == (services.journal.run_id, "demo")
    assert subject.template is not None
    assert subject.template.path == plan_in(tmp_path).template.path


async def test_what_stays_at_the_host_is_a_warning_and_no_fault_of_the_image(
    tmp_path: Path,
) -> None:
    left = "VM 'asyncpipe boot test' (0123): it is stuck (xe vm-destroy uuid=0123)"
    bench, _ = bench_with(tmp_path, replace(PASSED, how=BootHow.HOST, remains=(left,)))
    _, outcome = await built_by(bench, tmp_path)
    assert isinstance(outcome, Published), outcome
    assert left in outcome.warnings
    assert metadata_of(bench)["boot_test"]["how"] == "host"


async def test_the_console_of_a_test_is_no_output_of_the_build(tmp_path: Path) -> None:
    bench, _ = bench_with(tmp_path, PASSED)
    _, outcome = await built_by(bench, tmp_path)
    assert isinstance(outcome, Published)
    assert not any("Linux says" in event.text for event in bench.events.of(OutputLines))
    assert metadata_of(bench)["os"]["type"] == "debian"
    assert [one["name"] for one in metadata_of(bench)["packages"]] == ["openssl"]


async def test_what_fails_leaves_its_log_and_its_screen_alone(tmp_path: Path) -> None:
    bench, _ = bench_with(tmp_path, PANICKED)
    _, outcome = await built_by(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == 33
    assert outcome.error == "The image failed its boot test: The kernel panicked: ****."
    assert bench.visible() == set()
    assert set(bench.store.objects) == {
        f"{FAILED}/build.log",
        f"{FAILED}/screenshot.png",
        f"{FAILED}/metadata.json",
    }
    assert not bench.store.uploads
    assert bench.store.objects[f"{FAILED}/screenshot.png"].body == PNG
    document = json.loads(bench.store.objects[f"{FAILED}/metadata.json"].body)
    assert document["boot_test"]["reason"] == "kernel-panic"
    assert SECRET not in json.dumps(document)


async def test_a_screen_that_nobody_could_take_a_picture_of_is_not_promised(tmp_path: Path) -> None:
    hints = {}
    for name, picture in (("seen", PNG), ("dark", b"")):
        folder = tmp_path / name
        folder.mkdir()
        bench, _ = bench_with(folder, replace(PANICKED, screenshot=picture))
        _, outcome = await built_by(bench, folder)
        assert isinstance(outcome, Failed)
        hints[name] = outcome.hint
        assert (f"{FAILED}/screenshot.png" in bench.store.objects) is bool(picture)
    assert "screenshot.png beside it" in hints["seen"]
    assert hints["dark"] == "The end of build.log has its console."


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(BootTestNotRunError("QEMU ended at once."), 2), (HostFullError("There is no room."), 50)],
    ids=["this machine", "the host"],
)
async def test_a_machine_that_cannot_be_started_leaves_a_build_to_resume(
    tmp_path: Path, error: Exception, exit_code: int
) -> None:
    bench, tester = bench_with(tmp_path, error)
    services, outcome = await built_by(bench, tmp_path)
    assert isinstance(outcome, Failed)
    assert outcome.exit_code == exit_code
    assert "The image failed" not in outcome.error
    assert services.journal.state_of("demo") is UnitState.BUILT

    plan = plan_in(tmp_path)
    built = Built.read(plan.run_directory)
    assert built is not None
    tester.finds = PASSED
    with anyio.fail_after(60):
        again = await publish_built(plan, bench.workshop(), built)
    assert isinstance(again, Published), again
    assert metadata_of(bench)["boot_test"]["passed"] is True
    log = bench.store.objects[f"{PLACE}/build.log"].body.decode()
    assert log.count("Linux says ****") == 2
    assert "[asyncpipe] boot test: passed" in log
    assert metadata_of(bench)["log"]["redactions"] >= 3


async def test_a_resumed_run_does_not_test_again_what_passed(tmp_path: Path) -> None:
    bench, tester = bench_with(tmp_path, PASSED)
    bench.store.fail("put", AccessDeniedError("no more"), times=1000)
    _, outcome = await built_by(bench, tmp_path)
    assert isinstance(outcome, Failed), outcome
    plan = plan_in(tmp_path)
    built = Built.read(plan.run_directory)
    assert built is not None
    tester.finds = PANICKED
    bench.store = type(bench.store)()
    with anyio.fail_after(60):
        again = await publish_built(plan, bench.workshop(), built)
    assert isinstance(again, Published), again
    assert len(tester.folders) == 1
    assert metadata_of(bench)["boot_test"]["passed"] is True


async def test_a_resumed_run_publishes_nothing_that_fails_its_test(tmp_path: Path) -> None:
    bench, tester = bench_with(tmp_path, BootTestNotRunError("QEMU ended at once."))
    await built_by(bench, tmp_path)
    plan = plan_in(tmp_path)
    built = Built.read(plan.run_directory)
    assert built is not None
    tester.finds = PANICKED
    with anyio.fail_after(60):
        again = await publish_built(plan, bench.workshop(), built)
    assert isinstance(again, Failed)
    assert again.exit_code == 33
    assert bench.visible() == set()
    assert f"{FAILED}/screenshot-2.png" in bench.store.objects
    log = bench.store.objects[f"{FAILED}/build-2.log"].body.decode()
    assert "boot test: FAILED: kernel-panic" in log
