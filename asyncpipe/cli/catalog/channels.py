"""What ``channel set``, ``unset`` and ``list`` do."""

from __future__ import annotations

from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog import releasing
from asyncpipe.cli.catalog.said import Said, table
from asyncpipe.model import store_keys
from asyncpipe.ports import ObjectStore


async def set_channel(store: ObjectStore, *, name: str, version: str) -> Said:
    """Point a channel at a version, by its timestamp or by another name."""
    short_id, channel = releasing.channel_name(name)
    if store_keys.is_timestamp(version):
        reference = f"{short_id}@{version}"
    else:
        reference = short_id if version == "latest" else f"{short_id}:{version}"
    return await releasing.promote(store, template=reference, channel=channel, reason="")


async def unset_channel(store: ObjectStore, *, name: str) -> Said:
    """Remove a channel."""
    await catalog.unset_channel(store, *releasing.channel_name(name))
    return Said(text=f"{name} was removed", document={"unset": name})


async def list_channels(store: ObjectStore, *, template: str | None) -> Said:
    """Every channel and the version it names."""
    found = await catalog.channels(store, template)
    rows = [(f"{one.short_id}:{one.name}", one.entry.timestamp) for one in found.found]
    document = {
        "channels": [
            {"short_id": one.short_id, "name": one.name, "version": to_builtins(one.entry)}
            for one in found.found
        ]
    }
    return Said(
        text=table(rows) or "There are no channels.", document=document, warnings=found.warnings
    )
