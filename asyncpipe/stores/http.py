"""Look at a URL without fetching it, or fetch a small document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import aiohttp

from asyncpipe.model.check import UrlRead, UrlSeen
from asyncpipe.text.safe import printable, without_userinfo

_Answer = TypeVar("_Answer")
_REDIRECTS: Final = 5
_PIECE_BYTES: Final = 64 * 1024
_ASK_BY_GET: Final = frozenset({403, 405, 501})  # mirrors that refuse HEAD


class HttpUrls:
    """HEAD over http(s): certificates checked, proxies of the environment used, all bounded."""

    async def look(self, url: str, *, timeout_s: float = 15.0) -> UrlSeen:
        """Ask for ``url``; every failure is a value."""

        async def ask(session: aiohttp.ClientSession) -> UrlSeen:
            seen = await _ask(session, "HEAD", url)
            return await _ask(session, "GET", url) if seen.status in _ASK_BY_GET else seen

        return await _within(url, timeout_s, ask, lambda why: UrlSeen(status=0, problem=why))

    async def read(self, url: str, *, max_bytes: int, timeout_s: float = 30.0) -> UrlRead:
        """Fetch ``url``, at most ``max_bytes`` of it; every failure is a value."""

        async def ask(session: aiohttp.ClientSession) -> UrlRead:
            async with session.get(url, max_redirects=_REDIRECTS) as answer:
                body = bytearray()
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    body += piece
                    if len(body) > max_bytes:
                        problem = f"it is larger than {max_bytes} bytes"
                        return UrlRead(status=answer.status, problem=problem)
                return UrlRead(status=answer.status, body=bytes(body))

        return await _within(url, timeout_s, ask, lambda why: UrlRead(status=0, problem=why))


async def _within(
    url: str,
    timeout_s: float,
    ask: Callable[[aiohttp.ClientSession], Awaitable[_Answer]],
    failed: Callable[[str], _Answer],
) -> _Answer:
    if url.partition("://")[0].lower() not in {"http", "https"}:
        return failed("it is neither http nor https")
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
            return await ask(session)
    except TimeoutError:
        return failed(f"no answer within {timeout_s:g} s")
    except aiohttp.ClientSSLError as error:
        return failed(f"its certificate is refused: {_text(error)}")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return failed(_text(error))


async def _ask(session: aiohttp.ClientSession, method: str, url: str) -> UrlSeen:
    # one byte is asked for, and the answer's body is never read
    headers = {"Range": "bytes=0-0"} if method == "GET" else {}
    async with session.request(method, url, headers=headers, max_redirects=_REDIRECTS) as answer:
        whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
        length = answer.headers.get("Content-Length", "") if method == "HEAD" else whole
        size_bytes = int(length) if length.isascii() and length.isdigit() else None
        return UrlSeen(status=answer.status, size_bytes=size_bytes)


def _text(error: BaseException) -> str:
    return printable(without_userinfo(str(error)), 300) or type(error).__name__
