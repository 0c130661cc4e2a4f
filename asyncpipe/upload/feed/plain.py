"""A source's own bytes, part by part."""

from __future__ import annotations

from functools import partial
from typing import Final

from asyncpipe.errors import SourceChangedError
from asyncpipe.upload.digests import DigestedPart, PartReader, range_crc64nvme
from asyncpipe.upload.feed.supply import FilledPart, Supply
from asyncpipe.upload.parts import MIB

_SMALL_BYTES: Final = 5 * MIB  # a source of at most this is stored by one PutObject


class PlainFeed:
    """The source's own bytes, read straight into the buffers."""

    compressed = None

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self._reader = PartReader(supply.capabilities.checksum, supply.inspector)
        self._parts: list[DigestedPart] = []
        self._ended = False
        self.total_bytes: int | None = None

    async def next_part(self) -> FilledPart | None:
        """Wait until a whole part is there, or the source has ended."""
        source, size_bytes = self._supply.source, self._supply.plan.part_size_bytes
        number = len(self._parts) + 1
        if self._ended:
            return None
        end_bytes = number * size_bytes
        there_bytes = await source.available(end_bytes)
        self._ended = there_bytes < end_bytes
        if there_bytes <= end_bytes - size_bytes:
            return None
        if self._ended:
            self.total_bytes = there_bytes
        filled = await self._read(number, there_bytes)
        self._parts.append(filled.digested)
        return filled

    async def _read(self, number: int, there_bytes: int) -> FilledPart:
        supply = self._supply
        part = supply.plan.part(number, there_bytes)
        buffer = await supply.lease.take(
            part.size_bytes, may_grow=supply.capabilities.gains_by_parallel_parts
        )
        body, descriptor = buffer.view(part.size_bytes), supply.source.descriptor
        try:
            async with supply.budget.threads:
                digested = await supply.source.read(
                    partial(self._reader.read, descriptor, part, body), part.size_bytes
                )
        except BaseException:
            if supply.source.is_lost:
                supply.lease.lose(buffer)
            raise
        is_whole = number == 1 and self._ended and there_bytes <= _SMALL_BYTES
        return FilledPart(digested=digested, buffer=buffer, is_whole=is_whole)

    async def check(self) -> None:
        """Prove that what was read is what is on disk."""
        await self._supply.source.check(self._parts)

    async def prove(self, digested: DigestedPart) -> None:
        """Read the part again and compare."""
        source, part = self._supply.source, digested.part
        again = partial(range_crc64nvme, source.descriptor, part)
        if await source.read(again, part.size_bytes) != digested.digests.crc64nvme:
            raise SourceChangedError(
                f"bytes {part.offset_bytes} to {part.end_bytes} of the file"
                " were rewritten during its upload",
                hint="start again once nothing writes to it",
            )

    async def close(self) -> None:
        """Nothing is left to free."""
