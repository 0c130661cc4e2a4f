"""A raw disk in chunks: holes are found by SEEK_HOLE and by looking for zeroes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from asyncpipe.errors import UsageError
from asyncpipe.system.memory import aligned_memory
from asyncpipe.xva.read.sequence import CHUNK_BYTES

_SECTOR_BYTES: Final = 512
_ZEROES: Final = bytes(CHUNK_BYTES)


class RawDisk:
    """An open raw disk image or block device.

    Its size is rounded up to whole sectors.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
        self.path = path
        mode = os.fstat(self._descriptor).st_mode
        is_disk = stat.S_ISREG(mode) or stat.S_ISBLK(mode)
        self._size_bytes = os.lseek(self._descriptor, 0, os.SEEK_END) if is_disk else 0
        if not self._size_bytes:
            self.close()
            what = "is empty" if is_disk else "is neither a file nor a block device"
            raise UsageError(f"{path} {what}.", hint="Give a raw disk image.")

    @property
    def virtual_size_bytes(self) -> int:
        """The size in whole sectors."""
        return self._size_bytes + -self._size_bytes % _SECTOR_BYTES

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def chunks(self, *, keep_gaps: bool = True) -> Iterator[tuple[int, memoryview]]:
        """Yield (counter, bytes) of every chunk that must be written; valid until the next one.

        The first and the last chunk always come, other all-zero ones only without ``keep_gaps``.

        Raises:
            UsageError: the file cannot be read, or shrank while it was read.
        """
        whole = aligned_memory(CHUNK_BYTES)
        total_bytes = self.virtual_size_bytes
        last = (total_bytes - 1) // CHUNK_BYTES
        counter = 0
        while counter <= last:
            size_bytes = min(CHUNK_BYTES, total_bytes - counter * CHUNK_BYTES)
            self._fill(whole[:size_bytes], counter * CHUNK_BYTES)
            forced = counter in {0, last} or not keep_gaps
            if forced or not _ZEROES.startswith(whole):  # == would compare a view item by item
                yield counter, whole[:size_bytes]
            counter = self._next_counter(counter + 1, last) if keep_gaps else counter + 1

    def _fill(self, target: memoryview, offset_bytes: int) -> None:
        wanted = min(len(target), self._size_bytes - offset_bytes)
        got = 0
        while got < wanted:
            count = self._read(target[got:wanted], offset_bytes + got)
            if not count:
                raise UsageError(f"{self.path} became shorter while it was read.")
            got += count
        target[wanted:] = bytes(len(target) - wanted)

    def _read(self, target: memoryview, offset_bytes: int) -> int:
        try:
            return os.preadv(self._descriptor, [target], offset_bytes)
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be read at byte {offset_bytes:,}: {error.strerror}."
            ) from error

    def _next_counter(self, counter: int, last: int) -> int:
        """Return the next chunk that may hold data, skipping holes of the file."""
        if counter >= last:
            return counter
        try:
            data_bytes = os.lseek(self._descriptor, counter * CHUNK_BYTES, os.SEEK_DATA)
        except OSError as error:
            return last if error.errno == errno.ENXIO else counter  # ENXIO: holes up to the end
        return min(max(counter, data_bytes // CHUNK_BYTES), last)
