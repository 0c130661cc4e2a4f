"""What was seen of a start -> why it failed: pure, from the console, the machine and SSH.

The texts are those of SeaBIOS, OVMF (``BdsDxe``), GRUB, Linux, initramfs-tools, dracut, systemd and
cloud-init as they write them to a serial console. An image whose kernel has no serial console says
less there: what the machine itself reports and what SSH answers has to do then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from asyncpipe.model.boot.machine import MachineState, SshAnswer
from asyncpipe.model.boot.result import Reason
from asyncpipe.text.safe import printable, without_escapes

RESTARTS: Final = 3  # a first start may restart once or twice: a relabel, cloud-init's power_state
# Limits of single phases, as parts of the whole limit: emulated and busy machines get more of each.
_LOADER_PART: Final = 1 / 20  # a boot loader speaks within 1 s of its start
_SILENT_PART: Final = 1 / 10  # from the end of the start to an answer by SSH: one key exchange
_NO_ADDRESS_PART: Final = 1 / 4  # from the agent's first word: DHCP takes a minute or two
_REFUSED_PART: Final = 1 / 4  # from the first refused key, while cloud-init may still be at work
_REFUSED_UP_PART: Final = 1 / 20  # the same once the system is up: cloud-init makes accounts before
_UNHEARD: Final = (
    ": its address is not known, since no guest agent reported one; the system did not come up, or"
    " has no agent"
)
_PANIC: Final = re.compile(r"Kernel panic - not syncing: ?([^\r\n]{0,200})")
_ROOT: Final = re.compile(
    r"ALERT!\s+(\S{1,200}) does not exist"
    r"|Warning: (/dev/\S{1,200}) does not exist"
)
_NO_LOADER: Final = re.compile(
    r"No bootable device|BdsDxe: No bootable option"
    r"|grub rescue>|Minimal BASH-like line editing|UEFI Interactive Shell"
)
# the last that SeaBIOS says before it jumps into a boot sector, which may have no code
_STUCK: Final = re.compile(r"Booting from Hard Disk[. ]*\s*\Z")
_EMERGENCY: Final = re.compile(r"You are in emergency mode|Entering emergency mode|\(initramfs\)")
_FULL: Final = re.compile(
    r"No space left on device|disk is full|Disk quota exceeded", re.IGNORECASE
)
_CAME_UP: Final = re.compile(
    r"(?m)^\S{1,64} login:|Cloud-init v\. \S+ finished|Reached target \S*(?:Multi-User|multi-user)"
)
_CLOUD_INIT: Final = re.compile(r"[Cc]loud-init(?: v\. |\[)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of a start: the end of its console, the machine, and how SSH answered."""

    console: str = ""
    state: MachineState = field(default_factory=MachineState)
    ssh: SshAnswer = SshAnswer.NOTHING
    waited_s: float = 0.0  # since power on
    limit_s: float = 0.0
    stuck_for_s: float = 0.0  # of silence since the firmware jumped into the boot sector
    refused_for_s: float = 0.0  # since a server first refused the key
    silent_for_s: float = 0.0  # since the system came up, by its console, and SSH did not
    has_address: bool = True
    agent_for_s: float = 0.0  # since a guest agent was first heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a start failed."""

    reason: Reason
    says: str


def readable(console: bytes) -> str:
    """The end of a console as text, without what acts on a terminal."""
    return without_escapes(console.decode("utf-8", "replace")).replace("\r", "")


def is_stuck(console: str) -> bool:
    """Whether the console ends where SeaBIOS jumps into the boot sector."""
    return _STUCK.search(console) is not None


def came_up(console: str) -> bool:
    """Whether the console shows a system at the end of its start."""
    return _CAME_UP.search(console) is not None


