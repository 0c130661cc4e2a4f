"""The build log: bytes of a build -> a masked file, and lines for those who listen."""

from __future__ import annotations

from asyncpipe.run.log.audience import LINE_LIMIT_CHARS, PARTIAL_WAIT_S
from asyncpipe.run.log.build_log import LIMIT_BYTES, BuildLog, open_log
from asyncpipe.run.log.file import sealed_on_disk

__all__ = [
    "LIMIT_BYTES",
    "LINE_LIMIT_CHARS",
    "PARTIAL_WAIT_S",
    "BuildLog",
    "open_log",
    "sealed_on_disk",
]
