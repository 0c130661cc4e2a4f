"""Change a small object that others change too: read, decide, write only if it is still the same.

Where the store honours conditions this is compare-and-swap. Where it does not, what was written is
read back, lost updates are made again, and the caller learns that the store gives no guarantee.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from asyncpipe.errors import (
    ConflictError,
    DestinationTakenError,
    ObjectMissingError,
    ObjectTooLargeError,
    TransientStoreError,
)
from asyncpipe.model.store import StoredBytes
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import Retries, RetryPolicy

MAX_INDEX_BYTES: Final = 64 * 1024 * 1024  # of schema version 1: about 60,000 versions
_RETRY: Final = RetryPolicy(attempts=20, base_s=0.05, cap_s=2.0)

Change = Callable[[bytes | None], bytes | None]  # present body -> new body; None: leave it


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """How a change went; ``before`` is what stood there when it was decided."""

    before: bytes | None
    written: bool
    guarded: bool  # the store refused every write that would have lost another's change


async def swap(store: ObjectStore, key: str, change: Change) -> Swapped:
    """Apply ``change`` to the object under ``key``, again from a fresh read while others win.

    Raises:
        ConflictError: others changed it each time.
        UploadError: the store failed, or ``change`` refused what is there.
    """
    attempted: bytes | None = None
    before: bytes | None = None
    retries = Retries(_RETRY)
    while True:
        stored = await _read(store, key)
        present = stored.body if stored else None
        body = change(present)
        if body is None:
            ours = attempted is not None and present == attempted
            return Swapped(
                before=before if ours else present,
                written=attempted is not None,
                guarded=_guards(store),
            )
        before, attempted = present, body
        try:
            await _write(store, key, body, stored)
            if _guards(store):
                return Swapped(before=before, written=True, guarded=True)
        except (ConflictError, DestinationTakenError, TransientStoreError):
            pass  # somebody else was first, or the answer was lost
        await retries.pause(_contended(store, key))  # then what is there decides


def _contended(store: ObjectStore, key: str) -> ConflictError:
    return ConflictError(
        f"{store.url_of(key)} was changed by others each of {_RETRY.attempts} times.",
        hint="Try again; asyncpipe index rebuild brings the index up to date.",
    )


async def _read(store: ObjectStore, key: str) -> StoredBytes | None:
    """What is there; of an object that is too large only the ETag."""
    try:
        return await store.get(key, max_bytes=MAX_INDEX_BYTES)
    except ObjectMissingError:
        return None
    except ObjectTooLargeError:
        info = await store.head(key)
        return StoredBytes(info=info, body=b"") if info else None


async def _write(store: ObjectStore, key: str, body: bytes, stored: StoredBytes | None) -> None:
    able = store.capabilities
    await store.put(
        key,
        body,
        content_type="application/json",
        create_only=stored is None and able.conditional_put,
        if_match=stored.info.etag if stored and able.compare_and_swap else None,
    )


def _guards(store: ObjectStore) -> bool:
    return store.capabilities.compare_and_swap and store.capabilities.conditional_put


def unguarded_warning(store: ObjectStore, key: str) -> str:
    """Say that the store made no promise about a concurrent writer."""
    return (
        f"{store.url_of(key)} was written without compare-and-swap, which this store does not "
        "offer: a publication at the very same time may have been overlooked"
    )
