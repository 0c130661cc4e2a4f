"""Fetch files over http(s): certificates checked, proxies of the environment used, all bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import anyio.to_thread

from asyncpipe.errors import TransientStoreError, UsageError
from asyncpipe.retry import RetryPolicy, repeated
from asyncpipe.stores.http_client import aiohttp
from asyncpipe.text.safe import printable, without_userinfo

_CONNECT_S: Final = 20.0
_SILENCE_S: Final = 60.0  # without a byte
_CHUNK_BYTES: Final = 256 * 1024
_RETRIES: Final = RetryPolicy(attempts=4, base_s=0.5, cap_s=5.0)
Result = TypeVar("Result")

_LATER: Final = frozenset({408, 429, 500, 502, 503, 504})


class DownloadError(UsageError):
    """A file could not be fetched, and ``why``; ``status`` is HTTP's, 0 where there was none."""

    status: int = 0
    why: str = ""


class HttpDownloads:
    """GET over http(s); what a server may do better on a second try is tried again."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """Return the body of a small file.

        Raises:
            DownloadError: the server or the file does not exist, or it is too large.
        """
        return await _tried(partial(_fetch, url, max_bytes), url)

    async def save(
        self, url: str, path: Path, *, max_bytes: int, on_bytes: Callable[[int, int | None], None]
    ) -> None:
        """Write the body to ``path``; ``on_bytes`` is called with the bytes so far and the total.

        Raises:
            DownloadError: the server or the file does not exist, or it is too large.
            OSError: the disk.
        """
        await _tried(partial(_save, url, path, max_bytes, on_bytes), url)


async def _tried(call: Callable[[], Awaitable[Result]], url: str) -> Result:
    try:
        return await repeated(call, _RETRIES)
    except TransientStoreError as error:
        raise _failed(url, error.message) from error


async def _fetch(url: str, max_bytes: int) -> bytes:
    body = bytearray()
    async with _opened(url) as answer:
        async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
            body += piece
            _require_small(len(body), max_bytes, url)
    return bytes(body)


async def _save(
    url: str, path: Path, max_bytes: int, on_bytes: Callable[[int, int | None], None]
) -> None:
    done = 0
    # in threads that a cancellation waits for: no file is opened and lost
    with await anyio.to_thread.run_sync(_created, path) as file:
        async with _opened(url) as answer:
            async for piece in answer.content.iter_chunked(_CHUNK_BYTES):
                done += len(piece)
                _require_small(done, max_bytes, url)
                await anyio.to_thread.run_sync(file.write, piece)
                on_bytes(done, answer.content_length)


def _created(path: Path) -> BinaryIO:
    return path.open("wb")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(url) as answer,
        ):
            if answer.status in _LATER:
                raise TransientStoreError(f"HTTP {answer.status}")
            if answer.status != 200:
                raise _failed(url, f"HTTP {answer.status}", answer.status)
            yield answer
    except aiohttp.ClientSSLError as error:
        raise _failed(url, f"its certificate is refused: {error}") from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise _failed(url, "it is not an http(s) URL") from error
    except TimeoutError as error:
        raise TransientStoreError(f"no byte within {_SILENCE_S:g} s") from error
    except aiohttp.ClientError as error:
        raise TransientStoreError(str(error) or type(error).__name__) from error


def _require_small(size_bytes: int, max_bytes: int, url: str) -> None:
    if size_bytes > max_bytes:
        raise _failed(url, f"it is larger than {max_bytes} bytes")


def _failed(url: str, why: str, status: int = 0) -> DownloadError:
    shown = printable(without_userinfo(why), 300)
    error = DownloadError(
        f"{printable(without_userinfo(url), 300)}: {shown}.",
        hint="Behind a proxy set https_proxy; --mirror names another server.",
    )
    error.status, error.why = status, shown
    return error
