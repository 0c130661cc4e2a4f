"""What a boot test starts, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from asyncpipe.model.template import Template
from asyncpipe.model.xva import XvaReport

GROWN_BYTES: Final = 2 * 1024**3  # by which a clone's disk is larger than the image's


@dataclass(frozen=True, slots=True, kw_only=True)
class BootImage:
    """The disks of an image as raw files, boot disk first, and the machine they are for."""

    disks: tuple[Path, ...]
    firmware: str
    memory_mib: int
    vcpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose image is tested: that of a template in a run, or of one command."""

    run_id: str
    unit: str
    template: Template | None = None  # None: no build of ours knows where it was built


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
