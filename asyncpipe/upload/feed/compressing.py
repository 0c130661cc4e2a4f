"""A source compressed on the way, cut into parts afterwards."""

from __future__ import annotations

import hashlib
from collections import deque
from functools import partial
from typing import Final

from asyncpipe.model.store import ChecksumMode
from asyncpipe.model.transfer import Compressed, Zstd
from asyncpipe.system.memory import aligned_memory
from asyncpipe.system.threads import DaemonWorker
from asyncpipe.upload.digests import DigestedPart, digests_of, read_exactly
from asyncpipe.upload.feed.compressor import Compressor, library
from asyncpipe.upload.feed.supply import FilledPart, Supply
from asyncpipe.upload.parts import MIB, Part

_BLOCK_BYTES: Final = 4 * MIB  # read, digested and compressed at once


class ZstdFeed:
    """The source compressed: read block by block, inspected and digested before, cut after.

    A buffer is taken when a whole part is compressed, never while the source grows: other uploads
    could use it meanwhile. Memory besides: one part, a block, and what zstd buffers.
    """

    def __init__(self, supply: Supply, zstd: Zstd, *, sha256: bool) -> None:
        self._supply = supply
        self._zstd = zstd
        self._compressor = Compressor(zstd)
        self._worker = DaemonWorker("zstd")  # a high level takes seconds: a signal cannot wait
        self._sha256 = hashlib.sha256() if sha256 else None
        self._scratch = aligned_memory(_BLOCK_BYTES)
        self._blocks: list[DigestedPart] = []
        self._ready: deque[memoryview] = deque()
        self._ready_bytes = 0
        self._cut = 0  # parts
        self._ended = False

    @property
    def total_bytes(self) -> int | None:
        """Of the compressed stream, once it has ended."""
        done_bytes = self._cut * self._supply.plan.part_size_bytes
        return done_bytes + self._ready_bytes if self._ended else None

    @property
    def compressed(self) -> Compressed | None:
        """What was read and how it was compressed."""
        if not self._ended:
            return None
        return Compressed(
            format="zstd",
            plain_size_bytes=self._blocks[-1].part.end_bytes if self._blocks else 0,
            plain_sha256_hex=self._sha256.hexdigest() if self._sha256 else "",
            level=self._zstd.level,
            compressor=library(),
        )

    async def next_part(self) -> FilledPart | None:
        """Compress until a whole part is ready, or the source has ended."""
        supply = self._supply
        while self._ready_bytes < supply.plan.part_size_bytes and not self._ended:
            await self._compress_block()
        if not self._ready_bytes:
            return None
        at_bytes = self._cut * supply.plan.part_size_bytes
        part = supply.plan.part(self._cut + 1, at_bytes + self._ready_bytes)
        buffer = await supply.lease.take(
            part.size_bytes, may_grow=supply.capabilities.gains_by_parallel_parts
        )
        fill = partial(self._fill, part, buffer.view(part.size_bytes), supply.capabilities.checksum)
        digested = await supply.budget.in_thread(fill)
        self._cut += 1
        return FilledPart(digested=digested, buffer=buffer)

    async def check(self) -> None:
        """Prove that what was compressed is what is on disk."""
        await self._supply.source.check(self._blocks)

    async def prove(self, digested: DigestedPart) -> None:
        """Nothing on disk could be compared with a compressed part; ``check`` compares the rest."""

    async def close(self) -> None:
        """Leave an unfinished stream to its thread: nobody waits for what is compressed there."""
        if not self._ended:
            self._worker.submit(self._compressor.drop)

    async def _compress_block(self) -> None:
        source, number = self._supply.source, len(self._blocks) + 1
        begin_bytes = (number - 1) * _BLOCK_BYTES
        there_bytes = await source.available(begin_bytes + _BLOCK_BYTES)
        size_bytes = max(0, there_bytes - begin_bytes)
        if size_bytes:
            part = Part(number=number, offset_bytes=begin_bytes, size_bytes=size_bytes)
            block = self._scratch[:size_bytes]
            read = partial(_read_block, source.descriptor, part, block)
            async with self._supply.budget.threads:
                self._blocks.append(await source.read(read, size_bytes))
            self._keep(await self._worker.run(self._take, block))
        if size_bytes < _BLOCK_BYTES:
            self._keep(await self._worker.run(self._compressor.finish))
            self._ended = True

    def _take(self, block: memoryview) -> bytes:
        inspector = self._supply.inspector
        if self._sha256 is not None:
            self._sha256.update(block)
        if inspector is not None and not inspector.rejected:
            inspector.feed(block)
        return self._compressor.feed(block)

    def _keep(self, out: bytes) -> None:
        if out:
            self._ready.append(memoryview(out))
            self._ready_bytes += len(out)

    def _fill(self, part: Part, body: memoryview, mode: ChecksumMode) -> DigestedPart:
        at_bytes = 0
        while at_bytes < part.size_bytes:
            piece = self._ready.popleft()
            taken = piece[: part.size_bytes - at_bytes]
            body[at_bytes : at_bytes + len(taken)] = taken
            at_bytes += len(taken)
            if len(taken) < len(piece):
                self._ready.appendleft(piece[len(taken) :])
        self._ready_bytes -= part.size_bytes
        return DigestedPart(part=part, digests=digests_of(mode, body))


def _read_block(descriptor: int, part: Part, block: memoryview) -> DigestedPart:
    read_exactly(descriptor, block, part.offset_bytes)
    return DigestedPart(part=part, digests=digests_of(ChecksumMode.NONE, block))
