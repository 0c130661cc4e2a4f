"""Why a start failed, by what was seen of it; the consoles are what the programs write."""

from __future__ import annotations

import pytest

from asyncpipe.boot.judge import Seen, failure_now, readable
from asyncpipe.model.boot.machine import MachineState, SshAnswer
from asyncpipe.model.boot.result import Reason

SEABIOS = b"Booting from Hard Disk...\r\nBoot failed: not a bootable disk\r\n"
ALERT = (
    b"Gave up waiting for root file system device.  Common problems:\r\n"
    b"ALERT!  UUID=6f5c2a1e-0000-4000-8000-000000000000 does not exist.  Dropping to a shell!\r\n"
    b"(initramfs) "
)
DRACUT = b"[  190.1] dracut-initqueue[300]: Warning: /dev/disk/by-uuid/6f5c does not exist\r\n"
PANIC = (
    b"[    2.313] \x1b[31mKernel panic - not syncing: VFS: Unable to mount root fs on"
    b" unknown-block(0,0)\x1b[0m\r\n"
)


@pytest.mark.parametrize(
    ("console", "reason", "words"),
    [
        (SEABIOS + b"\r\nNo bootable device.\r\n", Reason.NO_BOOT_LOADER, "No bootable device"),
        (
            b"BdsDxe: No bootable option or device was found.\r\n",
            Reason.NO_BOOT_LOADER,
            "BdsDxe: No bootable option",
        ),
        (
            b"error: no such device: 6f5c.\r\nEntering rescue mode...\r\ngrub rescue> ",
            Reason.NO_BOOT_LOADER,
            "grub rescue>",
        ),
        (ALERT, Reason.ROOT_MISSING, "UUID=6f5c2a1e-0000-4000-8000-000000000000"),
        (DRACUT, Reason.ROOT_MISSING, "/dev/disk/by-uuid/6f5c"),
        (PANIC, Reason.KERNEL_PANIC, "Unable to mount root fs on unknown-block(0,0)."),
    ],
)
def test_what_no_waiting_mends_ends_the_test_at_once(
    console: bytes, reason: Reason, words: str
) -> None:
    failure = failure_now(Seen(console=readable(console), limit_s=600.0))
    assert failure is not None
    assert failure.reason is reason
    assert words in failure.says


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (MachineState(panicked=True), Reason.KERNEL_PANIC),
        (MachineState(restarts=3), Reason.BOOT_LOOP),
        (MachineState(is_off=True), Reason.SWITCHED_OFF),
    ],
)
def test_the_machine_says_it_where_the_console_is_silent(
    state: MachineState, reason: Reason
) -> None:
    failure = failure_now(Seen(state=state, limit_s=600.0))
    assert failure is not None
    assert failure.reason is reason


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_a_first_start_may_restart(restarts: int) -> None:
    assert failure_now(Seen(state=MachineState(restarts=restarts), limit_s=600.0)) is None


BARE = "Debian GNU/Linux 12 clone ttyS0\n\nclone login: "
UP = f"[   41.2] cloud-init[419]: Cloud-init v. 22.4.2 running 'init-local'\n{BARE}"
JUMPED = "SeaBIOS (version 1.16.2)\nBooting from Hard Disk...\n"
FULL = "[   30.0] cloud-init[300]: OSError: [Errno 28] No space left on device\n" + UP


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Seen(waited_s=600, limit_s=600), Reason.TIMEOUT),
        (Seen(console=UP, silent_for_s=60, limit_s=600), Reason.NO_NETWORK),
        (Seen(console=BARE, silent_for_s=60, limit_s=600), Reason.CLOUD_INIT_OFF),
        (Seen(console=JUMPED, stuck_for_s=30, limit_s=600), Reason.NO_BOOT_LOADER),
        (
            Seen(console=UP, ssh=SshAnswer.REFUSED, refused_for_s=30, silent_for_s=30, limit_s=600),
            Reason.CLOUD_INIT_OFF,
        ),
        (
            Seen(ssh=SshAnswer.REFUSED, refused_for_s=150, limit_s=600),  # no serial console
            Reason.CLOUD_INIT_OFF,
        ),
        (Seen(console=FULL, silent_for_s=60, limit_s=600), Reason.DISK_FULL),
        (
            Seen(console="You are in emergency mode. After", waited_s=600, limit_s=600),
            Reason.EMERGENCY_MODE,
        ),
    ],
)
def test_what_may_still_come_is_waited_for_and_then_named(seen: Seen, reason: Reason) -> None:
    failure = failure_now(seen)
    assert failure is not None
    assert failure.reason is reason


@pytest.mark.parametrize(
    "seen",
    [
        Seen(console=UP, silent_for_s=10, limit_s=600),
        Seen(console=JUMPED, stuck_for_s=20, waited_s=500, limit_s=600),
        Seen(console=JUMPED + "GRUB loading.\n", stuck_for_s=599, limit_s=600),
        Seen(ssh=SshAnswer.REFUSED, refused_for_s=140, limit_s=600),
        Seen(console=UP, ssh=SshAnswer.REFUSED, refused_for_s=20, silent_for_s=140, limit_s=600),
        Seen(console=UP, ssh=SshAnswer.REFUSED, refused_for_s=140, silent_for_s=1, limit_s=600),
        Seen(console="error: something\n", waited_s=500, limit_s=600),
        Seen(console=readable(SEABIOS), limit_s=600),  # another disk may have a loader
        Seen(console=readable(ALERT.partition(b"\n")[0]), limit_s=600),  # the device comes next
    ],
)
def test_a_slow_start_is_no_failure(seen: Seen) -> None:
    assert failure_now(seen) is None


def test_what_a_guest_writes_acts_on_nobody() -> None:
    failure = failure_now(
        Seen(console="Kernel panic - not syncing: \x1b]0;owned\x07\u202e" + "x" * 5000, limit_s=1)
    )
    assert failure is not None
    assert failure.says.isprintable()
    assert len(failure.says) < 300
