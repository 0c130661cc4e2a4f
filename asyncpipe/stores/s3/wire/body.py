"""The body of one part: the caller's buffer goes straight to the socket.

asyncio's transport copies what a socket does not take at once, so it gets small slices, and each
costs a turn of aiohttp's writer. Over a plain connection the kernel takes what it has room for from
our buffer; only the slice that has to wait for room goes through the transport.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import Payload

SLICE_BYTES = 256 * 1024  # what a socket takes at once stays in the cache; smaller costs calls
_WAITING_BYTES = 64 * 1024  # that the transport holds until the socket has room again
_AT_ONCE_BYTES = 1024 * 1024  # to the kernel; then it is somebody else's turn


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
            if transport is None or transport.get_extra_info("ssl_object") is not None:
                await self._send(writer, end)
            else:
                await self._send_straight(writer, transport, end)
        except BaseException:
            # it may hold a slice of a buffer that is about to be reused, for a server that stalls
            if transport is not None:
                transport.abort()
            raise

    async def _send(self, writer: AbstractStreamWriter, end: int) -> None:
        for start in range(0, end, SLICE_BYTES):
            piece = self._body[start : min(start + SLICE_BYTES, end)]
            await writer.write(piece)
            self._count(piece.nbytes)

    async def _send_straight(
        self, writer: AbstractStreamWriter, transport: asyncio.WriteTransport, end: int
    ) -> None:
        transport.set_write_buffer_limits(high=0)  # a wait is over when nothing waits
        start = 0
        while start < end:
            # the first slice goes with the head of the request
            done_bytes = start and _sent(
                transport, self._body[start : min(start + _AT_ONCE_BYTES, end)]
            )
            if done_bytes:
                await asyncio.sleep(0)
            else:
                piece = self._body[start : min(start + _WAITING_BYTES, end)]
                done_bytes = piece.nbytes
                await writer.write(piece)
                await writer.drain()
            start += done_bytes
            self._count(done_bytes)

    def _count(self, sent_bytes: int) -> None:
        if self._progress:
            self._progress(sent_bytes)


def _sent(transport: asyncio.WriteTransport, piece: memoryview) -> int:
    """Give the kernel what it takes at once; 0 where the transport has to wait, or to complain."""
    if transport.is_closing() or transport.get_write_buffer_size():
        return 0
    try:
        return os.write(transport.get_extra_info("socket").fileno(), piece)
    except OSError:
        return 0
