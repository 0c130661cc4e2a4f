"""A re-run of a workflow: what an earlier attempt of it published is not built again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asyncpipe import catalog
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.run.origin import run_facts
from asyncpipe.settings import Settings


async def published_earlier(
    settings: Settings, store: ObjectStore, plans: Iterable[BuildPlan]
) -> Mapping[str, CatalogEntry]:
    """Return by unit what an earlier attempt of this workflow run published of ``plans``.

    Empty in a first attempt, outside of GitHub Actions, and with --rebuild. A version counts when
    the catalogue lists it: it is whole then.

    Raises:
        UploadError: the store failed.
    """
    first = settings.environment.get("GITHUB_RUN_ATTEMPT", "1") in {"", "1"}
    if first or settings.rebuild or settings.resume or not settings.on_github:
        return {}
    listing = await catalog.list_versions(store)
    done = {
        (entry.build.unit, entry.variant or ""): entry
        for entry in reversed(listing.versions)  # the newest of a unit wins
        if entry.build.run_url
        and run_facts.is_earlier_attempt(entry.build.run_url, settings.environment)
    }
    keys = {one.unit: (one.unit, one.variant) for one in plans}
    return {unit: done[key] for unit, key in keys.items() if key in done}
