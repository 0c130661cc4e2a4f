"""What ``list`` says, and which name a mistyped one may have meant."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog.said import Said, table
from asyncpipe.cli.progress import watched
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.run.selection import did_you_mean
from asyncpipe.text.format import size_text


async def list_versions(store: ObjectStore, *, template: str | None, fresh: bool) -> Said:
    """Every version, newest first, with the names that lead to it."""
    async with watched(store, "list") as watched_store:
        listing = await catalog.list_versions(watched_store, template, fresh=fresh)
    versions = listing.versions
    names, warnings = await catalog.names_of(store, {entry.short_id for entry in versions})
    revoked = await catalog.revoked_folders(store, template)
    inherited = await catalog.revoked_ancestors(store, versions)
    rows = [
        (
            f"{entry.short_id}@{entry.timestamp}",
            size_text(entry.xva.size_bytes),
            entry.os.release or entry.os.version or "",
            entry.os.arch or "",
            ", ".join([*names.get(entry.folder_key, ()), *_marks(entry, revoked, inherited)]),
        )
        for entry in versions
    ]
    document = {
        "versions": [
            {
                **to_builtins(entry),
                "names": names.get(entry.folder_key, []),
                "revoked": entry.folder_key in revoked,
                "revoked_ancestor": inherited.get(entry.folder_key),
            }
            for entry in versions
        ]
    }
    nothing = f"No version of {template} is published" if template else "Nothing is published"
    hint = await meant(store, template) if template and not rows else ""
    return Said(
        text=table(rows) or f"{nothing} at {store.url}. {hint}".rstrip(),
        document=document,
        warnings=(*listing.warnings, *warnings),
    )


async def meant(store: ObjectStore, name: str) -> str:
    """Suggest published templates that are called alike; "" where they cannot be listed."""
    short_id = re.split("[:@]", name, maxsplit=1)[0]
    try:
        known = {entry.short_id for entry in (await catalog.list_versions(store)).versions}
    except AsyncpipeError:
        return ""
    return "" if short_id in known else did_you_mean(short_id, known)


def _marks(entry: CatalogEntry, revoked: frozenset[str], inherited: Mapping[str, str]) -> list[str]:
    if entry.folder_key in revoked:
        return ["REVOKED"]
    ancestor = inherited.get(entry.folder_key)
    return [f"BUILT FROM REVOKED {ancestor}"] if ancestor else []
