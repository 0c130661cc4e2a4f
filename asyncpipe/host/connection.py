"""One HTTP/1.1 exchange with a host over a separate TLS connection.

h11 on anyio rather than aiohttp: an import is answered while its body is still being sent, which
needs both directions in our own task group; and there is one place where certificates are checked.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import h11
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

from asyncpipe.errors import HostError, HostTrustError, HostUnreachableError, HostUntrustedError
from asyncpipe.host.endpoint import Endpoint
from asyncpipe.host.trust import Verifier, fingerprint_of, looking_only, shown
from asyncpipe.text.safe import printable

CONNECT_S: Final = 10.0
_RECEIVE_BYTES: Final = 64 * 1024
_CLOSE_S: Final = 2.0
_BROKEN: Final = (
    OSError,
    ssl.SSLError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer of bounded size; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


class Exchange:
    """Sends one request's head and body, then receives the answer; the two may overlap."""

    def __init__(self, stream: ByteStream, endpoint: Endpoint) -> None:
        self._stream = stream
        self._endpoint = endpoint
        self._http = h11.Connection(h11.CLIENT)

    async def begin(self, method: str, target: str, *, size_bytes: int, content_type: str) -> None:
        """Send the head; ``target`` may hold a session, so that no error shows it."""
        headers = {
            "Host": str(self._endpoint),
            "User-Agent": "asyncpipe",
            "Content-Type": content_type,
            "Content-Length": str(size_bytes),
            "Connection": "close",
        }
        head = h11.Request(method=method, target=target, headers=list(headers.items()))
        await self._send(head)

    async def send(self, data: bytes | bytearray) -> None:
        """Send the next bytes of the body."""
        await self._write(data)

    async def receive(self, *, max_bytes: int) -> Answer:
        """Receive the whole answer.

        Raises:
            HostError: the connection broke, or the answer is larger than ``max_bytes``.
        """
        head: h11.Response | None = None
        body = bytearray()
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif event is not h11.PAUSED and not isinstance(event, h11.InformationalResponse):
                raise self._broken("the connection was closed before the answer was whole")
            if len(body) > max_bytes:
                raise HostError(f"The answer of {self._endpoint} exceeds {max_bytes:,} bytes.")
        assert head is not None
        names = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return Answer(status=head.status_code, headers=names, body=bytes(body))

    async def _next_event(self) -> Any:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                ended = self._http.trailing_data[1]
                why = "it was closed before the whole answer" if ended else f"no HTTP: {error}"
                raise self._broken(why) from error
            if event is not h11.NEED_DATA:
                return event
            try:
                data = await self._stream.receive(_RECEIVE_BYTES)
            except anyio.EndOfStream:
                data = b""
            except _BROKEN as error:
                raise self._broken(_why(error)) from error
            self._http.receive_data(data)

    async def _send(self, event: h11.Request) -> None:
        data = self._http.send(event)
        assert data is not None
        await self._write(data)

    async def _write(self, data: bytes | bytearray) -> None:
        try:
            await self._stream.send(data)  # type: ignore[arg-type]  # ssl takes any buffer
        except _BROKEN as error:
            raise self._broken(_why(error)) from error

    def _broken(self, why: str) -> HostError:
        return HostError(
            f"The connection to {self._endpoint} broke: {printable(why, 200)}.",
            hint="Look whether the host or its toolstack was restarted, and try again.",
        )


@asynccontextmanager
async def connected(endpoint: Endpoint, verifier: Verifier) -> AsyncIterator[Exchange]:
    """Connect and verify; leaving closes the connection.

    Raises:
        HostUnreachableError: nobody answers in time.
        HostTrustError: the certificate is not trusted; nothing was sent.
    """
    stream = await _connect(endpoint, verifier.context)
    try:
        verifier.check(endpoint, _certificate(stream))
        yield Exchange(stream, endpoint)
    finally:
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await anyio.aclose_forcefully(stream)


async def certificate_of(endpoint: Endpoint) -> bytes:
    """The certificate (DER) that a host shows; nothing is sent to it."""
    stream = await _connect(endpoint, looking_only().context)
    try:
        certificate = _certificate(stream)
    finally:
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await anyio.aclose_forcefully(stream)
    if not certificate:
        raise HostTrustError(f"{endpoint} shows no certificate.")
    return certificate


def _certificate(stream: TLSStream) -> bytes | None:
    return stream.extra_attributes[TLSAttribute.peer_certificate_binary]()  # type: ignore[no-any-return]


async def _connect(endpoint: Endpoint, context: ssl.SSLContext) -> TLSStream:
    try:
        with anyio.fail_after(CONNECT_S):
            return await anyio.connect_tcp(
                endpoint.host,
                endpoint.port,
                tls=True,
                ssl_context=context,
                tls_standard_compatible=False,  # XAPI's end of stream is a closed socket
                tls_hostname=endpoint.host,
            )
    except TimeoutError as error:
        raise HostUnreachableError(
            f"{endpoint} gave no answer within {CONNECT_S:g} s.",
            hint="Check the address, the network and the firewall (TCP "
            f"port {endpoint.port}); is the host up?",
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise await _untrusted(endpoint, error) from error
    except _BROKEN as error:
        raise _unreachable(endpoint, error) from error


async def _untrusted(endpoint: Endpoint, error: ssl.SSLCertVerificationError) -> HostUntrustedError:
    try:
        found = (
            f"its SHA-256 fingerprint is {shown(fingerprint_of(await certificate_of(endpoint)))}"
        )
    except HostError:
        found = "its fingerprint could not be read"
    why = printable(error.verify_message or str(error), 150).rstrip(".")
    return HostUntrustedError(
        f"The certificate of {endpoint} is not trusted ({why}); {found}.",
        hint=f"Compare it on the host, then: asyncpipe host trust {endpoint}; or name its "
        "authority: --host-ca FILE (ASYNCPIPE_HOST_CA).",
    )


def _unreachable(endpoint: Endpoint, error: Exception) -> HostError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return HostUnreachableError(
                f"The host name {endpoint.host} is not known.", hint="Check the address."
            )
        if isinstance(cause, ConnectionRefusedError):
            return HostUnreachableError(
                f"Nobody listens at {endpoint.host} port {endpoint.port} (connection refused).",
                hint="Check the address; on the host: xe-toolstack-restart, systemctl status xapi.",
            )
        if isinstance(cause, OSError) and cause.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
            return HostUnreachableError(f"{endpoint} cannot be reached ({cause.strerror}).")
    return HostUnreachableError(
        f"No TLS connection to {endpoint}: {_why(causes[-1])}.",
        hint="XAPI speaks TLS on port 443: check the address and its port.",
    )


def _causes(error: BaseException) -> list[BaseException]:
    found = [error]
    for one in (error.__cause__, *getattr(error, "exceptions", ())):
        if one is not None:
            found += _causes(one)
    return found


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return printable(str(error.reason or "TLS failed"), 150).lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror, 150)
    return {"EndOfStream": "it was closed", "BrokenResourceError": "it was cut"}.get(
        type(error).__name__, printable(str(error) or type(error).__name__, 150)
    )
