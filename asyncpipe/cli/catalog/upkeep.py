"""What ``prune`` and ``index`` (``rebuild``, ``repair``, ``streams``) do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog.said import Document, Said
from asyncpipe.cli.progress import watched
from asyncpipe.errors import UploadError
from asyncpipe.model import store_keys
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import counted, size_text, timestamp_of


async def prune(
    store: ObjectStore,
    *,
    template: str | None,
    keep: int,
    older_than_s: float | None,
    yes: bool,
) -> Said:
    """Show or remove the versions that are no longer kept."""
    bound = _stamp_before(older_than_s) if older_than_s is not None else None
    async with watched(store, "prune") as watched_store:
        pruning = await catalog.plan_pruning(
            watched_store, keep=keep, older_than=bound, short_id=template
        )
    if yes:
        await store.probe()  # finds out whether the store honours compare-and-swap
    warnings = pruning.warnings
    if yes:
        async with watched(store, "prune") as watched_store:
            warnings += await catalog.prune(watched_store, pruning)
    done = "removed" if yes else "would go"
    lines = [
        *(f"{done}: {entry.short_id}@{entry.timestamp}" for entry in pruning.remove),
        *(
            f"stays: {entry.short_id}@{entry.timestamp} ({reason})"
            for entry, reason in pruning.protected
        ),
        f"{counted(len(pruning.remove), 'version')}, {size_text(pruning.freed_bytes)}"
        + ("" if yes else "; nothing was removed: add --yes"),
    ]

    def document() -> Document:
        return {
            "removed" if yes else "would_remove": [to_builtins(e) for e in pruning.remove],
            "protected": [
                {"version": to_builtins(entry), "by": reason} for entry, reason in pruning.protected
            ],
            "freed_bytes": pruning.freed_bytes,
        }

    return Said(text="\n".join(lines), document=document, warnings=warnings)


async def rebuild(store: ObjectStore) -> Said:
    """Rebuild the index from the objects."""
    await store.probe()  # finds out whether the store honours compare-and-swap
    async with watched(store, "index rebuild") as watched_store:
        rebuilt = await catalog.rebuild_index(watched_store)
    return Said(
        text=f"{store.url_of(store_keys.INDEX_KEY)}: {counted(len(rebuilt.versions), 'version')}",
        document={"versions": len(rebuilt.versions)},
        warnings=rebuilt.warnings,
    )


async def repair(store: ObjectStore) -> Said:
    """Bring index and latest in line with what is there and good."""
    await store.probe()
    async with watched(store, "index repair") as watched_store:
        repaired = await catalog.repair(watched_store)
    versions = counted(len(repaired.listing.versions), "version")
    return Said(
        text="\n".join([f"{store.url_of(store_keys.INDEX_KEY)}: {versions}", *repaired.changed]),
        document={"versions": len(repaired.listing.versions), "changed": list(repaired.changed)},
        warnings=(*repaired.listing.warnings, *repaired.warnings),
    )


def _stamp_before(seconds: float) -> str:
    return timestamp_of(datetime.now(UTC) - timedelta(seconds=seconds))


async def streams(store: ObjectStore) -> Said:
    """Write the simplestreams view of everything."""
    await store.probe()
    async with watched(store, "index streams") as watched_store:
        count = await catalog.write_streams(watched_store)
    return Said(
        text=f"{store.url_of(store_keys.STREAMS_KEY)}: {counted(count, 'template')}",
        document={"templates": count},
    )


async def refresh_streams(store: ObjectStore) -> tuple[str, ...]:
    """Write that view again; a failure is a warning, as the change that it lacks stands."""
    try:
        await catalog.write_streams(store)
    except UploadError as error:
        url = store.url_of(store_keys.STREAMS_KEY)
        return (f"{url} does not show this yet: {error.message} Run asyncpipe index streams.",)
    return ()
