"""Which packages of a published system lack updates, by its distribution's own current indexes."""

from asyncpipe.updates.distributions import Distribution, distribution_of
from asyncpipe.updates.indexes import Indexes
from asyncpipe.updates.lacking import Lack, Lacking
from asyncpipe.updates.refused import IndexRefusedError
from asyncpipe.updates.stored import IndexCache

__all__ = [
    "Distribution",
    "IndexCache",
    "IndexRefusedError",
    "Indexes",
    "Lack",
    "Lacking",
    "distribution_of",
]
