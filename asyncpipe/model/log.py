"""The build log, closed: size and digest known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedLog:
    """A build.log that will not change any more; only this is published."""

    path: Path
    size_bytes: int
    sha256_hex: str
    line_count: int
    redaction_count: int
    complete: bool = True  # False: the disk refused a write; the reason is in ``problem``
    problem: str = ""
    reachable: bool = True  # False: the disk does not answer, so that reading it would not end
