"""structlog, loaded without rich, which takes 25 ms and 5 MiB to load.

It would draw tracebacks with rich; ours are text before they reach it.
"""

from __future__ import annotations

from asyncpipe.system import without

with without("rich"):
    import structlog

__all__ = ["structlog"]
