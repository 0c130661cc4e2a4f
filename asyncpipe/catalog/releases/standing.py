"""Whether versions are good: neither revoked nor past their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncpipe.catalog.read import BAD, each, read_version, with_statement_digest
from asyncpipe.catalog.releases.expiry import UNREADABLE, end_of, has_passed, read_end
from asyncpipe.catalog.releases.revocation import revocation_of, revoked_folders
from asyncpipe.errors import ObjectMissingError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.release import Revocation
from asyncpipe.ports import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What speaks against one version."""

    revocation: Revocation | None = None
    expires_utc: str | None = None

    @property
    def is_expired(self) -> bool:
        """Whether its end has passed."""
        return has_passed(self.expires_utc)

    @property
    def is_good(self) -> bool:
        """Whether a name may lead to it."""
        return self.revocation is None and not self.is_expired

    @property
    def problem(self) -> str:
        """``was revoked by ann: bad kernel``; "" for a good version."""
        if self.revocation is not None:
            by = f" by {self.revocation.by}" if self.revocation.by else ""
            return f"was revoked{by}: {self.revocation.reason}"
        if self.expires_utc == UNREADABLE:
            return "has an end that cannot be read"
        return f"expired at {self.expires_utc}" if self.is_expired else ""

    @property
    def hint(self) -> str:
        """How to take it all the same."""
        return f"pull and import take it with --{'revoked' if self.revocation else 'expired'}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """What speaks against the versions of a destination, without the reasons."""

    revoked: frozenset[str] = frozenset()  # folders
    moved: Mapping[str, str | None] = field(default_factory=dict)  # folder -> its end

    def is_revoked(self, entry: CatalogEntry) -> bool:
        """Whether it was taken back."""
        return entry.folder_key in self.revoked

    def expires_utc(self, entry: CatalogEntry) -> str | None:
        """When it ends (RFC 3339), None when it does not."""
        return self.moved.get(entry.folder_key, entry.expires_utc)

    def is_good(self, entry: CatalogEntry) -> bool:
        """Whether a name may lead to it."""
        return not (self.is_revoked(entry) or has_passed(self.expires_utc(entry)))


async def standing_of(store: ObjectStore, entry: CatalogEntry) -> Standing:
    """Look at the marks of one version."""
    return Standing(
        revocation=await revocation_of(store, entry), expires_utc=await end_of(store, entry)
    )


async def standings(store: ObjectStore, short_id: str | None = None) -> Standings:
    """Look at the marks of all versions, of one template or of all."""
    prefix = f"{store_keys.EXPIRY_ROOT}{short_id}/" if short_id else store_keys.EXPIRY_ROOT
    keys = [info.key async for info in store.list(prefix)]
    found = [(named, key) for key in keys if (named := store_keys.parse_mark_key(key))]
    ends = await each((key for _, key in found), lambda key: read_end(store, key))
    return Standings(
        revoked=await revoked_folders(store, short_id),
        moved={
            store_keys.folder_key(*named): end.expires_utc
            for (named, _), end in zip(found, ends, strict=True)
            if end
        },
    )


async def newest_good(
    store: ObjectStore, versions: tuple[CatalogEntry, ...], before: str
) -> CatalogEntry | None:
    """Return the newest of ``versions`` older than ``before`` that is whole and good."""
    older = sorted(
        (one for one in versions if one.timestamp < before),
        key=lambda entry: entry.timestamp,
        reverse=True,
    )
    for entry in older:
        if (await standing_of(store, entry)).is_good:
            try:
                good = await read_version(store, entry.folder_key)
                return await with_statement_digest(store, good)
            except (*BAD, ObjectMissingError):
                continue
    return None
