"""A version's XVA as a stream that survives a store's hiccups."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from asyncpipe.errors import ChecksumError, TransientStoreError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, RetryPolicy

_RETRY: Final = RetryPolicy(attempts=8, base_s=0.2, cap_s=10.0)  # while no byte arrives


async def stream_xva(store: ObjectStore, entry: CatalogEntry) -> AsyncGenerator[bytes]:
    """Yield the XVA of ``entry`` in pieces, going on at the right byte after a failure.

    Raises:
        ChecksumError: it is shorter than what was published.
        UploadError: the store refuses, or stays away.
    """
    retries = Retries(_RETRY)
    done_bytes = 0
    while done_bytes < entry.xva.size_bytes:
        before_bytes = done_bytes
        try:
            async with store.stream(entry.xva.key, offset_bytes=done_bytes) as pieces:
                async for piece in pieces:
                    done_bytes += len(piece)
                    yield piece
        except TransientStoreError as error:
            if done_bytes > before_bytes:
                retries.restart()
            await retries.pause(error)
            continue
        if done_bytes == before_bytes:
            raise ChecksumError(
                f"{store.url_of(entry.xva.key)} ends after {done_bytes:,} of "
                f"{entry.xva.size_bytes:,} bytes."
            )
