"""aiohttp, loaded without the certificates of this machine's authorities.

aiohttp makes two TLS contexts when it is imported, 30 ms and 2 MiB each, which a plain endpoint
never uses and S3's client replaces by its own.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["aiohttp"]


class _UntilUsed(ssl.SSLContext):
    """Trusts nobody until its first connection, for which it reads whom this machine trusts."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        return _ready(self).wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        return _ready(self).wrap_socket(*args, **options)


def _ready(context: ssl.SSLContext) -> ssl.SSLContext:
    context.__class__ = ssl.SSLContext
    context.set_default_verify_paths()
    return context


def _later(context: ssl.SSLContext) -> None:
    context.__class__ = _UntilUsed


@contextmanager
def _authorities_when_used() -> Iterator[None]:
    """Let contexts made here, by any thread, read the authorities with their first connection."""
    context_class: Any = ssl.SSLContext  # inherits the method: nothing of its own is replaced
    context_class.set_default_verify_paths = _later
    try:
        yield
    finally:
        del context_class.set_default_verify_paths


with _authorities_when_used():
    import aiohttp
