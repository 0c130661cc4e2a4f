"""What names versions: moved last, and only to versions that are whole at the target."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from asyncpipe.catalog.read import BAD, read_pointer
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.errors import DestinationTakenError, ObjectMissingError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import (
    CatalogEntry,
    decode_place,
    decode_pointer,
    encode_pointer,
)
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.ports import ObjectStore

_MAX_PLACE_BYTES: Final = 64 * 1024


async def take_over_place(source: ObjectStore, target: ObjectStore, place: str) -> None:
    """Copy the document that says which template fills a place.

    Raises:
        DestinationTakenError: at the target another template fills it.
    """
    key = store_keys.place_key(place)
    try:
        body = (await source.get(key, max_bytes=_MAX_PLACE_BYTES)).body
        wanted = decode_place(body).template
    except (ObjectMissingError, UnreadableError):
        return

    def change(present: bytes | None) -> bytes | None:
        if present is None:
            return body
        try:
            there = decode_place(present).template
        except UnreadableError:
            return body
        if not there.is_same(wanted):
            raise DestinationTakenError(
                f"{target.url_of(f'templates/{place}')} holds another template: {there}.",
                hint="Mirror to another destination, or leave this place out with --os.",
            )
        return None

    await swap(target, key, change)


async def copy_end(source: ObjectStore, target: ObjectStore, key: str) -> list[str]:
    """Let the end of a version be at the target what it is at the source; returns warnings."""
    try:
        body = (await source.get(key, max_bytes=_MAX_PLACE_BYTES)).body
    except ObjectMissingError:
        return []
    swapped = await swap(target, key, lambda present: None if present == body else body)
    unguarded = swapped.written and not swapped.guarded
    return [unguarded_warning(target, key)] if unguarded else []


async def point(
    target: ObjectStore, key: str, entry: CatalogEntry, foreign: Collection[str]
) -> tuple[bool, list[str]]:
    """Let a pointer name ``entry``; one that names a version of the target's own stays.

    Args:
        target: where.
        key: of ``latest.json`` or a channel.
        entry: whole at the target.
        foreign: folders of versions that the source does not have.

    Returns:
        Whether it was moved, and warnings.
    """
    wanted = encode_pointer(entry)
    warnings: list[str] = []

    def change(present: bytes | None) -> bytes | None:
        warnings.clear()
        if present is None or present == wanted:
            return None if present else wanted
        try:
            there = decode_pointer(present, entry.short_id)
        except UnreadableError:
            return wanted
        if there.folder_key in foreign:
            warnings.append(
                f"{target.url_of(key)} names {there.short_id}@{there.timestamp}, which the source "
                "does not have, and was left"
            )
            return None
        return wanted

    swapped = await swap(target, key, change)
    if swapped.written and not swapped.guarded:
        warnings.append(unguarded_warning(target, key))
    return swapped.written, warnings


async def named_at(
    source: ObjectStore, key: str, place: str, warnings: list[str]
) -> CatalogEntry | None:
    """What a pointer of the source names; None, with a warning, where it cannot be read."""
    try:
        return await read_pointer(source, key, place)
    except BAD as error:
        warnings.append(f"{error.message} It was not mirrored.")
        return None
