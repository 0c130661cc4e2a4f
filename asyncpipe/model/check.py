"""Results of the checks before a long build, and of a HEAD request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check; a failed one has the exit code that the build would have ended with."""

    name: str  # "packer", "template", "validate", "variables", "disk", "destination", "iso" ...
    status: CheckStatus
    message: str
    hint: str = ""
    details: tuple[str, ...] = ()  # lines of a program that said more
    exit_code: int = 0
    unit: str = ""  # the template it is about, empty for the machine and the destination
    file: str = ""  # where, when a line of a template is at fault
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSeen:
    """The answer to a HEAD request; ``status`` 0 means none, and ``problem`` says why."""

    status: int
    size_bytes: int | None = None
    problem: str = ""

    @property
    def is_gone(self) -> bool:
        """The server says that there is no such file."""
        return self.status in {404, 410}
