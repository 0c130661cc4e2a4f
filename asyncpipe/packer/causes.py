"""Why a build failed: the lines that say so, most telling first, and what to do about it."""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from asyncpipe.packer.lines import BuildErrored, BuildLine, Diagnostic, OutputEvent
from asyncpipe.text.safe import printable

_MOST_LINES: Final = 12
_LINE_CHARS: Final = 500
_RECENT: Final = 40  # lines of the builds that are kept
_CONTEXT: Final = 5  # of them shown, those that sound like an error first

_TELLING: Final = re.compile(
    r"error|fail|cannot|can't|could ?n[o']t|unable|timed? ?out|timeout|invalid|denied|refused"
    r"|no such|not found|no space|must be unique|forcing hard shutdown|panic|aborting|killed",
    re.IGNORECASE,
)
_STRAY: Final = re.compile(
    r"\* .|flag provided but not defined|!+ PACKER CRASH|panic: |fatal error: |Packer crashed!"
)
# Says that there was an error, or cleans up after one; the cause stands before it.
_EPILOGUE: Final = re.compile(
    r"Provisioning step had errors|Destroy(?:ing|ed) V|Deleting output directory|Step \"|aborted: "
    r"|Running post-processor|Downloading\.\.\. \d+%"
)
_HALTED: Final = ("Build was halted.", "Build was cancelled.")
_HINTS: Final = (
    (
        r"Missing plugins|packer init|Unknown source type|not installed",
        "Run `packer init` on the template, so that its plugins are installed.",
    ),
    (
        r"Timed out waiting for (?:SSH|WinRM)|Timeout waiting for (?:SSH|WinRM)",
        (
            "The guest did not let Packer in: look at its console, at the boot command and at "
            "ssh_username/ssh_password of the answer file."
        ),
    ),
    (
        r"Could not get IP address of VM",
        (
            "The installer did not finish or the guest tools do not report an address: look at the "
            "VM's console, or raise install_timeout."
        ),
    ),
    (r"Could not download XVA", "The export broke off: look at the host, its disk and network."),
    (
        r"Couldn't find a template with the name-label",
        "Set clone_template to a template of this pool (xe template-list).",
    ),
    (
        r"Couldn't find a network with the specified name-label",
        "Set network_names to networks of this pool (xe network-list).",
    ),
    (r"Unable to (?:get SR|upload VDI)", "Check sr_name and sr_iso_name, and their free space."),
    (r"[Nn]o space left on device", "Free some disk space on the machine that runs Packer."),
    (
        r"SESSION_AUTHENTICATION_FAILED|authentication fail",
        "Check remote_username and remote_password.",
    ),
    (
        r"connection refused|no such host|i/o timeout|no route to host",
        "The address in the message does not answer: check its name, the network and the service.",
    ),
    (r"[Cc]hecksum", "The ISO is another one than iso_checksum says, or broken off: compare both."),
    (
        r"non-zero exit status",
        "A provisioning script failed; what it printed stands above that line in build.log.",
    ),
    (r"PACKER CRASH|panic: ", "Packer or a plugin crashed; crash.log lies where Packer ran."),
)


class Causes:
    """Listens to the events and the lines of one run."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._errored: list[BuildErrored] = []
        self._recent: deque[BuildLine] = deque(maxlen=_RECENT)
        self._before_error: list[BuildLine] = []
        self._stray: list[str] = []
        self._last: deque[str] = deque(maxlen=_CONTEXT)

    def take(self, line: str, events: list[OutputEvent]) -> None:
        """Take one line and what it meant."""
        if line.strip():
            self._last.append(line)
        if _STRAY.match(line) and len(self._stray) < _MOST_LINES:
            self._stray.append(line)
        for event in events:
            self.take_event(event)

    def take_event(self, event: OutputEvent) -> None:
        """Take an event that no line belongs to (the end closes a diagnostic)."""
        if isinstance(event, BuildLine):
            self._recent.append(event)
        elif isinstance(event, BuildErrored):
            self._errored.append(event)
            self._before_error = self._before_error or list(self._recent)
        elif isinstance(event, Diagnostic) and len(self.diagnostics) < _MOST_LINES:
            self.diagnostics.append(event)

    def lines(self) -> tuple[str, ...]:
        """Return why the run failed: bounded, printable, most telling first, without repetition."""
        told = [f"{error.build_name}: {error.error}" for error in self._telling_errors()]
        told += map(str, self.diagnostics)
        told += [] if self.diagnostics else self._stray
        told += self._context()
        told += [f"{e.build_name}: {e.error}" for e in self._errored if e.error in _HALTED]
        bounded = [printable(line.strip(), _LINE_CHARS) for line in told or self._last]
        return tuple(dict.fromkeys(bounded))[:_MOST_LINES]

    def _telling_errors(self) -> list[BuildErrored]:
        return [error for error in self._errored if error.error not in _HALTED]

    def _context(self) -> list[str]:
        """Return the last words of the builds that failed, bounded.

        Those that sound like an error first, of these the one nearest to the end; then the last
        ones in their order, since what sounds like an error may be none.
        """
        names = {error.build_name for error in self._errored}
        lines = [
            line
            for line in self._before_error
            if line.build_name.split(" (")[0] in names and not _EPILOGUE.match(line.text)
        ]
        telling = [line for line in lines if _TELLING.search(line.text)]
        # what came on stderr is more likely the reason: there, Packer says "==>"
        said = [line for line in telling if line.said] or telling
        first = said[: -_CONTEXT - 1 : -1]
        last = [line for line in lines[-_CONTEXT:] if line not in first]
        room = _CONTEXT - len(first)
        shown = [*first, *(last[-room:] if room else [])]
        return [f"{line.build_name}: {line.text}" for line in shown]


def hint_for(lines: tuple[str, ...]) -> str:
    """Return what to do about these causes, or an empty text."""
    for pattern, hint in _HINTS:
        if any(re.search(pattern, line) for line in lines):
            return hint
    return ""
