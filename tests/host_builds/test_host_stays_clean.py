"""However a build ends, the host holds nothing of it afterwards, or a person is told what."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.host_builds.bench import Bench, Ended, finish, until, wait_for
from tests.host_builds.conftest import NewBench
from tests.xapi_standin.faults import Export
from tests.xapi_standin.standin import XapiStandIn

ON_GITHUB = {"GITHUB_ACTIONS": "true"}
EMPTY: tuple[list[str], list[str]] = ([], [])


def _killed(process: subprocess.Popen[str]) -> None:
    """SIGKILL to asyncpipe alone, as the kernel's OOM killer does."""
    process.kill()
    process.communicate(timeout=60)


def _reaped(bench: Bench, *more: str) -> Ended:
    return bench.run("reap", "--run", "last", "--grace", "5s", *more)


def test_a_good_build_leaves_nothing_and_says_so(new_bench: NewBench, xapi: XapiStandIn) -> None:
    bench = new_bench()
    ended = finish(bench.build())
    assert ended.code == 0, ended.out
    assert bench.left() == EMPTY
    assert xapi.sessions() == 0  # the plugin never ends its own
    assert "host-remains" not in ended.out
    unit = bench.journal()["units"]["small"]
    assert unit["clean_up"] == "removed"

    document = bench.metadata()
    assert document["host"] == {
        "vm_uuid": unit["instance_uuids"][0],
        "clean_up": "removed",
        "asked": True,
        "why": "",
        "remaining": [],
    }
    assert document["iso"] == {
        "url": "small.iso",
        "name": "small.iso",
        "checksum": None,
        "sha256_hex": hashlib.sha256(bench.iso.read_bytes()).hexdigest(),
        "size_bytes": bench.iso.stat().st_size,
        "confirmed": True,
    }
    published = json.dumps(document)
    for private in (xapi.address, '"root"', str(bench.folder)):
        assert private not in published


@pytest.mark.parametrize(
    "line", [pytest.param("phase wait-ip", marks=pytest.mark.heavy("long")), "Getting XVA"]
)
def test_killed_its_vm_and_disks_are_found_and_removed(
    new_bench: NewBench, xapi: XapiStandIn, line: str
) -> None:
    xapi.faults.export = Export.STALLED
    bench = new_bench(SCRIPTED_WAIT_S="3")
    process = bench.build()
    wait_for(process, line)
    _killed(process)
    vms, vdis = bench.left()
    assert len(vms) == 1
    assert len(vdis) == 2

    ended = _reaped(bench)
    assert bench.left() == EMPTY, ended.out
    assert ended.code == 0, ended.out
    assert not list(bench.runs[0].glob("*/packer.log"))
    assert _reaped(bench).out == "Nothing was left behind.\n"


def test_killed_while_the_iso_is_uploaded_its_image_is_found_and_removed(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.hanging.add("/import_raw_vdi")
    bench = new_bench()
    process = bench.build()
    wait_for(process, "PUT '")
    until(lambda: "PUT '" in next(bench.runs[0].glob("*/build.log")).read_text(), "no log")
    _killed(process)
    assert bench.left() == ([], ["small.iso"])
    ended = _reaped(bench)
    assert (ended.code, bench.left()) == (0, EMPTY), ended.out
    assert re.search(r"removed: vdi: VDI 'small.iso' \(\S+\), 2\.0 MiB, \S+ old", ended.out)


def test_killed_and_without_credentials_what_may_remain_is_named(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.export = Export.STALLED
    bench = new_bench()
    process = bench.build()
    wait_for(process, "Getting XVA")
    _killed(process)
    bench.more = {**bench.more, "PKR_VAR_remote_password": "", "ASYNCPIPE_HOST_PASSWORD": ""}
    ended = _reaped(bench)
    assert ended.code == 40, ended.out
    uuid = xapi.record("VM", bench.left()[0][0])["uuid"]
    assert f"xe vm-uninstall force=true uuid={uuid}" in ended.out
    assert "The host's password is missing" in ended.out


def test_killed_packer_goes_on_to_its_own_clean_up(new_bench: NewBench) -> None:
    bench = new_bench(SCRIPTED_WAIT_S="1")
    process = bench.build()
    wait_for(process, "phase wait-ip")
    _killed(process)
    until(lambda: bench.left()[0] == [], "the orphaned Packer never removed its VM")


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGHUP, marks=pytest.mark.heavy("long")), signal.SIGTERM]
)
def test_a_signal_while_the_guest_boots_leaves_nothing(
    new_bench: NewBench, number: signal.Signals
) -> None:
    bench = new_bench(SCRIPTED_WAIT_S="30")
    process = bench.build()
    wait_for(process, "phase wait-ip")
    ended = finish(process, number)
    assert ended.code == 130, ended.out
    assert bench.left() == EMPTY
    assert "may still be" not in ended.out


