"""A version's XVA as a stream that survives a store's hiccups."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from asyncpipe.errors import ChecksumError, TransientStoreError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, RetryPolicy

_RETRY: Final = RetryPolicy(attempts=8, base_s=0.2, cap_s=10.0)  # while no byte arrives


async def stream_xva(
    store: ObjectStore, entry: CatalogEntry, *, offset_bytes: int = 0
) -> AsyncGenerator[bytes]:
    """Yield the XVA of ``entry`` from ``offset_bytes`` on, and resume after a failure.

    Raises:
        ChecksumError: it is shorter or longer than what was published.
        UploadError: the store refuses, or cannot be reached.
    """
    retries = Retries(_RETRY)
    done_bytes, size_bytes = offset_bytes, entry.xva.size_bytes
    while done_bytes < size_bytes:
        before_bytes = done_bytes
        try:
            async with store.stream(entry.xva.key, offset_bytes=done_bytes) as pieces:
                async for piece in pieces:
                    done_bytes += len(piece)
                    if done_bytes > size_bytes:
                        raise ChecksumError(
                            f"The object {entry.xva.key} is larger than the {size_bytes:,} bytes"
                            " published."
                        )
                    yield piece
        except TransientStoreError as error:
            if done_bytes > before_bytes:
                retries.restart()
            await retries.pause(error)
            continue
        if done_bytes == before_bytes:
            raise ChecksumError(
                f"{store.url_of(entry.xva.key)} ends after {done_bytes:,} of {size_bytes:,} bytes."
            )
