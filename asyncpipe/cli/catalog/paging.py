"""What ``page`` does, and the published page written again after a change."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from asyncpipe import __version__, metadata
from asyncpipe.catalog import page as pages
from asyncpipe.catalog.keep import keep
from asyncpipe.cli.catalog.said import Said
from asyncpipe.cli.outdated.kept import kept
from asyncpipe.cli.progress import watched
from asyncpipe.errors import DestinationTakenError, UploadError, UsageError
from asyncpipe.model import store_keys
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import folder_of
from asyncpipe.system.files import replace_file
from asyncpipe.text.format import counted, size_text, utc_text

DEFAULT_FILE: Final = "catalogue.html"
_BILLS_AT_ONCE: Final = 8
_TYPE: Final = "text/html; charset=utf-8"


async def page(
    store: ObjectStore, *, output: Path | None, publish: bool, base_url: str | None
) -> Said:
    """Write the page into a file, to stdout, or beside what it shows."""
    if publish and (output or base_url):
        raise UsageError(
            "--publish writes the page beside the images, where its links are relative.",
            hint="Leave out --output and --base-url, or --publish.",
        )
    async with watched(store, "page") as watched_store:
        if publish:
            await store.probe()  # finds out whether the store honours conditions
            overview, size_bytes = await publish_page(watched_store)
            place = store.url_of(store_keys.PAGE_KEY)
        else:
            overview = await pages.gather(watched_store, _outdated(store))
            body = _rendered(overview, store, _base(store, base_url))
            size_bytes = len(body)
            place = str(output or DEFAULT_FILE)
            await anyio.to_thread.run_sync(_write, place, body)
    versions = counted(overview.version_count, "version")
    templates = counted(len(overview.templates), "template")
    return Said(
        text="" if place == "-" else f"{place}: {templates}, {versions}, {size_text(size_bytes)}",
        document={
            "page": place,
            "templates": len(overview.templates),
            "versions": overview.version_count,
            "size_bytes": size_bytes,
        },
        warnings=overview.warnings,
    )


async def publish_page(store: ObjectStore) -> tuple[pages.Overview, int]:
    """Write the page at the destination, with the bills of materials it links to.

    Returns what it shows and its size in bytes; errors as ``catalog.keep``.
    """
    shown: list[pages.Overview] = []

    async def make() -> bytes:
        overview = await pages.gather(store, _outdated(store))
        bills = await _keep_bills(store, overview)
        shown[:] = [overview]
        return _rendered(overview, store, "", bills)

    size_bytes = await keep(store, store_keys.PAGE_KEY, make, content_type=_TYPE)
    return shown[0], size_bytes


async def refresh(store: ObjectStore) -> tuple[str, ...]:
    """Write the page again; a failure is a warning, as the change that it lacks stands."""
    try:
        await publish_page(store)
    except UploadError as error:
        url = store.url_of(store_keys.PAGE_KEY)
        return (f"{url} does not show this yet: {error.message} Run asyncpipe page --publish.",)
    return ()


def _outdated(store: ObjectStore) -> Mapping[str, str]:
    """What versions lack, as far as somebody has asked on this machine."""
    return {folder: text for folder, one in kept(store.url).items() if (text := str(one))}


def _rendered(
    overview: pages.Overview,
    store: ObjectStore,
    base_url: str | None,
    bills: frozenset[str] = frozenset(),
) -> bytes:
    return pages.render(
        overview,
        destination=_destination(store),
        base_url=base_url,
        bills=bills,
        made_utc=utc_text(datetime.now(UTC)),
        version=__version__,
    )


def _destination(store: ObjectStore) -> str:
    """What ``--destination`` takes."""
    is_folder = store.url.startswith("file:")
    return str(folder_of(store.url)) if is_folder else store.url.rstrip("/")


def _base(store: ObjectStore, base_url: str | None) -> str | None:
    """Where a page that lies elsewhere finds the objects; None: nowhere that a browser can go."""
    if base_url is None:
        return store.url if store.url.startswith("file:") else None
    if not base_url.startswith(("https://", "http://")) or not base_url.isprintable():
        raise UsageError(f"{base_url[:200]!r} is no http(s) address.")
    return f"{base_url.rstrip('/')}/"


def _write(place: str, body: bytes) -> None:
    if place == "-":
        sys.stdout.buffer.write(body)
    else:
        replace_file(Path(place), body, mode=0o644, durable=False)


async def _keep_bills(store: ObjectStore, overview: pages.Overview) -> frozenset[str]:
    """Put the bill of materials beside each current version; returns the folders that have one."""
    kept: set[str] = set()
    limiter = anyio.CapacityLimiter(_BILLS_AT_ONCE)

    async def keep(folder_key: str, document: Mapping[str, Any]) -> None:
        key = f"{folder_key}/{store_keys.SBOM_NAME}"
        async with limiter:
            if await store.head(key) is None:
                bill = msgspec.json.encode(metadata.cyclonedx(document))
                with suppress(DestinationTakenError):  # another run was faster: the same bill
                    await store.put(
                        key,
                        msgspec.json.format(bill, indent=1),
                        content_type="application/vnd.cyclonedx+json",
                        create_only=store.capabilities.conditional_put,
                    )
        kept.add(folder_key)

    async with anyio.create_task_group() as tasks:
        for view in overview.templates:
            if view.current and view.metadata and view.metadata["packages"]:
                tasks.start_soon(keep, view.current.folder_key, view.metadata)
    return frozenset(kept)
