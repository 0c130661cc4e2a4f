"""``--boot-test`` before a publication, and what a test that is stopped leaves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.boot_test.guest import Guest, machines, stand_in
from tests.e2e.command import Desk, Ended

QUICK = ("--boot-timeout", "20s")
PANIC = "[    2.3] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"


def publish(desk: Desk, guest: Guest, *more: str, **play: Any) -> Ended:
    stand_in(guest.folder, **{"port": guest.port, **play})
    return desk.run("publish", "debian12.xva", "--boot-test", "qemu", *QUICK, *more)


def test_what_comes_up_is_published_shown_and_promoted(desk: Desk, guest: Guest) -> None:
    script = desk.folder / "check.sh"
    script.write_text("test -f /etc/os-release\n")
    guest.check = (0, "all is well\n")
    done = publish(desk, guest, "--boot-check", "check.sh")
    assert done.code == 0, done.all
    assert guest.scripts[-1] == script.read_text()
    shown = desk.run("show", "debian12")
    assert "boot test     passed (qemu, BIOS), first login after" in shown.out, shown.all
    moved = desk.run("promote", "debian12", "--channel", "stable", "--require", "boot-test")
    assert moved.code == 0, moved.all
    document = json.loads(desk.run("show", "debian12", "--json").out)["version"]["boot_test"]
    assert document["passed"] is True
    assert document["checks"][-1]["name"] == "boot-check"
    assert document["check_output"] == "all is well\\n"
    log = desk.run("logs", "debian12").out
    assert "boot login:" in log
    assert "all is well" in log
    assert not [name for name in desk.files(".asyncpipe") if "boot-test/" in name]


def test_what_panics_is_not_published_and_leaves_log_and_screen(desk: Desk, guest: Guest) -> None:
    done = publish(desk, guest, console=PANIC)
    assert done.code == 33, done.all
    assert "The kernel panicked: VFS: Unable to mount root fs." in done.all
    names = desk.files("published") - {".gitignore"}
    assert {Path(name).name for name in names} == {"build.log", "metadata.json", "screenshot.png"}
    assert all(name.startswith("failed/") for name in names)
    assert "Kernel panic" in desk.run("logs", "--failed", "debian12").out


def test_what_is_missing_ends_the_command_before_anything_is_done(
    desk: Desk, tmp_path: Path
) -> None:
    desk.environment["PATH"] = str(tmp_path / "empty")
    done = desk.run("publish", "debian12.xva", "--boot-test", "qemu")
    assert done.code == 2, done.all
    assert "qemu-system-x86_64, which is not installed" in done.err
    assert "apt install qemu-system-x86 ovmf" in done.err
    assert not (desk.folder / "published").exists()


def test_a_qemu_that_dies_says_nothing_about_the_image(desk: Desk, guest: Guest) -> None:
    done = publish(desk, guest, dies="qemu: could not set up host forwarding rule\n")
    assert done.code == 2, done.all
    assert "could not set up host forwarding rule" in done.all
    again = publish(desk, guest, "--resume")
    assert again.code == 0, again.all


# -- stopped ------------------------------------------------------------------------------------


def waiting(desk: Desk, guest: Guest) -> tuple[subprocess.Popen[str], int]:
    """A test whose guest never lets anybody in, and the pid of its machine."""
    stand_in(guest.folder, port=1, console="starting\r\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncpipe", "boot-test", "debian12.xva"],
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found: list[int] = []

    def started() -> bool:
        found[:] = machines(desk.folder)
        return bool(found) and (guest.folder / "argv.json").exists()

    until(started)
    return process, found[0]


def until(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    end_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_signal_in_the_middle_leaves_nothing(desk: Desk, guest: Guest) -> None:
    process, _ = waiting(desk, guest)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert machines(desk.folder) == []
    assert desk.files(".asyncpipe") == set()


def test_what_a_killed_test_left_reap_removes(desk: Desk, guest: Guest) -> None:
    process, machine = waiting(desk, guest)
    process.kill()
    process.communicate(timeout=60)
    os.kill(machine, 0)  # it lives on
    assert any(name.endswith("disk-0.raw") for name in desk.files(".asyncpipe"))
    shown = desk.run("reap", "--dry-run")
    assert "would be removed: process: the machine of a boot test" in shown.out, shown.all
    os.kill(machine, 0)
    done = desk.run("reap")
    assert done.code == 0, done.all
    assert "removed: process: the machine of a boot test" in done.out
    until(lambda: machines(desk.folder) == [])
    assert not (desk.folder / ".asyncpipe/boot-tests").exists()


@pytest.mark.parametrize("kept", [False, True], ids=["empty", "with a test"])
def test_the_folder_of_all_tests_goes_with_the_last_test(desk: Desk, *, kept: bool) -> None:
    tests = desk.folder / ".asyncpipe/boot-tests"  # a test was killed between its end and this
    (tests / "20261127T120000Z-0123abcd" if kept else tests).mkdir(parents=True)
    assert desk.run("reap", "--dry-run").code == 0
    assert tests.exists()
    done = desk.run("reap")
    assert done.code == 0, done.all
    assert tests.exists() == kept


@pytest.mark.heavy("crash")
@pytest.mark.parametrize("number", range(30))
def test_whenever_it_is_killed_reap_leaves_nothing(desk: Desk, guest: Guest, number: int) -> None:
    stand_in(guest.folder, port=guest.port)
    guest.hangs = "say machine-id" if number % 3 == 0 else ""
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncpipe", "boot-test", "debian12.xva"],
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: process.poll() is not None or (desk.folder / ".asyncpipe").exists())
    time.sleep(random.Random(number).uniform(0, 3))
    process.kill()
    process.wait(60)
    done = desk.run("reap")
    assert done.code == 0, done.all
    until(lambda: machines(desk.folder) == [])
    assert desk.files(".asyncpipe") == set()
