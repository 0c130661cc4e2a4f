"""The body of one part: the caller's buffer goes to the socket in slices, nothing is copied."""

from __future__ import annotations

import io
from collections.abc import Callable

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import Payload

SLICE_BYTES = 256 * 1024  # what a socket takes at once stays in the cache; smaller costs calls


class PartBody(Payload):
    """An aiohttp payload that botocore takes for a file: ``read``, ``tell``, ``seek``, ``len``.

    botocore asks for the length only, because the checksum is precomputed and the payload is not
    signed; aiohttp then writes slices of the buffer and waits for the socket after each.
    """

    def __init__(self, body: memoryview, progress: Callable[[int], None] | None = None) -> None:
        super().__init__(body, content_type="application/octet-stream")
        self._body = body
        self._size = body.nbytes
        self._position_bytes = 0
        self._progress = progress

    def __len__(self) -> int:
        return self._body.nbytes

    def __bool__(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read as a file would; only error paths and tests of botocore come here."""
        end = len(self) if size is None or size < 0 else self._position_bytes + size
        piece = bytes(self._body[self._position_bytes : end])
        self._position_bytes += len(piece)
        return piece

    def tell(self) -> int:
        """Return the position of ``read``."""
        return self._position_bytes

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position of ``read``."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position_bytes, io.SEEK_END: len(self)}[whence]
        self._position_bytes = base + offset
        return self._position_bytes

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Say what this is; aiohttp asks only when debugging."""
        del encoding, errors
        return f"<part of {len(self)} bytes>"

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the whole buffer."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Send the buffer, or its first ``content_length`` bytes."""
        end = len(self) if content_length is None else min(content_length, len(self))
        # held on to: on cancellation aiohttp forgets a transport that is still flushing
        transport = writer.transport if isinstance(writer, StreamWriter) else None
        try:
            for start in range(0, end, SLICE_BYTES):
                piece = self._body[start : min(start + SLICE_BYTES, end)]
                await writer.write(piece)
                if self._progress:
                    self._progress(piece.nbytes)
        except BaseException:
            # it may hold a slice of a buffer that is about to be reused, for a server that stalls
            if transport is not None:
                transport.abort()
            raise
