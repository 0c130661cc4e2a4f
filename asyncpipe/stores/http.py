"""Look at a URL without fetching it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from asyncpipe.model.check import UrlSeen
from asyncpipe.stores.http_client import aiohttp
from asyncpipe.text.safe import printable, without_userinfo

_REDIRECTS: Final = 5
_ASK_BY_GET: Final = frozenset({403, 405, 501})  # mirrors that refuse HEAD


class HttpUrls:
    """HEAD over http(s): certificates checked, proxies of the environment used, all bounded."""

    async def look(self, url: str, *, timeout_s: float = 15.0) -> UrlSeen:
        """Ask for ``url``; every failure is a value."""

        async def ask(session: aiohttp.ClientSession) -> UrlSeen:
            seen = await _ask(session, "HEAD", url)
            return await _ask(session, "GET", url) if seen.status in _ASK_BY_GET else seen

        return await _within(url, timeout_s, ask)


async def _within(
    url: str,
    timeout_s: float,
    ask: Callable[[aiohttp.ClientSession], Awaitable[UrlSeen]],
) -> UrlSeen:
    if url.partition("://")[0].lower() not in {"http", "https"}:
        return _failed("it is neither http nor https")
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
            return await ask(session)
    except TimeoutError:
        return _failed(f"no answer within {timeout_s:g} s")
    except aiohttp.ClientSSLError as error:
        return _failed(f"its certificate is refused: {_text(error)}")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return _failed(_text(error))


async def _ask(session: aiohttp.ClientSession, method: str, url: str) -> UrlSeen:
    # one byte is asked for, and the answer's body is never read
    headers = {"Range": "bytes=0-0"} if method == "GET" else {}
    async with session.request(method, url, headers=headers, max_redirects=_REDIRECTS) as answer:
        whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
        length = answer.headers.get("Content-Length", "") if method == "HEAD" else whole
        size_bytes = int(length) if length.isascii() and length.isdigit() else None
        return UrlSeen(status=answer.status, size_bytes=size_bytes)


def _failed(why: str) -> UrlSeen:
    return UrlSeen(status=0, problem=why)


def _text(error: BaseException) -> str:
    return printable(without_userinfo(str(error)), 300) or type(error).__name__
