"""The bytes of an object, with a limit on everything that the server decides: size and time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

import anyio

from asyncpipe.errors import (
    CredentialsExpiredError,
    ObjectTooLargeError,
    TransientStoreError,
    UploadError,
)
from asyncpipe.model.store import StoredBytes
from asyncpipe.ports import Piece
from asyncpipe.retry import repeated
from asyncpipe.stores.s3.answers import object_info
from asyncpipe.stores.s3.calls import FOREIGN, SMALL_CALLS, S3Calls
from asyncpipe.stores.s3.wire.receiving import Receiver, take_over

PROGRESS_BYTES: Final = 1024 * 1024  # that must come, or the end, within
PROGRESS_S: Final = 60.0


async def read_small(calls: S3Calls, key: str, max_bytes: int) -> StoredBytes:
    """Read an object whole; ObjectMissingError; ObjectTooLargeError when above ``max_bytes``."""
    return await repeated(
        lambda: _read_once(calls, key, max_bytes), SMALL_CALLS, unless=CredentialsExpiredError
    )


async def _read_once(calls: S3Calls, key: str, max_bytes: int) -> StoredBytes:
    answer = await calls.call("once", "get_object", key)
    body = bytearray()
    async with answer["Body"] as stream, aclosing(read_pieces(calls, stream, key)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > max_bytes:
                raise ObjectTooLargeError(f"{calls.url_of(key)} has more than {max_bytes} bytes.")
    return StoredBytes(info=object_info(key, answer), body=bytes(body))


async def open_body(calls: S3Calls, key: str, offset_bytes: int, size_bytes: int | None) -> Any:
    """Ask for an object, or a range of it; returns the body, to be entered and read.

    Raises:
        UploadError: the store answers a range with other bytes than were asked for.
    """
    if size_bytes is None and not offset_bytes:
        return (await calls.call("small", "get_object", key))["Body"]
    last = "" if size_bytes is None else offset_bytes + size_bytes - 1
    wanted = f"bytes={offset_bytes}-{last}"
    answer = await calls.call("small", "get_object", key, Range=wanted)
    _require_range(answer, offset_bytes, calls.url_of(key))
    return answer["Body"]


def _require_range(answer: Mapping[str, Any], offset_bytes: int, url: str) -> None:
    """Refuse an answer that does not begin where it was asked to (RFC 9110, 14.4)."""
    said = str(answer.get("ContentRange", ""))
    if not said.startswith(f"bytes {offset_bytes}-"):
        answer["Body"].close()
        raise UploadError(
            f"The store was asked for {url} from byte {offset_bytes} on and sends other bytes.",
            hint="It, or a proxy before it, does not honour Range. Ask its operator.",
        )


async def read_pieces(calls: S3Calls, body: Any, key: str) -> AsyncGenerator[Piece, None]:
    """Read the body of an answer in the pieces in which it arrives, without a copy.

    Only the time spent waiting for the server counts, not what the reader does in between. A single
    wait is bounded by the socket's own limit.

    Raises:
        TransientStoreError: the connection was cut, or brought less than 1 MiB in a minute.
    """
    receiver: Receiver | None = None
    read_bytes, waited_s = 0, 0.0
    while True:
        began_s = anyio.current_time()
        try:
            receiver = receiver or take_over(body, calls.blocks)
            piece = await (_chunk(body) if receiver is None else receiver.read())
        except FOREIGN as error:
            raise calls.translated(error, "get_object", key) from error
        if not piece:
            return
        read_bytes += len(piece)
        waited_s += anyio.current_time() - began_s
        if read_bytes >= PROGRESS_BYTES:
            read_bytes, waited_s = 0, 0.0
        elif waited_s > PROGRESS_S:
            raise TransientStoreError(
                f"{calls.url_of(key)} brought less than {PROGRESS_BYTES} bytes in {PROGRESS_S} s."
            )
        yield piece


async def _chunk(body: Any) -> bytes:
    """Wait for aiohttp's next piece; empty at the end."""
    more = True
    while more:
        piece, more = await body.content.readchunk()
        if piece:
            return bytes(piece)
    return b""
