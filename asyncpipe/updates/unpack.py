"""Open a packed index as a stream that cannot grow without end."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard
from isal import igzip

from asyncpipe.updates.refused import IndexRefusedError

MAX_UNPACKED_BYTES: Final = 2 * 1024**3  # the largest, Ubuntu's universe, has 75 MB
_BUFFER_BYTES: Final = 256 * 1024


class _Bounded(io.RawIOBase):
    def __init__(self, inner: BinaryIO, limit_bytes: int) -> None:
        self._inner = inner
        self._left_bytes = limit_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise IndexRefusedError("An index is larger than any that a distribution has.")
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def unpacked(
    path: Path, name: str, *, limit_bytes: int = MAX_UNPACKED_BYTES
) -> Iterator[io.BufferedReader]:
    """Read ``path``, packed as the ending of ``name`` says: .xz, .gz, .zst or not at all.

    Raises:
        IndexRefusedError: it is damaged or too large.
    """
    try:
        with path.open("rb") as file:
            inner = _opened(file, name)
            yield io.BufferedReader(_Bounded(inner, limit_bytes), _BUFFER_BYTES)
    except (lzma.LZMAError, zlib.error, igzip.BadGzipFile, EOFError, zstandard.ZstdError) as error:
        raise IndexRefusedError(f"{name} is damaged: {error}.") from error


def _opened(file: BinaryIO, name: str) -> BinaryIO:
    if name.endswith(".xz"):
        return cast("BinaryIO", lzma.LZMAFile(file))
    if name.endswith(".gz"):
        return cast("BinaryIO", igzip.IGzipFile(fileobj=file))  # type: ignore[no-untyped-call]
    if name.endswith(".zst"):
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return cast("BinaryIO", reader)
    return file
