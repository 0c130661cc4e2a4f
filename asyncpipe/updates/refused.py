"""Why an index of packages is not believed."""

from __future__ import annotations

from asyncpipe.errors import UsageError


class IndexRefusedError(UsageError):
    """An index is missing, damaged, too old or not signed by its distribution."""
