"""A document made from the whole catalogue: never replaced by one that was made before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from asyncpipe.errors import ConflictError, DestinationTakenError
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, RetryPolicy

_RETRY: Final = RetryPolicy(attempts=6, base_s=0.2, cap_s=3.0)


async def keep(
    store: ObjectStore, key: str, make: Callable[[], Awaitable[bytes]], *, content_type: str
) -> int:
    """Write what ``make`` returns under ``key``; returns its size in bytes.

    ``make`` reads the catalogue after the ETag of what is there was taken, so that a document that
    another run wrote meanwhile is never replaced by an older look: it is made again.

    Raises:
        ConflictError: others wrote it each time.
        UploadError: the store failed.
    """
    retries = Retries(_RETRY)
    while True:
        present = await store.head(key)
        body = await make()
        able = store.capabilities
        try:
            await store.put(
                key,
                body,
                content_type=content_type,
                create_only=present is None and able.conditional_put,
                if_match=present.etag if present and able.compare_and_swap else None,
            )
        except (ConflictError, DestinationTakenError) as error:
            await retries.pause(
                ConflictError(f"{store.url_of(key)} was changed by others: {error.message}")
            )
            continue
        return len(body)
