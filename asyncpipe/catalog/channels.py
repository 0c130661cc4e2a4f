"""Channels: pointers that people name and move, ``debian12:stable``; pruning spares them."""

from __future__ import annotations

from dataclasses import dataclass

from asyncpipe.catalog import entries
from asyncpipe.catalog.entries import UnreadableError
from asyncpipe.catalog.swap import read_small, swap, unguarded_warning
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel and the version it names."""

    short_id: str
    name: str
    entry: CatalogEntry


async def channels(store: ObjectStore, short_id: str | None = None) -> tuple[Channel, ...]:
    """Every channel, in the order of keys.

    Raises:
        UnreadableError: one of them cannot be read; nobody may conclude that it names nothing.
    """
    found: list[Channel] = []
    prefix = f"templates/{short_id}/channels/" if short_id else "templates/"
    keys = [info.key async for info in store.list(prefix)]
    for key in keys:
        named = store_keys.parse_channel_key(key)
        body = await read_small(store, key) if named else None
        if named is None or body is None:
            continue
        try:
            entry = entries.decode_pointer(body)
        except UnreadableError as error:
            raise UnreadableError(
                f"{store.url_of(key)} is unreadable: {error.message}",
                hint="Set the channel again, or unset it.",
            ) from error
        found.append(Channel(short_id=named[0], name=named[1], entry=entry))
    return tuple(found)


async def set_channel(store: ObjectStore, name: str, entry: CatalogEntry) -> tuple[str, ...]:
    """Point a channel at a version, forwards or backwards; returns warnings.

    Raises:
        UsageError: no name of a channel.
        ObjectMissingError: the version is gone, or was pruned at this very moment.
    """
    if not store_keys.is_name(name):
        raise UsageError(f"{name!r} cannot name a channel.", hint="Use letters, digits, . _ -")
    key = store_keys.channel_key(entry.short_id, name)
    await _require(store, entry)
    wanted = entries.encode_pointer(entry)
    swapped = await swap(store, key, lambda body: None if body == wanted else wanted)
    await _require(store, entry)  # a prune that began before the channel stood may have won
    unguarded = swapped.written and not swapped.guarded
    return (unguarded_warning(store, key),) if unguarded else ()


async def unset_channel(store: ObjectStore, short_id: str, name: str) -> None:
    """Remove a channel; the version it named stays.

    Raises:
        ObjectMissingError: there is no such channel.
    """
    if not (store_keys.is_name(short_id) and store_keys.is_name(name)):
        raise UsageError(f"{short_id}:{name} is not the name of a channel.")
    key = store_keys.channel_key(short_id, name)
    if await store.head(key) is None:
        raise ObjectMissingError(f"{short_id} has no channel {name} at {store.url}.")
    await store.delete(key)


async def _require(store: ObjectStore, entry: CatalogEntry) -> None:
    if await store.head(entry.metadata_key) is None:
        raise ObjectMissingError(
            f"There is no version {store.url_of(entry.folder_key)}.",
            hint="asyncpipe list --fresh shows what is published.",
        )
