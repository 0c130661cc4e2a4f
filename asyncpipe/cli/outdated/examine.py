"""Published versions -> what each lacks, and why one would build it again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncpipe import catalog
from asyncpipe.cli.outdated.asked import Asked
from asyncpipe.cli.outdated.downloads import opened_indexes
from asyncpipe.cli.outdated.templates import Changes
from asyncpipe.errors import AsyncpipeError, ObjectMissingError, UsageError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.identity import Package
from asyncpipe.ports import ObjectStore
from asyncpipe.settings import Settings
from asyncpipe.system.environment import with_home
from asyncpipe.updates import Distribution, Indexes, Lacking, distribution_of, reasons
from asyncpipe.updates.lacking import installed_of
from asyncpipe.updates.reasons import Kind, Reason


@dataclass(slots=True, kw_only=True)
class Examined:
    """One published version while it is judged."""

    entry: CatalogEntry
    document: Mapping[str, Any]
    reasons: list[Reason] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lacking: Lacking | None = None
    problem: str = ""  # why its packages could not be judged

    @property
    def packages(self) -> tuple[Package, ...]:
        """What is installed in it, as far as the build recorded it."""
        return installed_of(self.document)


def is_outdated(one: Examined) -> bool:
    """Whether there is a reason to build it again."""
    return bool(one.reasons)


async def examine(
    store: ObjectStore,
    asked: Asked,
    settings: Settings,
    root: Path,
    *,
    name: str | None = None,
    among: Collection[str] | None = None,
) -> list[Examined]:
    """Judge the version that ``name`` names, or the latest of every template, or of ``among``.

    An index that cannot be read is a value, ``problem``: the others are still judged.

    Raises:
        UploadError, UsageError: the catalogue cannot be read, or has no such version.
    """
    found = [await _one(store, name)] if name else await _latest(store, among)
    await _compare(found, asked, with_home())
    changes = Changes(settings=settings, root=root)
    now = datetime.now(UTC)
    for one in found:
        if one.lacking is not None:
            one.reasons += reasons.by_packages(one.lacking, security_only=asked.security_only)
            one.notes += one.lacking.notes
        one.reasons += await changes.of(one.document, one.notes)
        one.reasons += reasons.by_age(one.entry.timestamp, now, asked.older_than_s)
        one.notes += reasons.end_of_life_note(one.entry.os.end_of_life, now.date())
    return found


async def _latest(store: ObjectStore, among: Collection[str] | None) -> list[Examined]:
    listing = await catalog.list_versions(store)
    found = []
    for short_id in sorted({entry.short_id for entry in listing.versions}):
        if among is not None and short_id not in among:
            continue
        try:
            found.append(await _one(store, short_id))
        except ObjectMissingError:  # removed meanwhile
            continue
        except UsageError as error:  # every version of it was revoked
            newest = next(one for one in listing.versions if one.short_id == short_id)
            revoked = [Reason(kind=Kind.REVOKED, text=error.message)]
            found.append(Examined(entry=newest, document={}, reasons=revoked))
    return found


async def _one(store: ObjectStore, name: str) -> Examined:
    said: list[str] = []
    entry = await catalog.resolve(store, name, warn=said.append)
    document = await catalog.read_metadata(store, entry)
    if document is None:
        raise ObjectMissingError(f"There is no metadata {store.url_of(entry.metadata_key)}.")
    revoked = [Reason(kind=Kind.REVOKED, text=text) for text in said]
    return Examined(entry=entry, document=document, reasons=revoked)


async def _compare(found: Iterable[Examined], asked: Asked, environment: Mapping[str, str]) -> None:
    """Ask each distribution once, whatever the number of templates that have it."""
    groups: dict[Distribution, list[Examined]] = {}
    for one in found:
        distribution = _distribution(one, asked.mirrors)
        if distribution is not None:
            groups.setdefault(distribution, []).append(one)
    with opened_indexes(environment, asked.keyrings) as indexes:
        for distribution, several in groups.items():
            await _judge(indexes, distribution, several)


async def _judge(indexes: Indexes, distribution: Distribution, several: Sequence[Examined]) -> None:
    try:
        judged = await indexes.lacking(distribution, [one.packages for one in several])
    except AsyncpipeError as error:
        for one in several:
            one.problem = f"{error.message} {error.hint}".strip()
        return
    for one, lacking in zip(several, judged, strict=True):
        one.lacking = lacking


def _distribution(one: Examined, mirrors: Mapping[str, str]) -> Distribution | None:
    """Whose packages a version has; sets its ``problem`` where that is not known."""
    if not one.document:  # all versions are revoked: that is reason enough
        return None
    os, guest = one.document["os"], one.document["guest"]
    if not one.document["packages"]:
        one.problem = "The guest reported no packages when it was built."
        return None
    if guest["packages_cut"]:
        one.notes.append(f"{guest['packages_cut']} more packages were not recorded at the build")
    found = distribution_of(
        os["type"],
        os["version"],
        os["codename"],
        arch=os["arch"] if os["arch"] in {"x86_64", "aarch64"} else "x86_64",
        mirrors=mirrors,
    )
    if found is None:
        one.problem = f"Where {os['type'] or 'this system'} publishes its packages is not known."
    return found
