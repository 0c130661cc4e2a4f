"""The catalogue as simplestreams: ``streams/v1/index.json`` and a file of products per template.

Readers of image servers (``sstream-query``, LXD and Incus) list and fetch from it. The format is
that of simplestreams, "index:1.0" and "products:1.0", in its tree's doc/README.

A template's file has its newest good versions, ``MAX_VERSIONS`` at most, so that a publication
writes one object of bounded size; the index changes when a template appears or goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

import msgspec

from asyncpipe.catalog.index.listing import list_versions
from asyncpipe.catalog.keep import keep
from asyncpipe.catalog.releases.naming import names_of
from asyncpipe.catalog.releases.standing import standings
from asyncpipe.catalog.swap import swap
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore

MAX_VERSIONS: Final = 100
_CONTENT: Final = "com.asyncpipe"
_DATATYPE: Final = "image-downloads"
_ARCHES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


async def write_streams(store: ObjectStore, templates: Iterable[str] | None = None) -> int:
    """Write the products of some templates, or of all, and the index; returns how many are listed.

    Two writers at once: an older look never replaces a newer one, as with the page.

    Raises:
        UploadError: the store failed.
    """
    some = None if templates is None else frozenset(templates)
    if some is None:
        names = {entry.short_id for entry in (await list_versions(store)).versions}
    else:
        names = set(some)
    listed = frozenset([name for name in sorted(names) if await _write_products(store, name)])
    await _list(store, listed, some)
    return len(listed)


async def _write_products(store: ObjectStore, short_id: str) -> bool:
    """Write the products of one template; False when none of its versions is good."""
    good: list[CatalogEntry] = []

    async def make() -> bytes:
        listing = await list_versions(store, short_id)
        marks = await standings(store, short_id)
        good[:] = list(filter(marks.is_good, listing.versions))[:MAX_VERSIONS]
        names, _ = await names_of(store, [short_id])
        return _encode(products(short_id, good, names))

    await keep(store, store_keys.products_key(short_id), make, content_type="application/json")
    return bool(good)


def products(
    short_id: str, entries: Sequence[CatalogEntry], names: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Return the products of one template; a channel is an alias of it and a label of versions."""
    found: dict[str, Any] = {}
    for entry in entries:
        arch = _ARCHES.get(entry.os.arch or "", entry.os.arch or "")
        name = f"{_CONTENT}:{short_id}:{arch or 'unknown'}"
        product = found.setdefault(name, _product(entry, arch))
        product["versions"][entry.timestamp] = {
            "items": {"disk.xva": _item(entry)},
            "label": ",".join(names.get(entry.folder_key, [])) or "release",
            "pubname": f"{short_id}-{entry.timestamp}",
        }
    return {
        "content_id": _content_id(short_id),
        "datatype": _DATATYPE,
        "format": "products:1.0",
        "products": found,
    }


def _product(entry: CatalogEntry, arch: str) -> dict[str, Any]:
    return {
        "aliases": entry.short_id,
        "arch": arch,
        "os": entry.os.type or "",
        "release": entry.os.version or "",
        "release_title": entry.os.pretty_name or entry.os.release or "",
        "support_eol": entry.os.end_of_life or "",
        "variant": entry.variant or "default",
        "versions": {},
    }


def _item(entry: CatalogEntry) -> dict[str, Any]:
    item = {"ftype": "disk.xva", "path": entry.xva.key, "size": entry.xva.size_bytes}
    return item | ({"sha256": entry.xva.sha256_hex} if entry.xva.sha256_hex else {})


async def _list(
    store: ObjectStore, templates: frozenset[str], looked_at: frozenset[str] | None
) -> None:
    """Let the index list ``templates``; of those that were not looked at, what it lists stays."""

    def change(body: bytes | None) -> bytes | None:
        present = _listed(body)
        kept = present - looked_at if looked_at is not None else frozenset()
        wanted = kept | templates
        return None if wanted == present and body is not None else _encode(_index(wanted))

    await swap(store, store_keys.STREAMS_KEY, change)


def _index(templates: frozenset[str]) -> dict[str, Any]:
    return {
        "format": "index:1.0",
        "index": {
            _content_id(name): {
                "datatype": _DATATYPE,
                "format": "products:1.0",
                "path": store_keys.products_key(name),
            }
            for name in sorted(templates)
        },
    }


def _listed(body: bytes | None) -> frozenset[str]:
    """The templates that an index lists; one that cannot be read lists none."""
    try:
        contents = msgspec.json.decode(body or b"", type=dict[str, Any])["index"]
        prefix = f"{_CONTENT}:"
        names = {name.removeprefix(prefix) for name in contents if name.startswith(prefix)}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return frozenset()
    return frozenset(filter(store_keys.is_name, names))


def _content_id(short_id: str) -> str:
    return f"{_CONTENT}:{short_id}"


def _encode(document: dict[str, Any]) -> bytes:
    stamped = {"updated": format_datetime(datetime.now(UTC)), **document}
    return msgspec.json.format(msgspec.json.encode(stamped, order="sorted"), indent=1) + b"\n"
