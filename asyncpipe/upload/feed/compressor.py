"""A source compressed with zstd while it is read; the same bytes come out every time.

The stream is one frame with a content checksum. Its window is at most 8 MiB, the most that every
decoder must accept (RFC 8878, 3.1.1.1.2). Library, level and job size decide the output; neither
the number of threads nor the pieces do, so an interrupted upload can be continued part by part.
"""

from __future__ import annotations

import os
from typing import Any, Final

import zstandard

from asyncpipe.model.transfer import Zstd

# zstd's window log: 8 MiB, at every level up to 19.
_MOST_WINDOW_LOG: Final = 23
# zstd buffers a few jobs per thread; one of its own choice is up to 32 MiB large.
_JOB_BYTES: Final = 4 * 1024 * 1024
_MOST_THREADS: Final = 4
# Of a compressed stream: longer than its input by this share at most, and by a header.
_EXPANSION: Final = 128
_FRAME_BYTES: Final = 1024
_MAGICS: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
MAGIC_BYTES: Final = max(map(len, _MAGICS))


def compression_of(start: bytes) -> str | None:
    """Return how a file is compressed, by its first bytes; None where it is not."""
    return next((name for magic, name in _MAGICS.items() if start.startswith(magic)), None)


def library() -> str:
    """Return what compresses: the Python package and the C library within it."""
    version = ".".join(map(str, zstandard.ZSTD_VERSION))
    return f"zstandard {zstandard.__version__}, zstd {version}"


def recipe(zstd: Zstd | None) -> str:
    """Return what decides the compressed bytes; empty for bytes that are sent as they are."""
    return f"{zstd}, jobs of {_JOB_BYTES} bytes, {library()}" if zstd is not None else ""


def most_bytes(plain_bytes: int) -> int:
    """Return the largest size that so many bytes can have once they are compressed."""
    return plain_bytes + plain_bytes // _EXPANSION + _FRAME_BYTES


class Compressor:
    """One zstd stream; its methods block and belong into a worker thread."""

    def __init__(self, zstd: Zstd) -> None:
        defaults = zstandard.ZstdCompressionParameters.from_level(zstd.level)
        parameters = zstandard.ZstdCompressionParameters.from_level(
            zstd.level,
            window_log=min(defaults.window_log, _MOST_WINDOW_LOG),
            # at least one: none would compress in a way of its own, and to other bytes
            threads=max(1, min(_MOST_THREADS, os.cpu_count() or 1)),
            job_size=_JOB_BYTES,
            write_checksum=1,
            write_content_size=0,
        )
        context = zstandard.ZstdCompressor(compression_params=parameters)
        self._stream: Any = context.compressobj()

    def feed(self, piece: memoryview) -> bytes:
        """Take the next bytes; returns what is ready, which lags behind."""
        out: bytes = self._stream.compress(piece)
        return out

    def finish(self) -> bytes:
        """Return the rest of the stream."""
        out: bytes = self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)
        self._stream = None
        return out

    def drop(self) -> None:
        """End an unfinished stream.

        Freeing it waits for its threads with the interpreter's lock held: they end before.
        """
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