def failure_now(seen: Seen) -> Failure | None:
    """Return why there is nothing left to wait for; None: the guest may still come up."""
    fatal = _fatal(seen)
    if fatal is not None:
        return fatal
    if seen.stuck_for_s >= seen.limit_s * _LOADER_PART and is_stuck(seen.console):
        return Failure(
            reason=Reason.NO_BOOT_LOADER,
            says="The firmware started the disk's boot sector, and no boot loader came of it.",
        )
    if seen.waited_s >= seen.limit_s or _waited_enough(seen):
        return _too_late(seen)
    return None


def _waited_enough(seen: Seen) -> bool:
    """Whether the phase that the start is in had its part of the limit."""
    if seen.ssh is SshAnswer.REFUSED:
        if seen.refused_for_s >= seen.limit_s * _REFUSED_PART:
            return True
        # from the end of the start: keys that were refused before it may be taken right after
        refused_up_s = min(seen.refused_for_s, seen.silent_for_s)
        return came_up(seen.console) and refused_up_s >= seen.limit_s * _REFUSED_UP_PART
    if not seen.has_address and seen.agent_for_s >= seen.limit_s * _NO_ADDRESS_PART:
        return True
    return seen.silent_for_s >= seen.limit_s * _SILENT_PART


def _fatal(seen: Seen) -> Failure | None:
    """What no waiting mends."""
    panic = _PANIC.search(seen.console)
    if panic or seen.state.panicked:
        words = printable(panic[1].strip(), 200) if panic else "no message on the serial console"
        return Failure(reason=Reason.KERNEL_PANIC, says=f"The kernel panicked: {words}.")
    if root := _ROOT.search(seen.console):
        device = printable(next(filter(None, root.groups())), 200)
        return Failure(
            reason=Reason.ROOT_MISSING,
            says=f"The root file system was not found: {device}. Its UUID is wrong, or the"
            " initramfs lacks the driver of the disk (virtio).",
        )
    if loader := _NO_LOADER.search(seen.console):
        return Failure(
            reason=Reason.NO_BOOT_LOADER,
            says=f'The firmware found no boot loader that works: "{loader[0]}".',
        )
    if seen.state.restarts >= RESTARTS:
        times = seen.state.restarts
        return Failure(
            reason=Reason.BOOT_LOOP, says=f"The machine restarted {times} times and never came up."
        )
    if seen.state.is_off:
        return Failure(
            reason=Reason.SWITCHED_OFF, says="The machine switched itself off while it started."
        )
    return None


def _too_late(seen: Seen) -> Failure:
    if _FULL.search(seen.console):
        return Failure(reason=Reason.DISK_FULL, says="The guest's disk is full.")
    if seen.ssh is SshAnswer.REFUSED:
        return Failure(
            reason=Reason.CLOUD_INIT_OFF,
            says="SSH answered and refused the key of the NoCloud drive: cloud-init is absent, off,"
            " or did not take the drive.",
        )
    if _EMERGENCY.search(seen.console):
        return Failure(
            reason=Reason.EMERGENCY_MODE, says="The system ended its start in emergency mode."
        )
    if came_up(seen.console) and not _CLOUD_INIT.search(seen.console):
        return Failure(
            reason=Reason.CLOUD_INIT_OFF,
            says="The system came up without cloud-init, which is absent or off: nothing answered"
            " at its SSH port.",
        )
    if came_up(seen.console):
        return Failure(
            reason=Reason.NO_NETWORK,
            says="The system came up, but nothing answered at its SSH port: it has no address by"
            " DHCP, or no SSH server runs.",
        )
    return _unreached(seen)


def _unreached(seen: Seen) -> Failure:
    """Why nobody got in, where neither the console nor SSH says more."""
    if not seen.has_address and seen.agent_for_s:
        return Failure(
            reason=Reason.NO_NETWORK,
            says="The guest agent runs and reports no address: no DHCP server answered, or the"
            " network card is not configured.",
        )
    why = "" if seen.has_address else _UNHEARD
    return Failure(
        reason=Reason.TIMEOUT, says=f"Nobody could log in within {seen.waited_s:.0f} s{why}."
    )
