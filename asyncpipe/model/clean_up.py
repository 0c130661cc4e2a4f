"""What became of what a build made at its host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from asyncpipe.model.host import Remaining


class CleanUp(StrEnum):
    """What is left at the host after a build."""

    NOTHING_MADE = "nothing-made"
    REMOVED = "removed"
    KEPT = "kept"  # as the template's keep_vm or --on-error asks
    REMAINS = "remains"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOutcome:
    """What became of the VM and the disks of a build."""

    clean_up: CleanUp
    asked: bool = False  # the host itself was asked; otherwise it is what Packer said
    vm_uuid: str = ""
    remaining: tuple[Remaining, ...] = ()
    why: str = ""  # it is unknown, or kept
    private: str = ""  # how a person gets at it: for the one who ran it, never published

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person has to know or do; empty when all is gone."""
        if self.clean_up is CleanUp.REMAINS and self.remaining:
            return tuple(f"{left} stays at the host: {left.command}" for left in self.remaining)
        vm = f"VM {self.vm_uuid}" if self.vm_uuid else "A VM or an image"
        match self.clean_up:
            case CleanUp.REMAINS:
                return (f"{vm} or its disks stay at the host: {self.why}",)
            case CleanUp.UNKNOWN:
                return (f"{vm} may still be at the host: {self.why}",)
            case CleanUp.KEPT:
                more = f". {self.private}" if self.private else ""
                return (f"{vm} was kept at the host: {self.why}{more}",)
            case _:
                return ()
