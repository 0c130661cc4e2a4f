"""Versions end: after that they are treated like revoked ones, though nobody moves a pointer.

``build --expires`` writes the end into a version's own metadata. ``asyncpipe expire`` writes a mark
outside the version's folder, which holds instead: an end can be moved, unlike a revocation.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from asyncpipe.catalog.read import BAD
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.errors import ObjectMissingError, ObjectTooLargeError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import End, decode_end, encode_end
from asyncpipe.ports import ObjectStore

_MAX_BYTES: Final = 64 * 1024
UNREADABLE: Final = "1970-01-01T00:00:00Z"  # an end that cannot be read has passed


async def set_end(store: ObjectStore, entry: CatalogEntry, end: End) -> tuple[str, ...]:
    """Give ``entry`` an end, or none any more; returns warnings."""
    key = store_keys.expiry_key(entry.short_id, entry.timestamp)
    wanted = encode_end(end)
    swapped = await swap(store, key, lambda body: None if body == wanted else wanted)
    unguarded = swapped.written and not swapped.guarded
    return (unguarded_warning(store, key),) if unguarded else ()


async def end_of(store: ObjectStore, entry: CatalogEntry) -> str | None:
    """Return when ``entry`` ends (RFC 3339), None when it does not."""
    marked = await read_end(store, store_keys.expiry_key(entry.short_id, entry.timestamp))
    return entry.expires_utc if marked is None else marked.expires_utc


async def read_end(store: ObjectStore, key: str) -> End | None:
    """Read a mark; one that cannot be read says that the version has ended."""
    try:
        return decode_end((await store.get(key, max_bytes=_MAX_BYTES)).body)
    except ObjectMissingError:
        return None
    except (*BAD, ObjectTooLargeError) as error:
        return End(expires_utc=UNREADABLE, by="", reason=error.message[:500], set_utc=UNREADABLE)


def has_passed(end_utc: str | None, now: datetime | None = None) -> bool:
    """Whether an end lies before ``now``; what cannot be compared has passed."""
    if end_utc is None:
        return False
    try:
        return datetime.fromisoformat(end_utc) <= (now or datetime.now(UTC))
    except (ValueError, TypeError):
        return True
