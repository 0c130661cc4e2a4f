"""Events as lines of a log for people: what is said, and whose line it is."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from asyncpipe.detect.guest import MARK
from asyncpipe.model.events import (
    Event,
    IdentityChanged,
    OutputLines,
    PhaseChanged,
    RunFinished,
    RunStarted,
    RunStopping,
    TemplateFinished,
    TemplateStarted,
    Waiting,
    Warned,
)
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.publication import Outcome, Published, Tally
from asyncpipe.text.format import counted, duration_text, size_text
from asyncpipe.text.safe import clean, place_text
from asyncpipe.text.scan import ONCE, Scanner

OWN = "asyncpipe: "  # marks our own lines among Packer's
_NAME = 0  # of the patterns in ``_looked_at``
_OURS_LIKE = re.compile(rf"^(?=[ ]*+{OWN.strip()})", re.IGNORECASE | re.MULTILINE)


def line_of(event: Event, *, elapsed_s: float, quiet: int, verbose: int) -> str | None:
    """Return what a log shows for this event, without prefix or last newline; None = nothing.

    Args:
        event: what happened.
        elapsed_s: since its template began.
        quiet: 1 leaves Packer's lines out, 2 also phases and beginnings, never warnings or ends.
        verbose: 1 adds the guest's lines of evidence, and what they say while they grow.
    """
    match event:
        case OutputLines():
            return None if quiet else _output(event.text, verbose=verbose)
        case Warned():
            return f"{OWN}warning: {clean(event.message)} [{clean(event.code)}]"
        case TemplateFinished():
            return OWN + clean(ending(event.outcome))
        case RunStopping():
            return f"{OWN}{clean(event.signal)}: stopping, cleaning up ..."
    return None if quiet > 1 else _beginning(event, elapsed_s=elapsed_s, verbose=verbose)


def _output(text: str, *, verbose: int) -> str | None:
    """The lines of a build; looked at one by one only where one may not be shown as it is."""
    found = _looked_at().which(text.encode("utf-8", "surrogatepass"))
    if not found:
        return text
    if found == {_NAME}:  # plain lines need no cleaning
        if not verbose and MARK in text:
            lines = [line for line in text.split("\n") if MARK not in line]
            if not lines:
                return None
            text = "\n".join(lines)
        return _OURS_LIKE.sub(r"\\", text)
    shown = [guests(line) for line in text.split("\n") if verbose or MARK not in line]
    return "\n".join(shown) if shown else None


@cache
def _looked_at() -> Scanner:
    """Find what ``clean`` changes, or what begins as our own lines and those of evidence do."""
    return Scanner([rb"(?i)asyncpipe", rb"[^\x20-\x7e\n]"], [ONCE, ONCE])


def guests(text: str) -> str:
    r"""A line of the build; one that begins as ours do is shown as ``\asyncpipe: ...``."""
    line = clean(text)
    start = line.lstrip()[: 2 * len(OWN)]
    if not start.isascii():  # wide letters and the like read as ours, too
        start = unicodedata.normalize("NFKC", start)
    return f"\\{line}" if start.casefold().startswith(OWN.strip()) else line


def _beginning(event: Event, *, elapsed_s: float, verbose: int) -> str | None:
    match event:
        case RunStarted():
            templates = counted(len(event.units), "template")
            return clean(f"{OWN}run {event.run_id}: {templates} to {place_text(event.destination)}")
        case TemplateStarted():
            return clean(f"{OWN}building {event.template_path} as {system_of(event.identity)}")
        case PhaseChanged():
            return f"{OWN}phase {event.phase} after {duration_text(elapsed_s)}"
        case Waiting():
            limit = duration_text(event.limit_s)
            return clean(f"{OWN}waiting for {event.what}, for up to {limit}")
        case IdentityChanged() if verbose:
            return clean(f"{OWN}the guest says: {system_of(event.identity)}")
    return None


def ending(outcome: Outcome) -> str:
    """One sentence on how a template ended."""
    if isinstance(outcome, Published):
        xva = outcome.publication.xva
        return (
            f"published {size_text(xva.digests.size_bytes)} after "
            f"{duration_text(outcome.duration_s)}: {xva.url}"
        )
    if not outcome.started:
        return outcome.error
    return (
        f"FAILED after {duration_text(outcome.duration_s)} "
        f"(exit code {outcome.exit_code}): {outcome.error}"
    )


def count_text(event: RunFinished) -> str:
    """``5 published, 3 failed in 41s (exit code 4)``."""
    took = duration_text(event.duration_s)
    return f"{Tally.of(event.outcomes)} in {took} (exit code {event.exit_code})"


def system_of(identity: OsIdentity | None) -> str:
    """``debian12 (12.11.0, x86_64, 90 %)`` or ``an unknown system``."""
    if identity is None or identity.short_id is None:
        return "an unknown system"
    known = (identity.release, identity.arch, f"{identity.confidence:.0%} sure")
    return f"{identity.short_id} ({', '.join(word for word in known if word)})"


def unit_of(event: Event) -> str:
    """The template that an event belongs to, "" for the whole run."""
    return getattr(event, "unit", "")
