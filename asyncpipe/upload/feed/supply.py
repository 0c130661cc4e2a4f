"""What a feed works with, and what it yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from asyncpipe.model.store import StoreCapabilities
from asyncpipe.model.transfer import Compressed
from asyncpipe.upload.budget import Budget, Lease
from asyncpipe.upload.buffers import Buffer
from asyncpipe.upload.digests import DigestedPart, Inspector
from asyncpipe.upload.parts import PartPlan
from asyncpipe.upload.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledPart:
    """A part whose bytes are in its buffer.

    ``is_whole``: it is all there is, and small enough to be stored by one PutObject.
    """

    digested: DigestedPart
    buffer: Buffer
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What a feed works with."""

    source: Source
    plan: PartPlan
    capabilities: StoreCapabilities
    budget: Budget
    lease: Lease
    inspector: Inspector | None


class Feed(Protocol):
    """Yields the parts of one source in order."""

    @property
    def total_bytes(self) -> int | None:
        """Of all parts, once that is known."""
        ...

    @property
    def compressed(self) -> Compressed | None:
        """What was compressed, once all parts are there; None: nothing is."""
        ...

    async def next_part(self) -> FilledPart | None:
        """Wait for the next part, read and digested; None after the last one."""
        ...

    async def check(self) -> None:
        """Prove that what was read is what is on disk; SourceChangedError."""
        ...

    async def prove(self, digested: DigestedPart) -> None:
        """Read a part's bytes again where that is possible; SourceChangedError."""
        ...

    async def close(self) -> None:
        """Free what a feed that did not come to its end still holds."""
        ...
