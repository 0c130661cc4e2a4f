"""Repair what leads readers to versions: ``latest.json``, from what is there and good."""

from __future__ import annotations

from dataclasses import dataclass

from asyncpipe.catalog.index.listing import Listing
from asyncpipe.catalog.index.rebuild import rebuild_index
from asyncpipe.catalog.read import BAD, each, with_statement_digest
from asyncpipe.catalog.releases.channels import channels
from asyncpipe.catalog.releases.standing import Standings, standings
from asyncpipe.catalog.swap import swap, unguarded_warning
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry, decode_pointer, encode_pointer
from asyncpipe.model.documents.fields import NewerSchemaError
from asyncpipe.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What the index lists now, and what was changed beside it."""

    listing: Listing
    changed: tuple[str, ...] = ()  # "latest of debian12 is 20261123T170000Z"
    warnings: tuple[str, ...] = ()


async def repair(store: ObjectStore) -> Repaired:
    """Bring the index in line with the objects, then mend each ``latest.json`` that needs it.

    One that is missing or unreadable, or names a version that is gone, revoked or expired, names
    the newest good version afterwards; for the last three never a newer one than it named. Channels
    are what people chose: a damaged one is reported, not guessed.

    Raises:
        NewerSchemaError: the index is that of a newer asyncpipe.
    """
    listing = await rebuild_index(store, thorough=False)
    marks = await standings(store)
    changed: list[str] = []
    warnings: list[str] = []
    by_template: dict[str, list[CatalogEntry]] = {}
    for entry in listing.versions:
        by_template.setdefault(entry.short_id, []).append(entry)

    async def mend(short_id: str) -> None:
        try:
            mended = await _mend_latest(store, by_template[short_id], marks, warnings)
        except NewerSchemaError as error:
            warnings.append(error.message)
            return
        if mended is not None:
            changed.append(f"latest of {short_id} is {mended.timestamp}")

    await each(sorted(by_template), mend)
    warnings += (await channels(store)).warnings
    return Repaired(
        listing=listing, changed=tuple(sorted(changed)), warnings=tuple(dict.fromkeys(warnings))
    )


async def _mend_latest(
    store: ObjectStore, versions: list[CatalogEntry], marks: Standings, warnings: list[str]
) -> CatalogEntry | None:
    """Returns what ``latest.json`` names, if that was changed."""
    short_id = versions[0].short_id
    key = store_keys.latest_key(short_id)
    there = {entry.timestamp: entry for entry in versions}
    signed: dict[str, CatalogEntry] = {}  # with the digests of their statements
    chosen: list[CatalogEntry] = []
    stuck = False

    def change(body: bytes | None) -> bytes | None:
        nonlocal stuck
        chosen.clear()
        named = _named(body, short_id, store.url_of(key))
        now = there.get(named.timestamp) if named else None
        # a version that was published after the listing may well be newer
        newer = named is not None and named.timestamp > versions[0].timestamp
        if named and (now or newer) and marks.is_good(now or named):
            return None
        allowed = [one for one in versions if named is None or one.timestamp < named.timestamp]
        good = next(filter(marks.is_good, allowed), None)
        stuck = good is None
        if good is None:
            return None
        chosen.append(good)
        ready = signed.get(good.timestamp)
        return encode_pointer(ready) if ready else None

    while True:
        swapped = await swap(store, key, change)
        if not chosen or chosen[0].timestamp in signed:
            break
        signed[chosen[0].timestamp] = await with_statement_digest(store, chosen[0])
    if swapped.written and not swapped.guarded:
        warnings.append(unguarded_warning(store, key))
    if stuck:
        warnings.append(f"{store.url_of(key)} leads nowhere: no older version of it is good.")
    return chosen[0] if swapped.written and chosen else None


def _named(body: bytes | None, short_id: str, url: str) -> CatalogEntry | None:
    if body is None:
        return None
    try:
        return decode_pointer(body, short_id)
    except NewerSchemaError as error:
        raise NewerSchemaError(f"{url} was not changed: {error.message}") from error
    except BAD:
        return None
