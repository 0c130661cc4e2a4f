"""A session with a pool's master: login, calls with a limit each, logout whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.to_thread

from asyncpipe.errors import AsyncpipeError, HostError, HostUnreachableError
from asyncpipe.host.connection import connected
from asyncpipe.host.endpoint import Endpoint, endpoint_of
from asyncpipe.host.refusals import error_of
from asyncpipe.host.trust import Verifier, verifier_of
from asyncpipe.host.xmlrpc import MAX_ANSWER_BYTES, Refusal, decode, encode
from asyncpipe.model.host import HostAccess
from asyncpipe.text.safe import printable

CALL_S: Final = 30.0
LOGIN_S: Final = 30.0
_LOGOUT_S: Final = 5.0
_AT_ONCE: Final = 4  # calls in flight: XAPI serves few at once
_SMALL_BYTES: Final = 256 * 1024  # parsed in the event loop; more in a thread
_HOPS: Final = 3  # a slave, its master, and a master that has just changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A host and how it is verified."""

    endpoint: Endpoint
    verifier: Verifier

    async def call(self, method: str, *arguments: Any, timeout_s: float = CALL_S) -> Any:
        """Make one call; Refusal, HostError."""
        body = await _answer(self, method, encode(method, arguments), timeout_s)
        if len(body) > _SMALL_BYTES:
            return await anyio.to_thread.run_sync(decode, body)
        return decode(body)


class Session:
    """An open session; its reference is as good as the password and never shown."""

    def __init__(self, peer: Peer, reference: str, asked: Endpoint) -> None:
        self.peer = peer
        self.asked = asked
        self.reference = reference
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    @property
    def endpoint(self) -> Endpoint:
        """The master, which answers."""
        return self.peer.endpoint

    async def call(self, method: str, *arguments: Any, timeout_s: float = CALL_S) -> Any:
        """Make one call with the session in front.

        Raises:
            HostError: refused (``code`` has XAPI's), unreachable, or too slow.
        """
        try:
            return await self.attempt(method, *arguments, timeout_s=timeout_s)
        except Refusal as refusal:
            raise error_of(refusal, self.endpoint, method) from None

    async def attempt(self, method: str, *arguments: Any, timeout_s: float = CALL_S) -> Any:
        """As ``call``, for a caller that expects a refusal: raises Refusal as it is."""
        async with self._limiter:
            return await self.peer.call(method, self.reference, *arguments, timeout_s=timeout_s)


@asynccontextmanager
async def logged_in(access: HostAccess) -> AsyncIterator[Session]:
    """Log in, at the master if ``access`` names a slave; log out on the way out.

    Raises:
        HostUnreachableError, HostTrustError, HostAccessDeniedError
    """
    asked = endpoint_of(access.address)
    session = await _login(access, asked)
    try:
        yield session
    finally:
        with anyio.move_on_after(_LOGOUT_S, shield=True):
            with suppress(HostError, Refusal):  # XAPI ends idle sessions itself
                await session.attempt("session.logout", timeout_s=_LOGOUT_S)


async def end_session(access: HostAccess, reference: str) -> None:
    """End a session that somebody else left open; bounded, raises nothing."""
    with anyio.move_on_after(_LOGOUT_S), suppress(AsyncpipeError, Refusal):
        endpoint = endpoint_of(access.address)
        verifier = await anyio.to_thread.run_sync(verifier_of, access.trust, endpoint)
        peer = Peer(endpoint=endpoint, verifier=verifier)
        await peer.call("session.logout", reference, timeout_s=_LOGOUT_S)


async def _login(access: HostAccess, asked: Endpoint) -> Session:
    endpoint = asked
    for _ in range(_HOPS):
        verifier = await anyio.to_thread.run_sync(verifier_of, access.trust, endpoint)
        peer = Peer(endpoint=endpoint, verifier=verifier)
        try:
            reference = await peer.call(
                "session.login_with_password",
                access.username,
                access.password,
                "1.0",
                "asyncpipe",
                timeout_s=LOGIN_S,
            )
        except Refusal as refusal:
            if refusal.code != "HOST_IS_SLAVE" or not refusal.parameters:
                raise error_of(refusal, endpoint, "to log in") from None
            endpoint = endpoint_of(refusal.parameters[0])
            continue
        return Session(peer, str(reference), asked)
    raise HostError(
        f"{asked} and the hosts it names as masters are all slaves.",
        hint="Look at the pool's master: xe pool-list params=master.",
    )


async def _answer(peer: Peer, method: str, body: bytes, timeout_s: float) -> bytes:
    try:
        with anyio.fail_after(timeout_s):
            async with connected(peer.endpoint, peer.verifier) as exchange:
                await exchange.begin("POST", "/", size_bytes=len(body), content_type="text/xml")
                await exchange.send(body)
                answer = await exchange.receive(max_bytes=MAX_ANSWER_BYTES)
    except TimeoutError as error:
        raise HostUnreachableError(
            f"{peer.endpoint} did not answer {method} within {timeout_s:g} s.",
            hint="Look at the host's load, and at /var/log/xensource.log there.",
        ) from error
    if answer.status != 200:
        raise HostError(
            f"{peer.endpoint} answered {method} with HTTP {answer.status}.",
            hint="Check that XAPI listens there: " + printable(str(peer.endpoint), 200),
        )
    return answer.body
