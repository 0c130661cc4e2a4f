"""The boot test of an image: what is started, what was seen of it, and what that means."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from asyncpipe.model.xva import XvaReport

FOLDER_NAME: Final = "boot-test"  # of the files of a machine, in the folder of a build
SCREENSHOT_NAME: Final = "screenshot.png"  # beside build.log, also where that is published
GROWN_BYTES: Final = 2 * 1024**3  # by which a clone's disk is larger than the image's


class BootHow(StrEnum):
    """Where the image is started."""

    OFF = "off"
    QEMU = "qemu"


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

    @property
    def passed(self) -> bool:
        """Whether the image may be relied on."""
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootImage:
    """The disks of an image as raw files, boot disk first, and the machine they are for."""

    disks: tuple[Path, ...]
    firmware: str
    memory_mib: int
    vcpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """A machine to start: ``folder`` is private to it, ``seed`` the image of its NoCloud drive."""

    image: BootImage
    seed: Path
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """What became of a machine since it was switched on."""

    restarts: int = 0
    panicked: bool = False
    is_off: bool = False
    lost: str = ""  # why it cannot go on; that says nothing about the image


class SshAnswer(StrEnum):
    """How an attempt to log in by SSH ended."""

    NOTHING = "nothing"  # nobody answered as an SSH server does
    REFUSED = "refused"  # a server answered, and did not take the key


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that the NoCloud drive asks for, with its one-time key."""

    user: str
    host_name: str
    private_key: str = field(repr=False)  # OpenSSH PEM; it is written nowhere
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a script ended in the guest; ``exit_code`` None: it was stopped at its limit."""

    exit_code: int | None
    output: str  # stdout and stderr, cut at the limit
    cut: bool = False


def image_of(report: XvaReport, disks: tuple[Path, ...]) -> BootImage:
    """Describe the machine that the VM record asks for, within what a test needs."""
    memory_mib = (report.memory_bytes or 0) // 1024**2
    return BootImage(
        disks=disks,
        firmware="uefi" if report.firmware == "uefi" else "bios",
        memory_mib=min(max(memory_mib, 1024), 2048),
        vcpus=min(max(report.vcpus or 1, 1), 2),
    )


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
    }
