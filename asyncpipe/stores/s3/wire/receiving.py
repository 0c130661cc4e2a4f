"""The body of a large answer: from the socket into blocks of memory, past aiohttp's parser.

aiohttp hands a body over piece by piece, each through its parser, its stream and a wake-up. Once
it has parsed the head, the rest of a body of known length needs none of that: the transport fills
our memory, and aiohttp gets its connection back with the last byte. Chunked bodies and short ones
stay with aiohttp.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import aiohttp
import anyio
from aiohttp.client_proto import ResponseHandler

from asyncpipe.stores.s3.wire.memory import Blocks

_WORTH_BYTES: Final = 256 * 1024  # of a shorter body, aiohttp has most already
_BLOCKS_AHEAD: Final = 1  # full ones that nobody has taken; then the socket is not read
_HOLD_S: Final = 0.25  # after that, what has arrived of a block is handed over


def take_over(response: aiohttp.ClientResponse, blocks: Blocks) -> Receiver | None:
    """Take the rest of a body from aiohttp into ``blocks``; None where aiohttp has to read it."""
    connection, length_bytes = response.connection, response.content_length
    if connection is None or length_bytes is None or length_bytes < _WORTH_BYTES:
        return None
    if connection.transport is None or "Transfer-Encoding" in response.headers:
        return None
    assert connection.protocol is not None
    receiver = Receiver(response, connection.protocol, blocks)
    receiver.begin(connection.transport, length_bytes)
    return receiver


class Receiver(asyncio.BufferedProtocol):
    """Fills blocks from a transport until the body is complete; its reader takes views of them."""

    def __init__(
        self, response: aiohttp.ClientResponse, handler: ResponseHandler, blocks: Blocks
    ) -> None:
        self._response = response
        self._handler = handler  # aiohttp's protocol, which hears of the connection's end
        self._transport: asyncio.Transport | None = None
        self._left_bytes = 0  # that have not arrived
        self._ready: deque[memoryview] = deque()
        self._blocks = blocks
        self._block = memoryview(b"")
        self._filled_bytes = 0
        self._given_bytes = 0  # of the block
        self._is_paused = False
        self._error: aiohttp.ClientError | None = None
        self._changed = anyio.Event()

    def begin(self, transport: asyncio.Transport, length_bytes: int) -> None:
        """Take what aiohttp has read ahead, and then the transport's bytes.

        Both go into one block: its reader gets the body in one piece, whose bytes lie in their page
        as they will in the file's. The kernel copies such pieces up to twice as fast.
        """
        content = self._response.content
        ahead = b"".join(iter(content.read_nowait, b""))  # at most a few buffers of aiohttp's
        left_bytes = length_bytes - len(ahead)
        if content.is_eof() or left_bytes <= 0:
            self._ready.append(memoryview(ahead))
            return
        self._left_bytes = length_bytes
        self.get_buffer(0)[: len(ahead)] = ahead
        self._filled_bytes, self._left_bytes = len(ahead), left_bytes
        self._transport = transport
        self._handler.pause_reading()  # ends its timer, which nothing would feed
        transport.set_protocol(self)
        transport.resume_reading()

    async def read(self) -> memoryview:
        """Wait for the next bytes; empty at the end of the body.

        Raises:
            aiohttp.ClientError: the connection ended before the body did, or stays silent.
        """
        silent_since_s, before_bytes = anyio.current_time(), self._left_bytes
        while not self._ready and self._left_bytes and self._error is None:
            self._changed = anyio.Event()
            with anyio.move_on_after(_HOLD_S) as hold:
                await self._changed.wait()
            if hold.cancelled_caught and self._filled_bytes > self._given_bytes:
                break
            if self._left_bytes == before_bytes:
                self._refuse_silence(anyio.current_time() - silent_since_s)
        if self._ready:
            return self._next_ready()
        if self._filled_bytes == self._given_bytes and self._error is not None:
            raise self._error
        return self._rest()

    def _next_ready(self) -> memoryview:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return self._ready.popleft()

    def _rest(self) -> memoryview:
        """What has arrived of a block that is not full."""
        rest = self._block[self._given_bytes : self._filled_bytes]
        self._given_bytes = self._filled_bytes
        return rest

    def _refuse_silence(self, silent_s: float) -> None:
        limit_s = self._handler.read_timeout
        if limit_s is not None and silent_s > limit_s:
            raise aiohttp.SocketTimeoutError("Timeout on reading data from socket")

    # -- what the transport calls --------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go; one byte beyond the body shows what is said too much."""
        del sizehint
        if self._filled_bytes == len(self._block):
            self._block = self._blocks.take()[: self._left_bytes + 1]
            self._filled_bytes = self._given_bytes = 0
        return self._block[self._filled_bytes :]

    def buffer_updated(self, nbytes: int) -> None:
        """Count what has arrived; a full block, and the last byte, wake the reader."""
        body_bytes = min(nbytes, self._left_bytes)
        self._filled_bytes += body_bytes
        self._left_bytes -= body_bytes
        if self._left_bytes and self._filled_bytes < len(self._block):
            return
        self._ready.append(self._rest())
        self._changed.set()
        if self._left_bytes == 0:
            self._block = memoryview(b"")  # whoever has the pieces holds the block
            self._filled_bytes = self._given_bytes = 0
            self._give_back(is_clean=nbytes == body_bytes)
        elif len(self._ready) > _BLOCKS_AHEAD and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _give_back(self, *, is_clean: bool) -> None:
        """Let aiohttp keep the connection for its next request, or close it."""
        assert self._transport is not None
        if not is_clean:
            self._handler.force_close()
        self._transport.set_protocol(self._handler)
        self._response.content.feed_eof()

    def eof_received(self) -> None:
        """Close: nothing can follow; `connection_lost` comes next."""
        self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader, after what arrived before, and aiohttp."""
        why = f": {exc}" if exc else ""
        self._error = aiohttp.ClientPayloadError(f"{self._left_bytes} bytes were missing{why}")
        self._changed.set()
        self._handler.connection_lost(exc)
