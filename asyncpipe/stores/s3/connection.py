"""Why no answer came from an endpoint -> words, and what to do: names, ports, TLS."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import BadStatusLine
from botocore.exceptions import BotoCoreError

from asyncpipe.text.safe import printable

_ENDPOINT: Final = "AWS_ENDPOINT_URL_S3"
PLAIN_OR_TLS: Final = f"Check {_ENDPOINT}: where the port speaks TLS it begins with https://."
_OTHER_NAME: Final = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_NOT_NOW: Final = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_NO_WAY: Final = {errno.ENETUNREACH, errno.EHOSTUNREACH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """``text`` ends a sentence; ``lasting``: no further attempt would heal it."""

    text: str
    hint: str
    lasting: bool = False


def explained(error: Exception, *, proven: bool) -> Explanation | None:
    """Explain a connection that failed; None when nothing better than its own text is known.

    ``proven``: the endpoint has answered before, so nobody need doubt its scheme.
    """
    endpoint = _endpoint_of(error)
    found = (_explained(cause, endpoint, proven=proven) for cause in _causes(error))
    return next((explanation for explanation in found if explanation), None)


def _explained(cause: BaseException, endpoint: str, *, proven: bool) -> Explanation | None:
    explanation: Explanation | None = None
    match cause:
        case aiohttp.ClientConnectorCertificateError():
            explanation = _certificate(cause.certificate_error, endpoint)
        case aiohttp.ClientConnectorSSLError() if isinstance(cause.os_error, ssl.SSLError):
            explanation = _no_tls(cause.os_error, endpoint)
        case aiohttp.ClientConnectorDNSError():
            text = f"the host name {printable(cause.host, 200)} is not known"
            hint = f"Check {_ENDPOINT}, the region, and this machine's name service."
            explanation = Explanation(text=text, hint=hint)
        case aiohttp.ClientConnectorError():
            explanation = _no_connection(cause, endpoint)
        case BadStatusLine() | aiohttp.ClientResponseError():
            text = f"{endpoint} does not answer with HTTP"
            explanation = Explanation(text=text, hint="" if proven else PLAIN_OR_TLS)
        case aiohttp.ClientOSError() | aiohttp.ServerDisconnectedError():
            doubtful = endpoint.startswith("http://") and not proven
            text = f"the connection to {endpoint} was cut ({_why_cut(cause)})"
            explanation = Explanation(text=text, hint=PLAIN_OR_TLS if doubtful else "")
        case _:
            pass
    return explanation


def _certificate(error: Exception, endpoint: str) -> Explanation:
    why = printable(str(getattr(error, "verify_message", "") or type(error).__name__), 150)
    code = getattr(error, "verify_code", 0)
    if code in _OTHER_NAME:
        text = f"the certificate of {endpoint} is for another name ({why.rstrip('.')})"
        hint = f"Name the endpoint as its certificate does: {_ENDPOINT}."
    elif code in _NOT_NOW:
        text = f"the certificate of {endpoint} is not valid now ({why})"
        hint = "Renew the server's certificate, or set this machine's clock."
    else:
        text = f"the certificate of {endpoint} is not trusted ({why})"
        hint = "Name those to trust: AWS_CA_BUNDLE, or --ca-bundle FILE of build and publish."
    return Explanation(text=text, hint=hint, lasting=True)


def _no_tls(error: ssl.SSLError, endpoint: str) -> Explanation:
    """The handshake failed; what ends in its middle may be a server that just restarts."""
    why = printable(str(error.reason or type(error).__name__), 150).lower().replace("_", " ")
    return Explanation(
        text=f"{endpoint} does not answer with TLS ({why})",
        hint=f"Check {_ENDPOINT}: where the port speaks plain HTTP it begins with http://.",
        lasting=not isinstance(error, ssl.SSLEOFError),
    )


def _no_connection(error: aiohttp.ClientConnectorError, endpoint: str) -> Explanation:
    why = error.os_error
    if why.errno == errno.ECONNREFUSED:
        return Explanation(
            text=f"nobody listens at {endpoint} (connection refused)",
            hint=f"Start the server, or correct {_ENDPOINT}.",
        )
    if why.errno in _NO_WAY:
        return Explanation(
            text=f"{endpoint} cannot be reached ({why.strerror})",
            hint=f"Check the network, and {_ENDPOINT}.",
        )
    return Explanation(
        text=f"no connection to {endpoint} ({printable(why.strerror or str(why), 150)})",
        hint=f"Check {_ENDPOINT}.",
    )


def _why_cut(error: BaseException) -> str:
    why = getattr(error, "strerror", None)
    if why and error.errno is None:  # type: ignore[attr-defined]  # aiohttp's own text, with the URL
        return "while the body was sent"
    return printable(str(why), 150) if why else "no answer"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what botocore and aiohttp wrapped in it, innermost last."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _endpoint_of(error: Exception) -> str:
    """Scheme, host and port: a URL's path and query are nobody's business here."""
    for cause in _causes(error):
        if isinstance(cause, BotoCoreError) and (url := cause.kwargs.get("endpoint_url")):
            parts = urlsplit(str(url))
            return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", 200)
        if isinstance(cause, aiohttp.ClientConnectorError):
            scheme = "https" if cause.ssl else "http"
            return printable(f"{scheme}://{cause.host}:{cause.port}", 200)
        if isinstance(cause, aiohttp.ClientResponseError):
            url = cause.request_info.real_url
            return printable(f"{url.scheme}://{url.host}:{url.port}", 200)
    return "the endpoint"
