"""A look at everything that would make a long build fail, in seconds."""

from asyncpipe.preflight.checks import Inspection, run
from asyncpipe.preflight.host import check_hosts
from asyncpipe.preflight.verdict import exit_code_of, failure, render

__all__ = [
    "Inspection",
    "check_hosts",
    "exit_code_of",
    "failure",
    "render",
    "run",
]
