"""Channels: pointers that people name and move, ``debian12:stable``; pruning spares them."""

from __future__ import annotations

from dataclasses import dataclass

from asyncpipe.catalog.read import BAD, read_pointer
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.errors import ObjectMissingError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry, encode_pointer
from asyncpipe.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel and the version it names."""

    short_id: str
    name: str
    entry: CatalogEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channels that can be read, and those that cannot: they may name any version."""

    found: tuple[Channel, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()  # (short id, what is wrong with one)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know."""
        return tuple(f"{text} Set the channel again, or unset it." for _, text in self.unreadable)


async def channels(store: ObjectStore, short_id: str | None = None) -> Channels:
    """Every channel, in the order of keys."""
    found: list[Channel] = []
    unreadable: list[tuple[str, str]] = []
    prefix = f"templates/{short_id}/channels/" if short_id else "templates/"
    keys = [info.key async for info in store.list(prefix)]
    for key, named in [(key, store_keys.parse_channel_key(key)) for key in keys]:
        if named is None:
            continue
        try:
            entry = await read_pointer(store, key, named[0])
        except BAD as error:
            unreadable.append((named[0], error.message))
        else:
            found += [Channel(short_id=named[0], name=named[1], entry=entry)] if entry else []
    return Channels(found=tuple(found), unreadable=tuple(unreadable))


async def set_channel(store: ObjectStore, name: str, entry: CatalogEntry) -> tuple[str, ...]:
    """Point a channel at a version, forwards or backwards; returns warnings.

    Raises:
        UsageError: no name of a channel.
        ObjectMissingError: the version is gone, or was pruned at this very moment.
    """
    store_keys.require_name(name)
    key = store_keys.channel_key(entry.short_id, name)
    await _require(store, entry)
    wanted = encode_pointer(entry)
    swapped = await swap(store, key, lambda body: None if body == wanted else wanted)
    await _require(store, entry)  # a prune that began before the channel stood may have won
    unguarded = swapped.written and not swapped.guarded
    return (unguarded_warning(store, key),) if unguarded else ()


async def unset_channel(store: ObjectStore, short_id: str, name: str) -> None:
    """Remove a channel; the version it named stays.

    Raises:
        ObjectMissingError: the channel does not exist.
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
