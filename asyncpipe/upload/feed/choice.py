"""Whether an upload is compressed, and whether an interrupted one was in the same way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from asyncpipe.model.transfer import Zstd
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.digests import read_exactly
from asyncpipe.upload.feed.compressing import ZstdFeed
from asyncpipe.upload.feed.compressor import MAGIC_BYTES, compression_of, most_bytes, recipe
from asyncpipe.upload.feed.plain import PlainFeed
from asyncpipe.upload.feed.supply import Feed, Supply
from asyncpipe.upload.source import Source

Warn = Callable[[str, str], None]


class Choice:
    """What becomes of a source's bytes on their way."""

    def __init__(self, zstd: Zstd | None, warn: Warn) -> None:
        self._zstd = zstd
        self._warn = warn
        self._said_differs = False

    @property
    def compresses(self) -> bool:
        """Whether other bytes are stored than are read."""
        return self._zstd is not None

    @property
    def recipe(self) -> str:
        """What decides the stored bytes, for a journal; empty: the source alone."""
        return recipe(self._zstd)

    async def look_at(self, source: Source, budget: Budget) -> None:
        """Send a source as it is that is compressed already."""
        if self._zstd is None:
            return
        await source.open()
        there_bytes = await source.available(MAGIC_BYTES)
        start = memoryview(bytearray(min(there_bytes, MAGIC_BYTES)))
        async with budget.threads:
            await source.read(partial(read_exactly, source.descriptor, start, 0), len(start))
        if (found := compression_of(bytes(start))) is not None:
            self._warn(
                "compressed-already",
                f"{source.path.name} is compressed with {found} already and is sent as it is,"
                f" without {self._zstd}.",
            )
            self._zstd = None

    def most_bytes(self, size_bytes: int | None) -> int | None:
        """Return the most that so many bytes become."""
        compressed = self._zstd is not None and size_bytes is not None
        return most_bytes(size_bytes or 0) if compressed else size_bytes

    def feed(self, supply: Supply, *, sha256: bool) -> Feed:
        """Return what yields the parts; ``sha256``: digest what is compressed."""
        if self._zstd is None:
            return PlainFeed(supply)
        return ZstdFeed(supply, self._zstd, sha256=sha256)

    def continues(self, earlier_recipe: str) -> bool:
        """Whether an upload of that recipe may be continued; says why not."""
        if earlier_recipe == self.recipe:
            return True
        self._warn(
            "upload-anew",
            f"The upload starts anew: the interrupted one was {_made(earlier_recipe)}, this one is"
            f" {_made(self.recipe)}.",
        )
        return False

    def differs(self, number: int) -> None:
        """Say once that compressing gave other bytes than before; each part is judged by itself."""
        if self.compresses and not self._said_differs:
            self._said_differs = True
            self._warn(
                "upload-anew",
                f"Part {number} of the interrupted upload has other bytes than are compressed now:"
                " what differs is sent again.",
            )


def _made(with_recipe: str) -> str:
    return f"compressed by {with_recipe}" if with_recipe else "not compressed"
