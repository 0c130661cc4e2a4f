"""HTTP below botocore: one attempt per call, no redirects, bounded answers, a short Expect.

aiohttp follows ten redirects to any host, reads answers of any size into memory, and waits for
``100 Continue`` as long as the server likes. A store's answer is foreign text: none of that is
for it to decide.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import Connection

CONTINUE_S: Final = 1.0  # RFC 9110, 10.1.1: a client must not wait indefinitely
LONG_S: Final = 15 * 60.0  # that a store may put parts together; the caller's limit is shorter
ANSWER_BYTES: Final = 16 * 1024 * 1024  # a page of 1,000 keys of 1,024 escaped bytes has about 7
ERROR_BYTES: Final = 256 * 1024


class AnswerTooLargeError(aiohttp.ClientPayloadError):
    """An answer that is held in memory has more bytes than any honest one."""


class ImpatientRequest(ClientRequest):
    """Sends its body after a second, whether or not the server said ``100 Continue``."""

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """Write the body; the server may still answer before it is sent whole."""
        waiting = self._continue
        if waiting is not None:

            def go_on() -> None:
                if not waiting.done():
                    waiting.set_result(False)

            timer = self.loop.call_later(CONTINUE_S, go_on)
            waiting.add_done_callback(lambda _: timer.cancel())
        await super().write_bytes(writer, conn, content_length)


class BoundedResponse(ClientResponse):
    """Answers that are read whole are read up to a limit; an error's text beyond it is dropped."""

    async def read(self) -> bytes:
        """Read the whole body.

        Raises:
            AnswerTooLargeError: a successful answer has more than 16 MiB.
        """
        if self._body is None:
            try:
                self._body = await self._bounded()
            except BaseException:
                self.close()
                raise
            await self._wait_released()  # a part's buffer is in use until it was written
        return self._body

    async def _bounded(self) -> bytes:
        is_error = self.status >= 300
        limit_bytes = ERROR_BYTES if is_error else ANSWER_BYTES
        body = bytearray()
        while piece := await self.content.readany():
            body += piece
            if len(body) > limit_bytes:
                self.close()
                if is_error:
                    return b""  # the status says enough
                raise AnswerTooLargeError(f"the answer has more than {limit_bytes} bytes")
        return bytes(body)


class OneAttemptSession(AIOHTTPSession):
    """An HTTP session without aiohttp's own silent second attempt at a PUT that was cut.

    A repeated create-only PUT would be refused because of its first half, and a part's attempts
    are counted by the upload engine.
    """

    # of AIOHTTPSession; its stubs leave them out
    _sessions: dict[str | None, aiohttp.ClientSession]
    _timeout: aiohttp.ClientTimeout
    _exit_stack: AsyncExitStack

    def _get_ssl_context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = super()._get_ssl_context()  # type: ignore[misc]  # not in the stubs
        context.check_hostname = True  # botocore leaves it to urllib3, and aiohttp to the context
        return context

    def _setup_proxy_ssl_context(self, proxy_url: str) -> ssl.SSLContext:
        """Return a context always: without one, aiobotocore checks nothing behind a proxy."""
        context: ssl.SSLContext | None = super()._setup_proxy_ssl_context(proxy_url)  # type: ignore[misc]  # not in the stubs
        return context or self._get_ssl_context()

    async def _get_session(self, proxy_url: str | None) -> _Requests:
        session = self._sessions.get(proxy_url)
        if session is None:
            connector: aiohttp.TCPConnector = super()._create_connector(proxy_url)  # type: ignore[misc]  # not in the stubs
            session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                skip_auto_headers={"CONTENT-TYPE"},
                auto_decompress=False,
                request_class=ImpatientRequest,
                response_class=BoundedResponse,
            )
            session._retry_connection = False  # noqa: SLF001 - aiohttp has no public switch
            self._sessions[proxy_url] = await self._exit_stack.enter_async_context(session)
        return _Requests(session, self._timeout.sock_connect)


class _Requests:
    """What aiobotocore asks a session for, with redirects handed back as what they are."""

    def __init__(self, session: aiohttp.ClientSession, connect_timeout_s: float | None) -> None:
        self._session = session
        self._patient = aiohttp.ClientTimeout(sock_connect=connect_timeout_s, sock_read=LONG_S)

    async def request(self, method: str, **arguments: Any) -> aiohttp.ClientResponse:
        if _takes_long(method, arguments["url"], arguments["headers"]):
            arguments["timeout"] = self._patient
        return await self._session.request(method, allow_redirects=False, **arguments)


def _takes_long(method: str, url: Any, headers: Mapping[str, str]) -> bool:
    """Whether the store is silent while it works: CompleteMultipartUpload, UploadPartCopy."""
    return (method == "POST" and "uploadId" in url.query) or "x-amz-copy-source" in headers
