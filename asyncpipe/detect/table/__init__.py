"""The table of operating systems; the first entry whose word occurs wins, so special ones go first.

A new distribution is one entry with examples: see docs/detection.md.
"""

from __future__ import annotations

from typing import Final

from asyncpipe.detect.distribution import Distribution
from asyncpipe.detect.table.debian import DEBIAN_FAMILY
from asyncpipe.detect.table.hypervisors import HYPERVISORS
from asyncpipe.detect.table.independent import INDEPENDENT
from asyncpipe.detect.table.redhat import REDHAT_FAMILY
from asyncpipe.detect.table.suse import SUSE_FAMILY
from asyncpipe.detect.table.unix import UNIX

DISTRIBUTIONS: Final[tuple[Distribution, ...]] = (
    *HYPERVISORS,
    *DEBIAN_FAMILY,
    *REDHAT_FAMILY,
    *SUSE_FAMILY,
    *INDEPENDENT,
    *UNIX,
)
