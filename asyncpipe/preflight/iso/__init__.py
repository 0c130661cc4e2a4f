"""Whether the ISO of a template is the vendor's current one, by the vendor's own lists."""

from asyncpipe.preflight.iso.edit import update
from asyncpipe.preflight.iso.judge import EXIT_CODES, Checker, IsoResult, IsoState, exit_code_of
from asyncpipe.preflight.iso.medium import Medium, media_of
from asyncpipe.preflight.iso.signed import Fetched, Keys

__all__ = [
    "EXIT_CODES",
    "Checker",
    "Fetched",
    "IsoResult",
    "IsoState",
    "Keys",
    "Medium",
    "exit_code_of",
    "media_of",
    "update",
]
