"""``--boot-test host`` as a person runs it; what is stopped or killed, and what ``reap`` finds."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot_test.at_host import LEFT_BY_A_KILL, host_with_guest, running_vms
from tests.boot_test.guest import Guest
from tests.e2e.command import Desk
from tests.host.sources import xva
from tests.host_builds.bench import Bench, until, wait_for
from tests.xapi_standin.standin import XapiStandIn
from tests.xapi_standin.state import Boot

LONG = pytest.mark.heavy("long")  # several whole commands each
KILLS = pytest.mark.heavy("crash")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[XapiStandIn, Guest]]:
    with host_with_guest(tmp_path / "guest") as both:
        yield both


@pytest.fixture
def xapi(host: tuple[XapiStandIn, Guest]) -> XapiStandIn:
    return host[0]


@pytest.fixture
def desk(tmp_path: Path, host: tuple[XapiStandIn, Guest]) -> Desk:
    xapi, guest = host
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "debian12.xva").write_bytes(xva())
    return Desk(folder, environment=environment_of(xapi, guest))


def environment_of(xapi: XapiStandIn, guest: Guest) -> dict[str, str]:
    return {
        **xapi.environment,
        "ASYNCPIPE_BOOT_SSH_PORT": str(guest.port),
        "ASYNCPIPE_BOOT_TIMEOUT": "20s",
    }


def waiting(desk: Desk, xapi: XapiStandIn, *arguments: str) -> subprocess.Popen[str]:
    """A test whose guest never reports an address, from when its VM runs."""
    xapi.state.boot = Boot(networks={})
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncpipe", *arguments],
        cwd=desk.folder,
        env={**desk.environment, "ASYNCPIPE_BOOT_TIMEOUT": "10m"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: bool(running_vms(xapi)) or process.poll() is not None, "no VM was started")
    return process


def started(desk: Desk) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "asyncpipe", "boot-test", "debian12.xva", "--on", "host"],
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


@LONG
def test_a_published_version_is_started_at_the_host(desk: Desk, xapi: XapiStandIn) -> None:
    assert desk.run("publish", "debian12.xva").code == 0
    ended = desk.run("boot-test", "debian12", "--on", "host")
    assert ended.code == 0, ended.all
    assert "debian12: came up in" in ended.out
    assert "(UEFI, at the host)" in ended.out
    assert "ok       guest-agent: it reports to the host" in ended.out
    assert xapi.left() == {}
    assert not (desk.folder / ".asyncpipe/boot-tests").exists()


def test_what_comes_up_is_published_and_promoted(desk: Desk, xapi: XapiStandIn) -> None:
    done = desk.run("publish", "debian12.xva", "--boot-test", "host")
    assert done.code == 0, done.all
    assert "boot test     passed (host, UEFI), first login after" in (
        desk.run("show", "debian12").out
    )
    moved = desk.run("promote", "debian12", "--channel", "stable", "--require", "boot-test")
    assert moved.code == 0, moved.all
    assert xapi.left() == {}


@LONG
def test_what_has_no_network_is_not_published(desk: Desk, xapi: XapiStandIn) -> None:
    xapi.state.boot = Boot(networks={})
    done = desk.run("publish", "debian12.xva", "--boot-test", "host", "--boot-timeout", "4s")
    assert done.code == 33, done.all
    assert "reports no address" in done.all
    names = {Path(name).name for name in desk.files("published")} - {".gitignore"}
    assert names == {"build.log", "metadata.json"}
    log = desk.run("logs", "--failed", "debian12").out
    assert "the host offers no serial console" in log
    assert "boot test: FAILED: no-network" in log
    assert xapi.left() == {}


def test_without_a_host_nothing_is_begun(desk: Desk) -> None:
    for name in ("ASYNCPIPE_HOST", "PKR_VAR_remote_host"):
        del desk.environment[name]
    for command in (
        ["publish", "debian12.xva", "--boot-test", "host"],
        ["boot-test", "--on", "host", "x.xva"],
    ):
        done = desk.run(*command)
        assert done.code == 2, done.all
        assert "--boot-test host: No host is named." in done.err
        assert "Export ASYNCPIPE_HOST and ASYNCPIPE_HOST_PASSWORD" in done.err
    assert not (desk.folder / "published").exists()


@LONG
def test_a_host_that_refuses_blames_no_image_and_the_run_goes_on_later(
    desk: Desk, xapi: XapiStandIn
) -> None:
    command = ("publish", "debian12.xva", "--boot-test", "host")
    xapi.faults.fail("VM.start", "HOST_NOT_ENOUGH_FREE_MEMORY", "1", "0")
    done = desk.run(*command)
    assert done.code == 50, done.all
    assert "no host has enough free memory for the VM" in done.all
    assert "The image failed" not in done.all
    assert xapi.left() == {}
    xapi.faults.heal()
    again = desk.run(*command, "--resume")
    assert again.code == 0, again.all
    assert xapi.left() == {}


# -- stopped ------------------------------------------------------------------------------------


@KILLS
def test_a_signal_in_the_middle_leaves_nothing(desk: Desk, xapi: XapiStandIn) -> None:
    process = waiting(desk, xapi, "boot-test", "debian12.xva", "--on", "host")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert xapi.left() == {}
    assert desk.files(".asyncpipe") == set()


def test_what_a_killed_test_left_reap_removes(desk: Desk, xapi: XapiStandIn) -> None:
    killed(waiting(desk, xapi, "boot-test", "debian12.xva", "--on", "host"))
    assert running_vms(xapi)
    shown = desk.run("reap", "--dry-run")
    assert "would be removed: vm: VM 'asyncpipe boot test" in shown.out, shown.all
    assert running_vms(xapi)
    done = desk.run("reap")
    assert done.code == 0, done.all
    assert xapi.left() == LEFT_BY_A_KILL
    assert not (desk.folder / ".asyncpipe/boot-tests").exists()
    assert desk.run("reap").out == "Nothing was left behind.\n"


@KILLS
def test_one_at_work_is_left_alone(desk: Desk, xapi: XapiStandIn) -> None:
    process = waiting(desk, xapi, "boot-test", "debian12.xva", "--on", "host")
    try:
        done = desk.run("reap")
        assert done.out == "Nothing was left behind.\n", done.all
        assert running_vms(xapi)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert xapi.left() == {}


@KILLS
def test_what_a_killed_publication_left_is_removed_by_reap(desk: Desk, xapi: XapiStandIn) -> None:
    killed(waiting(desk, xapi, "publish", "debian12.xva", "--boot-test", "host"))
    done = desk.run("reap")
    assert done.code == 0, done.all
    assert xapi.left() == LEFT_BY_A_KILL
    assert not [name for name in desk.files(".asyncpipe") if "/boot-test/" in name]


@KILLS
@pytest.mark.parametrize("more", [(), ("--resume",)], ids=["anew", "resumed"])
def test_a_publication_that_goes_on_ends_what_the_killed_one_left(
    desk: Desk, xapi: XapiStandIn, more: tuple[str, ...]
) -> None:
    command = ("publish", "debian12.xva", "--boot-test", "host")
    killed(waiting(desk, xapi, *command))
    xapi.state.boot = Boot()
    done = desk.run(*command, *more)
    assert done.code == 0, done.all
    assert "removed what the run had left: VM 'asyncpipe boot test" in done.err
    assert xapi.left() == LEFT_BY_A_KILL


@KILLS
def test_killed_right_after_the_import_the_vm_is_found_by_the_hosts_task(
    desk: Desk, xapi: XapiStandIn
) -> None:
    xapi.faults.hanging.add("VM.add_to_other_config")  # it never gets its mark
    process = started(desk)
    until(lambda: bool(xapi.made("VM.add_to_other_config")), "it was not imported")
    process.kill()
    process.wait(60)
    xapi.faults.hanging.clear()
    assert xapi.vms() == ["sample & co"]
    done = desk.run("reap")
    assert done.code == 0, done.all
    assert xapi.vms() == xapi.vdis() == []


@KILLS
def test_killed_while_the_host_makes_the_drive_reap_waits_for_it(
    desk: Desk, xapi: XapiStandIn
) -> None:
    xapi.faults.delays_s["VDI.create"] = 4.0  # it is made long after the kill
    process = started(desk)
    until(lambda: bool(xapi.made("VDI.create")), "no drive was asked for")
    process.kill()
    process.wait(60)
    done = desk.run("reap")
    assert done.code == 0, done.all
    assert "removed: vdi: VDI 'asyncpipe boot test" in done.out
    assert xapi.left() == LEFT_BY_A_KILL


@KILLS
def test_without_credentials_reap_says_what_may_be_there_and_finds_it_later(
    desk: Desk, xapi: XapiStandIn
) -> None:
    killed(waiting(desk, xapi, "boot-test", "debian12.xva", "--on", "host"))
    known = dict(desk.environment)
    for name in ("ASYNCPIPE_HOST_PASSWORD", "PKR_VAR_remote_password"):
        del desk.environment[name]
    done = desk.run("reap")
    assert done.code == 40, done.all
    assert f"the VM of a boot test may be at {xapi.address}" in done.out
    assert "xe vm-list other-config:import_task=OpaqueRef:" in done.out
    desk.environment = known
    assert desk.run("reap").code == 0
    assert xapi.left() == LEFT_BY_A_KILL


@LONG
def test_what_could_not_be_removed_is_found_by_reap(desk: Desk, xapi: XapiStandIn) -> None:
    xapi.faults.fail("VM.destroy", "INTERNAL_ERROR", "it is stuck")
    done = desk.run("boot-test", "debian12.xva", "--on", "host")
    assert done.code == 0, done.all
    assert "stays at the host: VM 'asyncpipe boot test" in done.err
    assert desk.run("reap").code == 40
    xapi.faults.heal()
    again = desk.run("reap")
    assert again.code == 0, again.all
    assert xapi.left() == {}
    assert not (desk.folder / ".asyncpipe/boot-tests").exists()


@KILLS
@pytest.mark.parametrize("number", range(30))
def test_whenever_it_is_killed_reap_leaves_nothing(
    desk: Desk, xapi: XapiStandIn, number: int
) -> None:
    for method in ("VDI.create", "VM.start", "VM.clean_shutdown", "VM.destroy"):
        xapi.faults.delays_s[method] = 0.3
    process = started(desk)
    until(lambda: process.poll() is not None or xapi.sessions() > 0, "it never logged in")
    time.sleep(random.Random(number).uniform(0, 4))
    process.kill()
    process.wait(60)
    xapi.faults.delays_s.clear()
    done = desk.run("reap")
    assert done.code == 0, done.all
    assert {"VM", "VDI", "VBD", "VIF"}.isdisjoint(xapi.left()), (done.all, xapi.left())
    assert desk.files(".asyncpipe") == set()


# -- of a build ---------------------------------------------------------------------------------


@pytest.fixture
def builds(tmp_path: Path, host: tuple[XapiStandIn, Guest]) -> Bench:
    xapi, guest = host
    return Bench(tmp_path / "bench", xapi, more=environment_of(xapi, guest))


@LONG
def test_a_build_is_tested_where_it_was_built(builds: Bench, xapi: XapiStandIn) -> None:
    builds.more = {**builds.more, "ASYNCPIPE_HOST": "", "ASYNCPIPE_HOST_PASSWORD": ""}
    ended = builds.run("build", "templates/small", "--boot-test", "host")
    assert ended.code == 0, ended.out
    found = builds.metadata()["boot_test"]
    assert (found["passed"], found["how"]) == (True, "host")
    assert xapi.left() == {}
    assert xapi.address not in json.dumps(builds.metadata())


@KILLS
def test_what_a_build_left_that_was_killed_in_its_test_goes_and_its_image_stays(
    builds: Bench, xapi: XapiStandIn
) -> None:
    xapi.state.boot = Boot(networks={})
    process = builds.build("--boot-test", "host", "--boot-timeout", "10m")
    wait_for(process, "phase boot-test")
    until(lambda: any("boot test" in name for name in running_vms(xapi)), "no VM was started")
    killed(process)
    done = builds.run("reap", "--run", "last", "--grace", "5s")
    assert done.code == 0, done.out
    assert builds.left() == ([], [])
    assert "removed: vm: VM 'asyncpipe boot test" in done.out
    xapi.state.boot = Boot()
    again = builds.run("build", "--resume", "last")
    assert again.code == 0, again.out
    assert builds.metadata()["boot_test"]["how"] == "host"
    assert builds.left() == ([], [])
