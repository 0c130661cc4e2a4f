"""Take a version back: what is revoked is never followed, whatever a pointer says.

The mark is an object of its own outside the version's folder: it is created once, outlives the
version, and readers look at it after they followed a pointer. So it wins every race.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from asyncpipe.catalog.read import BAD
from asyncpipe.catalog.swap import swap
from asyncpipe.errors import DestinationTakenError, ObjectMissingError, ObjectTooLargeError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry, decode_pointer, encode_pointer
from asyncpipe.model.documents.release import (
    Revocation,
    decode_revocation,
    encode_revocation,
    unreadable_revocation,
)
from asyncpipe.ports import ObjectStore

_MAX_BYTES: Final = 64 * 1024


async def revoke(store: ObjectStore, entry: CatalogEntry, revocation: Revocation) -> bool:
    """Mark ``entry`` as revoked; False when it was already, which stays as it is."""
    key = store_keys.revoked_key(entry.short_id, entry.timestamp)
    if await store.head(key) is not None:
        return False
    body = encode_revocation(revocation)
    try:
        await store.put(key, body, content_type="application/json", create_only=True)
    except DestinationTakenError:
        return False
    return True


async def revocation_of(store: ObjectStore, entry: CatalogEntry) -> Revocation | None:
    """Return why ``entry`` was revoked, None when it was not; an unreadable mark counts."""
    key = store_keys.revoked_key(entry.short_id, entry.timestamp)
    try:
        return decode_revocation((await store.get(key, max_bytes=_MAX_BYTES)).body)
    except ObjectMissingError:
        return None
    except (*BAD, ObjectTooLargeError) as error:
        return unreadable_revocation(error.message)


async def revoked_folders(store: ObjectStore, short_id: str | None = None) -> frozenset[str]:
    """Return the folders of all revoked versions, of one template or of all."""
    prefix = f"{store_keys.REVOKED_ROOT}{short_id}/" if short_id else store_keys.REVOKED_ROOT
    found = [store_keys.parse_mark_key(info.key) async for info in store.list(prefix)]
    return frozenset(store_keys.folder_key(*one) for one in found if one)


async def repoint(
    store: ObjectStore, pointers: Mapping[str, str], away_from: CatalogEntry, to: CatalogEntry
) -> list[str]:
    """Let each pointer (key -> name) that names ``away_from`` name ``to``; return those changed.

    Readers do not depend on it: they look at the mark. It serves those who read JSON themselves.
    """
    changed: list[str] = []
    wanted = encode_pointer(to)

    def change(body: bytes | None) -> bytes | None:
        if body is None:
            return None
        try:
            named = decode_pointer(body, away_from.short_id)
        except BAD:
            return None
        return wanted if named.timestamp == away_from.timestamp else None

    for key, name in pointers.items():
        if (await swap(store, key, change)).written:
            changed.append(name)
    return changed
