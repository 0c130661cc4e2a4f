"""The published page: written anew from what is published, never over a newer one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from asyncpipe.errors import ConflictError, DestinationTakenError
from asyncpipe.model.store_keys import PAGE_KEY
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, RetryPolicy

PAGE_TYPE: Final = "text/html; charset=utf-8"
_RETRY: Final = RetryPolicy(attempts=6, base_s=0.2, cap_s=3.0)


async def keep_page(store: ObjectStore, make: Callable[[], Awaitable[bytes]]) -> int:
    """Write the page at ``PAGE_KEY``; returns its size in bytes.

    ``make`` reads the catalogue after the page's ETag was taken, so a page that another
    publication wrote meanwhile is never replaced by an older look: it is made again.

    Raises:
        ConflictError: others wrote it each time.
        UploadError: the store failed.
    """
    retries = Retries(_RETRY)
    while True:
        present = await store.head(PAGE_KEY)
        body = await make()
        able = store.capabilities
        try:
            await store.put(
                PAGE_KEY,
                body,
                content_type=PAGE_TYPE,
                create_only=present is None and able.conditional_put,
                if_match=present.etag if present and able.compare_and_swap else None,
            )
        except (ConflictError, DestinationTakenError) as error:
            await retries.pause(
                ConflictError(f"{store.url_of(PAGE_KEY)} was changed by others: {error.message}")
            )
            continue
        return len(body)
