"""Where the XVA commands read from: a file, a web server, a store; as pieces of bytes."""

from __future__ import annotations

import http.client
import io
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import anyio
import anyio.to_thread

from asyncpipe.cli.xva.show import name_of
from asyncpipe.errors import (
    AccessDeniedError,
    ObjectMissingError,
    TransientStoreError,
    UploadError,
    UsageError,
)
from asyncpipe.ports import Piece
from asyncpipe.system.memory import aligned_memory
from asyncpipe.system.threads import DaemonWorker, abandonable
from asyncpipe.text.safe import printable

_PIECE_BYTES: Final = 8 * 1024 * 1024
_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An open source; every piece is valid until the next one is asked for."""

    name: str  # for people: without the query of a signed URL
    size_bytes: int | None
    pieces: AsyncGenerator[memoryview, None]


class _Reader(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...


@asynccontextmanager
async def open_source(url: str) -> AsyncGenerator[Source, None]:
    """Open a path, ``-`` (stdin), ``http(s)://`` (certificates are checked) or ``s3://bucket/key``.

    Raises:
        UsageError: it cannot be opened.
        UploadError: the server or store refuses; TransientStoreError when it breaks off.
    """
    scheme = urlsplit(url).scheme
    opened = {"http": _open_http, "https": _open_http, "s3": _open_s3}.get(scheme, _open_file)
    async with opened(url) as source:
        yield source


@asynccontextmanager
async def _open_file(path: str) -> AsyncGenerator[Source, None]:
    try:
        file = await anyio.to_thread.run_sync(_open_raw, path)
    except OSError as error:
        raise UsageError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    with file:
        size_bytes = os.fstat(file.fileno()).st_size or None  # 0: a pipe or an empty file
        yield Source(name=printable(path), size_bytes=size_bytes, pieces=_pieces(file))


def _open_raw(path: str) -> io.FileIO:
    return io.FileIO(0, closefd=False) if path == "-" else io.FileIO(path)


async def _pieces(reader: _Reader) -> AsyncGenerator[memoryview, None]:
    buffer = aligned_memory(_PIECE_BYTES)
    worker = DaemonWorker("source")
    while count := await _read(worker, reader, buffer):
        yield buffer[:count]


async def _read(worker: DaemonWorker, reader: _Reader, buffer: memoryview) -> int:
    try:
        # a read that hangs is left behind when the command is cancelled; the buffer dies with it
        count = await worker.run(reader.readinto, buffer)
    except (OSError, http.client.HTTPException) as error:
        raise TransientStoreError(f"The XVA could not be read to its end: {error}.") from error
    return count or 0


@asynccontextmanager
async def _open_http(url: str) -> AsyncGenerator[Source, None]:
    name = name_of(url)
    response = await abandonable(_request, url, name)
    with response:
        length = response.length
        yield Source(name=name, size_bytes=length, pieces=_http_pieces(response, name))


def _request(url: str, name: str) -> http.client.HTTPResponse:
    try:
        response = urlopen(url, timeout=_TIMEOUT_S)  # noqa: S310 - the scheme was checked
    except HTTPError as error:
        with error:
            raise _http_error(error.code, name) from error
    except (URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UploadError(f"{name} cannot be fetched: {printable(str(reason))}.") from error
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _http_error(status: int, name: str) -> UploadError:
    message = f"{name} cannot be fetched: the server answered {status}."
    if status in {401, 403}:
        return AccessDeniedError(message)
    if status in {404, 410}:
        return ObjectMissingError(message)
    return TransientStoreError(message) if status >= 500 else UploadError(message)


async def _http_pieces(
    response: http.client.HTTPResponse, name: str
) -> AsyncGenerator[memoryview, None]:
    async with aclosing(_pieces(response)) as pieces:
        async for piece in pieces:
            yield piece
    if response.length:  # what Content-Length promised and did not come
        raise TransientStoreError(
            f"The download of {name} broke off {response.length:,} bytes before its end.",
            hint="This says nothing about the XVA itself: try again.",
        )


@asynccontextmanager
async def _open_s3(url: str) -> AsyncGenerator[Source, None]:
    from asyncpipe.stores.open import open_store

    folder, _, key = url.rpartition("/")
    if not key or folder in {"s3:", "s3:/"}:
        raise UsageError(f"{printable(url)} names no object.", hint="Use s3://BUCKET/KEY.")
    async with open_store(f"{folder}/", environment=os.environ) as store:
        found = await store.head(key)
        if found is None:
            raise ObjectMissingError(f"There is no {printable(url)}.")
        async with store.stream(key) as stream:
            yield Source(name=url, size_bytes=found.size_bytes, pieces=_views(stream))


async def _views(stream: AsyncIterator[Piece]) -> AsyncGenerator[memoryview, None]:
    async for piece in stream:
        yield memoryview(piece)
