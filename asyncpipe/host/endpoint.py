"""Where a host listens: ``name``, ``name:port``, ``[2001:db8::1]:port`` -> host and port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from asyncpipe.errors import UsageError
from asyncpipe.text.safe import printable

HTTPS_PORT: Final = 443  # XAPI listens there, always with TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A host and its port."""

    host: str
    port: int = HTTPS_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"

    @property
    def key(self) -> str:
        """Its name in the file of known hosts: always with the port."""
        return f"{self.host.lower()}:{self.port}"


def endpoint_of(address: str) -> Endpoint:
    """Read an address as a person or ``PKR_VAR_remote_host`` gives it.

    Raises:
        UsageError: it is not an address.
    """
    text = address.strip()
    if "://" in text and not text.startswith("https://"):
        raise _no_address(address)
    if text.count(":") > 1 and "[" not in text and "://" not in text:
        text = f"[{text}]"  # a bare IPv6 address
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        port = parts.port or HTTPS_PORT
    except ValueError:
        raise _no_address(address) from None
    if not parts.hostname or parts.username is not None or parts.path.strip("/") or parts.query:
        raise _no_address(address)
    return Endpoint(host=parts.hostname, port=port)


def _no_address(address: str) -> UsageError:
    return UsageError(
        f"{printable(address.rpartition('@')[2], 200)!r} is not the address of a host.",
        hint="Write NAME or NAME:PORT; user and password have separate settings.",
    )
