"""Lines of Packer -> events, the timeline and the cause of a failure: pure, for 1.6 to 1.16."""

from asyncpipe.packer_output.causes import Causes, hint_for
from asyncpipe.packer_output.lines import (
    BuildErrored,
    BuildLine,
    BuildStarted,
    Cancelled,
    Diagnostic,
    InstanceCreated,
    OutputEvent,
    Parser,
    PhaseEntered,
)
from asyncpipe.packer_output.phases import PhaseTracker, phase_of
from asyncpipe.packer_output.rows import MARKS as LOG_MARKS
from asyncpipe.packer_output.rows import LogRows

__all__ = [
    "LOG_MARKS",
    "BuildErrored",
    "BuildLine",
    "BuildStarted",
    "Cancelled",
    "Causes",
    "Diagnostic",
    "InstanceCreated",
    "LogRows",
    "OutputEvent",
    "Parser",
    "PhaseEntered",
    "PhaseTracker",
    "hint_for",
    "phase_of",
]
