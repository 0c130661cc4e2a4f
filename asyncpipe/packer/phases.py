"""Which phase a line begins, and the timeline that follows from it."""

from __future__ import annotations

import re
from typing import Final

from asyncpipe.model.build import Phase, PhaseSpan

# Lines of the xenserver-iso plugin 0.7 to 0.11, then those of Packer's own builders and SDK.
_BEGINNINGS: Final = (
    (Phase.ISO_DOWNLOAD, r"Retrieving ISO"),
    (Phase.ISO_UPLOAD, r"Attemping to find VDI '|Step: Upload VDI '"),
    (Phase.CREATE, r"Step: Checking for pre-existing templates|Step: Create Instance"),
    (Phase.BOOT, r"Step: Start VM Paused|Unpausing VM |Starting VM"),
    (Phase.WAIT_IP, r"Step: Wait for VM's IP"),
    (
        Phase.CONNECT,
        (
            r"Creating a local port forward over SSH|Using \S+ communicator to connect"
            r"|Waiting for (?:SSH|WinRM) to become available"
        ),
    ),
    (
        Phase.PROVISION,
        (
            r"Connected to (?:SSH|WinRM)!|WinRM connected|Provisioning with "
            r"|Running local shell script|Executing Ansible|Uploading \S+ => "
        ),
    ),
    (
        Phase.SHUTDOWN,
        r"Step: Shutting down VM|Gracefully halting virtual machine|Halting the virtual machine",
    ),
    (Phase.EXPORT, r"Step: export artifact|Getting (?:XVA|VDI) |Converting hard drive"),
    (Phase.CLEANUP, r"Destroying VM$|Destroying VDI |Destroyed VDI '|Deleting output directory"),
    (Phase.POST_PROCESS, r"Running post-processor: "),
)
_EXPRESSION: Final = re.compile(
    "|".join(f"(?P<p{number}>{pattern})" for number, (_, pattern) in enumerate(_BEGINNINGS))
)
#: A build goes this way once; a line that seems to lead back (guest output) changes nothing.
_ORDER: Final = (Phase.START, *dict(_BEGINNINGS), Phase.STOPPING)
_RANK: Final = {phase: rank for rank, phase in enumerate(_ORDER)}


#: Of Packer's prefix and what follows, in a line that begins a phase.
TELLING: Final = tuple(f": (?:{pattern})" for _, pattern in _BEGINNINGS)


def phase_of(text: str) -> Phase | None:
    """Return the phase that begins with this line (less Packer's prefix), or None."""
    match = _EXPRESSION.match(text)
    return _BEGINNINGS[int(str(match.lastgroup)[1:])][0] if match else None


class PhaseTracker:
    """The timeline of one run; the caller passes both clocks."""

    def __init__(self, *, at_s: float, at_utc: str) -> None:
        self._spans: list[PhaseSpan] = []
        self._phase = Phase.START
        self._since_s = at_s
        self._since_utc = at_utc

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._phase

    def is_ahead(self, phase: Phase) -> bool:
        """Whether the run has yet to reach ``phase``."""
        return _RANK.get(phase, -1) > _RANK[self._phase]

    def enter(self, phase: Phase, *, at_s: float, at_utc: str) -> bool:
        """Enter ``phase``; False when the run is there already, or past it."""
        if not self.is_ahead(phase):
            return False
        self._end(at_s)
        self._phase, self._since_s, self._since_utc = phase, at_s, at_utc
        return True

    def finish(self, *, at_s: float) -> tuple[PhaseSpan, ...]:
        """End the present phase; return the whole timeline."""
        self._end(at_s)
        return tuple(self._spans)

    def _end(self, at_s: float) -> None:
        self._spans.append(
            PhaseSpan(
                phase=self._phase,
                started_utc=self._since_utc,
                duration_s=round(max(0.0, at_s - self._since_s), 3),
            )
        )