@pytest.mark.parametrize(
    "export", [pytest.param(Export.SLOW, marks=pytest.mark.heavy("long")), Export.STALLED]
)
def test_cancelled_on_github_in_the_export_it_is_safe_in_time(
    new_bench: NewBench, xapi: XapiStandIn, export: Export
) -> None:
    xapi.faults.export = export
    xapi.faults.bytes_per_s = 400_000
    bench = new_bench(**ON_GITHUB)
    process = bench.build()
    wait_for(process, "Getting XVA")
    ended = finish(process, signal.SIGTERM)
    assert ended.code == 130, ended.out
    assert bench.left() == EMPTY, ended.out
    assert xapi.sessions() == 0
    assert bench.journal()["units"]["small"]["clean_up"] == "removed"
    # on a busy machine the figure says little; a grace that is waited out would be 120 s
    assert ended.took_s < 20, ended.out


def test_a_vm_that_cannot_be_destroyed_is_a_warning_with_the_command(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.fail("VM.destroy", "OPERATION_NOT_ALLOWED", "not now")
    bench = new_bench()
    ended = finish(bench.build())
    assert ended.code == 0, ended.out
    uuid = xapi.state.raw("VM", xapi.ref("VM", xapi.vms()[0]))["uuid"]
    assert f"xe vm-destroy uuid={uuid}" in ended.out
    assert "[host-remains]" in ended.out
    assert bench.metadata()["host"]["clean_up"] == "remains"
    assert uuid in {left["uuid"] for left in bench.metadata()["host"]["remaining"]}


def test_a_disk_that_cannot_be_destroyed_is_a_warning_with_the_command(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.fail("VDI.destroy", "SR_BACKEND_FAILURE_46", "busy")
    bench = new_bench()
    ended = finish(bench.build())
    assert ended.code == 0, ended.out
    assert "xe vdi-destroy uuid=" in ended.out
    assert bench.metadata()["host"]["clean_up"] == "remains"


def test_a_failed_build_that_left_nothing_does_not_say_that_it_may_have(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.fail("VM.start", "HOST_NOT_ENOUGH_FREE_MEMORY", "1", "2")
    bench = new_bench()
    ended = finish(bench.build())
    assert ended.code == 20, ended.out
    assert "may still be" not in ended.out
    assert "lower vm_memory" in ended.out
    assert bench.left() == EMPTY


def test_an_iso_that_was_there_before_is_told_and_not_believed(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    storage = xapi.ref("SR", "ISO images")
    xapi.state.add_vdi(storage, name_label="small.iso", virtual_size=2 * 1024 * 1024)
    bench = new_bench()
    ended = finish(bench.build())
    assert ended.code == 0, ended.out
    assert "[iso-reused]" in ended.out
    assert bench.metadata()["iso"]["confirmed"] is False


def test_resumed_after_a_kill_the_orphan_is_ended_first(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.export = Export.STALLED
    bench = new_bench()
    process = bench.build()
    wait_for(process, "Getting XVA")
    _killed(process)
    xapi.faults.export = Export.PLAIN
    ended = bench.run("build", "--resume", "last", "--grace", "5s")
    assert ended.code == 0, ended.out
    assert "removed what the run had left" in ended.out
    assert bench.left() == EMPTY
    assert len(xapi.made("VM.clone")) == 2


def test_a_living_run_is_neither_reaped_nor_resumed(new_bench: NewBench, xapi: XapiStandIn) -> None:
    xapi.faults.export = Export.STALLED
    bench = new_bench()
    process = bench.build()
    wait_for(process, "Getting XVA")
    name = bench.runs[0].name
    for command in (["reap", "--run", name], ["build", "--resume", name]):
        ended = bench.run(*command)
        assert ended.code == 2, ended.out
        assert f"is still at work (process {process.pid})" in ended.out
    assert "There is no run that has ended" in bench.run("reap", "--run", "last").out
    assert len(bench.left()[0]) == 1
    finish(process, signal.SIGTERM)


def test_a_host_that_never_answers_can_be_left_at_once(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.hanging.add("session.login_with_password")
    bench = new_bench()
    process = bench.build()
    wait_for(process, "building")
    until(lambda: "session.login_with_password" in [c for c, _ in xapi.calls], "no login")
    ended = finish(process, signal.SIGTERM)
    assert ended.code == 130, ended.out
    assert ended.took_s < 20


@pytest.mark.heavy("long")
def test_nothing_of_packers_own_log_stays(new_bench: NewBench, tmp_path: Path) -> None:
    bench = new_bench()
    finish(bench.build())
    assert not list(tmp_path.rglob("packer.log"))


@pytest.mark.heavy("long")
def test_two_runs_of_one_second_both_publish(new_bench: NewBench) -> None:
    bench = new_bench()
    several = [bench.build("--no-eager") for _ in range(3)]
    ended = [finish(process) for process in several]
    assert [one.code for one in ended] == [0, 0, 0], "\n".join(one.out for one in ended)
    folders = {
        path.parent.name for path in bench.folder.glob("published/templates/*/*/metadata.json")
    }
    assert len(folders) == 3
    names = {run.name for run in bench.runs if (run / "run.json").is_file()}
    assert len(names) == 3
    assert not list(bench.folder.glob("published/**/claim.json"))
    assert bench.left() == EMPTY


@pytest.mark.heavy("long")
def test_resume_refuses_another_destination(new_bench: NewBench, xapi: XapiStandIn) -> None:
    xapi.faults.fail("VM.start", "NO_HOSTS_AVAILABLE")
    bench = new_bench()
    assert finish(bench.build()).code == 20
    ended = bench.run("build", "--resume", "last", "--destination", "elsewhere")
    assert ended.code == 2
    assert "publishes to published, not to elsewhere" in ended.out


@pytest.mark.heavy("long")
def test_an_image_that_a_dead_run_left_is_not_installed_from(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.export = Export.STALLED
    bench = new_bench()
    process = bench.build()
    wait_for(process, "Getting XVA")
    _killed(process)
    ended = finish(bench.build())
    assert ended.code == 50, ended.out
    assert f"asyncpipe reap --run {bench.runs[0].name}" in ended.out
    assert bench.run("reap", "--run", bench.runs[0].name, "--grace", "5s").code == 0
    xapi.faults.export = Export.PLAIN
    assert finish(bench.build()).code == 0
    assert bench.left() == EMPTY


def test_a_failed_vm_is_kept_when_asked_and_removed_when_its_time_has_passed(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.fail("VM.start", "NO_HOSTS_AVAILABLE")
    bench = new_bench()
    kept = finish(bench.build("--on-error", "keep", "--keep-for", "1s"))
    assert kept.code == 20, kept.out
    assert "was kept at the host: --on-error keep, until" in kept.out
    assert "Console: " in kept.out
    assert len(bench.left()[0]) == 1
    until(lambda: bench.run("reap", "--run", "last").code == 0 and bench.left() == EMPTY, "kept")


def test_an_export_that_is_not_valid_leaves_its_vm_to_a_person_who_asked_for_it(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    xapi.faults.export = Export.CUT
    bench = new_bench()
    ended = finish(bench.build("--on-error", "keep", "--keep-for", "1h"))
    assert ended.code == 31, ended.out
    (name,) = bench.left()[0]
    uuid = xapi.record("VM", name)["uuid"]
    assert f"VM {uuid} was kept at the host: --on-error keep, until" in ended.out
    assert bench.journal()["units"]["small"]["clean_up"] == "kept"
    kept = bench.run("reap", "--run", "last", "--yes")
    assert kept.code == 0, kept.out
    assert "is kept until" in kept.out
    assert bench.left()[0] == [name]


@pytest.mark.heavy("long")
def test_a_vm_that_still_runs_is_kept_with_its_console(
    new_bench: NewBench, xapi: XapiStandIn
) -> None:
    for method in ("VM.clean_shutdown", "VM.hard_shutdown"):
        xapi.faults.fail(method, "VM_HVM_REQUIRED", "it does not stop")
    bench = new_bench()
    ended = finish(bench.build("--on-error", "keep", "--keep-for", "1h"))
    assert ended.code == 20, ended.out
    (name,) = bench.left()[0]
    (console,) = xapi.record("VM", name)["consoles"]
    location = xapi.state.raw("console", console)["location"]
    assert f"Console: {location}" in ended.out
    assert xapi.console_greeting(location) == b"RFB 003.003\n"


@pytest.mark.heavy("long")
def test_a_good_build_with_keep_leaves_nothing(new_bench: NewBench) -> None:
    bench = new_bench()
    ended = finish(bench.build("--on-error", "keep"))
    assert ended.code == 0, ended.out
    assert bench.left() == EMPTY


@pytest.mark.parametrize(("flag", "why"), [("-debug", "no terminal"), ("-force", "same name")])
def test_flags_of_packer_that_would_do_harm_are_refused_with_the_reason(
    new_bench: NewBench, flag: str, why: str
) -> None:
    ended = finish(new_bench().build(flag))
    assert ended.code == 2
    assert f"{flag} is not passed to Packer" in ended.out
    assert why in ended.out
