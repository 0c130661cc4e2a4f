"""What was left behind, and what reaping asks of store and machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable


@runtime_checkable
class HasLifecycle(Protocol):
    """A store that knows rules by which it removes abandoned uploads itself."""

    async def abort_rule_days(self) -> int | None:
        """Days after which it aborts unfinished uploads under our prefix; None: no such rule.

        Raises:
            UploadError: it does not say; the message names the rules.
        """
        ...


@runtime_checkable
class HasRemains(Protocol):
    """A store where a killed call can leave more than an open upload: a folder."""

    async def remains(self, before_utc: datetime) -> Sequence[str]:
        """Name what nothing needs any more and nobody touched since ``before_utc``."""
        ...

    async def remove_remains(self, path: str) -> None:
        """Remove one of them; UploadError."""
        ...


class Groups(Protocol):
    """Left-over process groups (``system/groups.py``); ``marker`` is the run's folder."""

    async def find(self, marker: str) -> list[tuple[int, int]]:
        """Return (session id, start ticks) of what lives of a run, noted or not."""
        ...

    async def folder_of(self, pid: int, marker: str) -> str:
        """Name the folder, below the run's, of the build that this group is, or ""."""
        ...

    async def stop(
        self,
        pid: int,
        start_ticks: int,
        marker: str,
        *,
        grace_s: float,
        kill_s: float = 5.0,
        hear: Callable[[bytes], None] | None = None,
    ) -> bool:
        """Stop the group; True when nothing of it is left; ``hear`` receives its output."""
        ...


class Kind(StrEnum):
    """What was left behind."""

    PROCESS = "process"
    UPLOAD = "upload"
    FOLDER = "half-published"
    CLAIM = "claim"
    FILES = "files"
    PROBE = "probe"
    VM = "vm"
    VDI = "vdi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was left behind and what became of it."""

    kind: Kind
    what: str
    removed: bool
    problem: str = ""  # why it is still there
    advice: str = ""  # the command that removes it
    stays: bool = False  # on purpose, or for a person to judge: reap does not remove it
    begun_utc: str = ""  # ISO 8601; of the run that made it unless more is known; "" unknown
    size_bytes: int | None = None  # of a disk its virtual size

    @property
    def removable(self) -> bool:
        """A second look, not dry, would remove it."""
        return not (self.removed or self.problem or self.stays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """All that was found; ``warnings`` are about what may come."""

    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def left_open(self) -> bool:
        """Something could not be removed, or nobody could look whether it is there."""
        return any(bool(finding.problem) for finding in self.findings)
