"""Blocks of memory for bodies, used again as soon as nobody looks at their bytes any more.

Fresh memory costs as much as receiving into it: the kernel clears each page when it is touched.
"""

from __future__ import annotations

import mmap
from typing import Final

from asyncpipe.system.memory import anonymous_memory

# a range of a download, which its reader gets in one piece, and room for a byte too many
BLOCK_BYTES: Final = 16 * 1024 * 1024 + mmap.PAGESIZE
_MOST_IDLE: Final = 6


class Blocks:
    """Hands out blocks; whoever has views of one holds it, and nothing has to be given back.

    A store has one of these as long as it is open: between two ranges nobody may be receiving.
    """

    def __init__(self) -> None:
        self._known: list[mmap.mmap] = []

    def take(self) -> memoryview:
        """Return `BLOCK_BYTES` of memory that nobody else has a view of."""
        for block in self._known:
            if _is_free(block):
                return memoryview(block)
        block = anonymous_memory(BLOCK_BYTES)
        if len(self._known) < _MOST_IDLE:
            self._known.append(block)
        return memoryview(block)


def _is_free(block: mmap.mmap) -> bool:
    """A map of which views exist refuses to be resized; to its own size, nothing happens."""
    try:
        block.resize(BLOCK_BYTES)
    except BufferError:
        return False
    return True
