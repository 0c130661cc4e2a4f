"""One pass of a mirror: revocations, versions, then what names them; at the end what goes.

Whatever interrupts it, a reader of the target finds whole versions only: an image and its log come
before ``metadata.json``, and all of that before a pointer or the index. A second pass goes on
where the first one stopped, for it copies only what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import anyio

from asyncpipe.catalog.index.change import change_index
from asyncpipe.catalog.mirror import pointers
from asyncpipe.catalog.mirror.copying import copy_image, copy_small, read_whole
from asyncpipe.catalog.mirror.selection import Objects, Wanted, places_of, selected
from asyncpipe.catalog.mirror.uploads import Way
from asyncpipe.catalog.pruning import remove_folder
from asyncpipe.catalog.read import BAD, read_pointer, with_statement_digest
from asyncpipe.catalog.releases.revocation import revoked_folders
from asyncpipe.errors import ObjectMissingError, flattened
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry

_VERSIONS_AT_ONCE: Final = 4


@dataclass(slots=True, kw_only=True)
class Mirrored:
    """What a pass did."""

    versions: list[str] = field(default_factory=list)  # folders that are whole now
    objects: int = 0
    copied_bytes: int = 0
    pointers: list[str] = field(default_factory=list)
    revocations: int = 0
    removed: list[str] = field(default_factory=list)
    extra: int = 0  # versions at the target that the source does not have
    warnings: list[str] = field(default_factory=list)


async def mirror(
    way: Way,
    wanted: Wanted,
    *,
    prune: bool = False,
    on_version: Callable[[int, int], None] = lambda _done, _total: None,
) -> Mirrored:
    """Make the target hold what the source holds; ``on_version`` gets (done, total).

    Raises:
        UsageError: nothing at the source fits.
        ChecksumError: the source holds other bytes than were published.
        DestinationTakenError: another template fills a place of the target.
        UploadError: a store failed; another pass goes on.
    """
    done = Mirrored()
    here, there = await Objects.of(way.source), await Objects.of(way.target)
    entries = await selected(way.source, here, wanted, done.warnings)
    one = _Pass(way=way, wanted=wanted, here=here, there=there, entries=entries, done=done)
    revoked = await one.copy_revocations()
    for place in places_of(entries):
        await pointers.take_over_place(way.source, way.target, place)
    await one.copy_versions(revoked, on_version)
    revoked = await one.copy_revocations()  # of meanwhile: before anything names them
    added = tuple(entries[folder] for folder in sorted(one.whole))
    done.warnings += await change_index(way.target, add=added)
    await one.copy_history()
    named = await one.point(one.whole - revoked)
    extra = one.extra()
    done.extra = len(extra)
    if prune:
        await one.prune(extra, named)
    return done


@dataclass(slots=True, kw_only=True)
class _Pass:
    way: Way
    wanted: Wanted
    here: Objects
    there: Objects
    entries: Mapping[str, CatalogEntry]  # that travel
    done: Mirrored
    whole: set[str] = field(default_factory=set)  # folders at the target

    async def copy_revocations(self) -> frozenset[str]:
        """Copy all, and all ends, also of versions that do not travel; returns what is revoked."""
        way = self.way
        there = {info.key async for info in way.target.list(store_keys.REVOKED_ROOT)}
        keys = [info.key async for info in way.source.list(store_keys.REVOKED_ROOT)]
        for key in keys:
            if key not in there and store_keys.parse_mark_key(key):
                await copy_small(way, key)
                self.done.revocations += 1
        for key in [info.key async for info in way.source.list(store_keys.EXPIRY_ROOT)]:
            if store_keys.parse_mark_key(key):
                self.done.warnings += await pointers.copy_end(way.source, way.target, key)
        return await revoked_folders(way.target)

    async def copy_versions(
        self, revoked: frozenset[str], on_version: Callable[[int, int], None]
    ) -> None:
        """Copy what the target lacks, but nothing that is revoked."""
        lacking = {folder: self.there.lacks(self.here, folder) for folder in self.entries}
        self.whole |= {folder for folder, keys in lacking.items() if not keys}
        todo = [folder for folder, keys in lacking.items() if keys and folder not in revoked]
        limiter, images = anyio.CapacityLimiter(_VERSIONS_AT_ONCE), anyio.Lock()

        async def copy(folder: str) -> None:
            async with limiter:
                await self._copy(folder, lacking[folder], images)
            on_version(len(self.done.versions), len(todo))

        with flattened():
            async with anyio.create_task_group() as tasks:
                for folder in todo:
                    tasks.start_soon(copy, folder)

    async def _copy(self, folder: str, keys: list[str], images: anyio.Lock) -> None:
        try:
            version = await read_whole(self.way, folder)
            signed = self.entries[folder].provenance
            sums_hex = {**version.sums_hex, **({signed.key: signed.sha256_hex} if signed else {})}
            for key in keys:  # metadata.json is the last one
                if key == version.entry.xva.key:
                    async with images:  # one of many gigabytes at a time
                        self.done.copied_bytes += await copy_image(self.way, version, self._warn)
                else:
                    self.done.copied_bytes += await copy_small(
                        self.way, key, sha256_hex=sums_hex.get(key, "")
                    )
                self.done.objects += 1
        except ObjectMissingError:  # pruned at the source meanwhile
            self._warn(f"{self.way.source.url_of(folder)} went away and was not mirrored")
            return
        except BAD as error:
            self._warn(f"{self.way.source.url_of(folder)} stays here: {error.message}")
            return
        self.whole.add(folder)
        self.done.versions.append(folder)

    async def copy_history(self) -> None:
        """Copy what happened to the channels of the places."""
        places = places_of(self.entries)
        for key in self.here.sizes:
            _, place, *rest = key.split("/")
            if rest[:1] == ["history"] and place in places and key not in self.there.sizes:
                await copy_small(self.way, key)
                self.done.objects += 1

    async def point(self, good: AbstractSet[str]) -> dict[str, CatalogEntry]:
        """Move latest and the channels of each place; returns what each pointer has to name."""
        foreign = frozenset(self.there.versions) - frozenset(self.here.versions)
        named: dict[str, CatalogEntry] = {}
        for place in places_of(self.entries):
            for key in await self._pointer_keys(place):
                entry = await self._named(key, place, good)
                if entry is None:
                    continue
                named[key] = entry
                if entry.folder_key not in good:
                    version = f"{entry.short_id}@{entry.timestamp}"
                    where = self.way.target.url_of(key)
                    self._warn(f"{where} was left: {version} is revoked or did not travel")
                    continue
                moved, warnings = await pointers.point(self.way.target, key, entry, foreign)
                self.done.pointers += [key] if moved else []
                self.done.warnings += warnings
        return named

    async def _named(self, key: str, place: str, good: AbstractSet[str]) -> CatalogEntry | None:
        """What the source's pointer names; as latest the newest that travelled, if need be."""
        entry = await pointers.named_at(self.way.source, key, place, self.done.warnings)
        is_good = entry is not None and entry.folder_key in good
        if is_good or key != store_keys.latest_key(place):
            return entry
        mine = [one for one in self.entries.values() if one.short_id == place]
        found = [one for one in mine if one.folder_key in good]
        newest = max(found, key=lambda one: one.timestamp, default=None)
        return await with_statement_digest(self.way.target, newest) if newest else entry

    async def _pointer_keys(self, place: str) -> list[str]:
        """The channels, and latest, which is moved after them."""
        latest, channel = store_keys.latest_key(place), self.wanted.channel
        if channel is not None:
            return [store_keys.channel_key(place, channel), latest]
        keys = [info.key async for info in self.way.source.list(f"templates/{place}/channels/")]
        return [*filter(store_keys.parse_channel_key, keys), latest]

    def extra(self) -> list[str]:
        """Versions of the target that do not belong there; places not asked for have none."""
        places = set(places_of(self.entries))
        is_all = not self.wanted.systems and self.wanted.channel is None
        return sorted(
            folder
            for folder in self.there.versions
            if folder not in self.entries and (is_all or folder.split("/")[1] in places)
        )

    async def prune(self, extra: list[str], named: Mapping[str, CatalogEntry]) -> None:
        """Remove what does not belong there: pointers first, the index, then the versions."""
        target, kept = self.way.target, set()
        keys = [info.key async for info in target.list("templates/")]
        for key in keys:
            place = store_keys.parse_pointer_key(key)
            try:
                entry = await read_pointer(target, key, place) if place else None
            except BAD as error:  # it may name any version of its place
                self._warn(f"{error.message} Nothing of {place} was removed.")
                kept |= {folder for folder in extra if folder.split("/")[1] == place}
                continue
            if entry is None or entry.folder_key not in extra:
                continue
            if key in named:
                kept.add(entry.folder_key)
                continue
            await target.delete(key)
            self.done.removed.append(key)
        gone = [folder for folder in extra if folder not in kept]
        if gone:
            self.done.warnings += await change_index(target, remove=frozenset(gone))
        for folder in gone:
            await remove_folder(target, folder)
            self.done.removed.append(folder)

    def _warn(self, text: str) -> None:
        self.done.warnings.append(text)
