"""Which names lead to a version: latest and the channels."""

from __future__ import annotations

from collections.abc import Iterable

from asyncpipe.catalog.channels import channels
from asyncpipe.catalog.listing import latest
from asyncpipe.catalog.read import BAD
from asyncpipe.errors import ObjectMissingError
from asyncpipe.ports import ObjectStore


async def names_of(
    store: ObjectStore, short_ids: Iterable[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the names of each folder, and what is wrong with names that were left out."""
    named: dict[str, list[str]] = {}
    warnings: list[str] = []
    for short_id in sorted(short_ids):
        try:
            entry = await latest(store, short_id)
            named.setdefault(entry.folder_key, []).append("latest")
        except ObjectMissingError:
            pass
        except BAD as error:
            warnings.append(error.message)
        found = await channels(store, short_id)
        warnings += found.warnings
        for channel in found.found:
            named.setdefault(channel.entry.folder_key, []).append(channel.name)
    return named, warnings
