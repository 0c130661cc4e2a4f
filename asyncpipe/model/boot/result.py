"""What a boot test found, and where it leaves that."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from asyncpipe.text.safe import printable

TESTS_NAME: Final = "boot-tests"  # of the command, in the work folder: one folder each
FOLDER_NAME: Final = "boot-test"  # of the files of a machine, in the folder of a build
SCREENSHOT_NAME: Final = "screenshot.png"  # beside build.log, also where that is published


class BootHow(StrEnum):
    """Where the image is started."""

    OFF = "off"
    QEMU = "qemu"  # on this machine
    HOST = "host"  # at the host that built it

    def or_else(self, before: str) -> BootHow:
        """What an interrupted run was asked for holds, unless more is asked for now."""
        known = before in BootHow.__members__.values()
        return BootHow(before) if self is BootHow.OFF and known else self


class Reason(StrEnum):
    """Why an image failed."""

    NO_BOOT_LOADER = "no-boot-loader"
    ROOT_MISSING = "root-missing"
    KERNEL_PANIC = "kernel-panic"
    BOOT_LOOP = "boot-loop"
    SWITCHED_OFF = "switched-off"
    EMERGENCY_MODE = "emergency-mode"
    DISK_FULL = "disk-full"
    NO_NETWORK = "no-network"
    CLOUD_INIT_OFF = "cloud-init-off"
    TIMEOUT = "timeout"
    CHECKS = "checks"  # it came up, and is not what a clone must be


class CheckOutcome(StrEnum):
    """How one check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at in the running guest; ``says`` is a short sentence."""

    name: str
    outcome: CheckOutcome
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootResult:
    """What a boot test found; without ``reason`` the image passed."""

    how: BootHow
    firmware: str  # "bios" or "uefi"
    accelerated: bool  # by KVM; without it a start takes minutes
    reason: Reason | None = None
    says: str = ""  # why it failed, as a sentence
    login_s: float | None = None  # from power on to the first login
    checks: tuple[Check, ...] = ()
    check_output: str = ""  # what the user's script printed, bounded, not masked
    screenshot: bytes = field(default=b"", repr=False)  # a PNG, of a failure only
    remains: tuple[str, ...] = ()  # sentences about what stays at the host

    @property
    def passed(self) -> bool:
        """Whether the image may be relied on."""
        return self.reason is None


def result_to_dict(result: BootResult) -> dict[str, object]:
    """Return what metadata.json and reports keep of a result; not the picture, not the output."""
    return {
        "passed": result.passed,
        "how": result.how.value,
        "firmware": result.firmware,
        "accelerated": result.accelerated,
        "reason": result.reason.value if result.reason else None,
        "says": result.says,
        "login_s": result.login_s,
        "checks": [
            {"name": one.name, "outcome": one.outcome.value, "says": one.says}
            for one in result.checks
        ],
        "check_output": printable(result.check_output, 2000),
    }
