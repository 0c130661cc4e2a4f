"""Catalogue entries <-> the JSON of metadata, pointers and index (pure).

Formats: ``schemas/latest-1.schema.json``, ``schemas/index-1.schema.json``. What is read comes from
a bucket others may write to, so nothing of it is believed unchecked: a key that would lead outside
its own version's folder makes the document unreadable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from asyncpipe.errors import UploadError
from asyncpipe.model import store_keys
from asyncpipe.model.catalog import CatalogEntry
from asyncpipe.text.safe import printable

SCHEMA_VERSION: Final = 1
JSON_TYPE: Final = "application/json"


class UnreadableError(UploadError):
    """A document of the catalogue is not what its schema says."""


class NewerSchemaError(UploadError):
    """A document of the catalogue was written by a newer asyncpipe; it is left as it is."""

    default_hint = "Update asyncpipe."


def entry_of(document: Mapping[str, Any]) -> CatalogEntry:
    """Return what the catalogue says of a published version, from its metadata.

    Raises:
        UnreadableError: this is not the metadata of a published version.
    """
    try:
        key = store_keys.parse_version_key(document["files"]["xva"]["key"])
        if document["status"] != "published" or key is None or key.root != "templates":
            raise UnreadableError("The metadata is not that of a published version.")
        os, build = document["os"], document["build"]
        return _entry(
            {
                "short_id": key.owner,
                "timestamp": key.timestamp,
                "xva": document["files"]["xva"],
                "os": os,
                "build": {
                    "unit": document["unit"],
                    "template": build["template"]["path"],
                    "commit": build["source"]["commit"],
                    "duration_s": build["duration_s"],
                },
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"The metadata lacks {_missing(error)}.") from error


def to_json(entry: CatalogEntry) -> dict[str, object]:
    """Return the form that pointers and index hold."""
    return {
        "short_id": entry.short_id,
        "timestamp": entry.timestamp,
        "folder": entry.folder_key,
        "metadata_key": entry.metadata_key,
        "xva": {
            "key": entry.xva_key,
            "size_bytes": entry.xva_size_bytes,
            "sha256_hex": entry.xva_sha256_hex,
        },
        "os": {
            "type": entry.os_type,
            "version": entry.os_version,
            "release": entry.release,
            "arch": entry.arch,
            "pretty_name": entry.pretty_name,
            "end_of_life": entry.end_of_life,
        },
        "build": {
            "unit": entry.unit,
            "template": entry.template,
            "commit": entry.git_commit,
            "duration_s": entry.duration_s,
        },
    }


def encode_pointer(entry: CatalogEntry) -> bytes:
    """Write ``latest.json`` or a channel."""
    return _encode({"version": to_json(entry)})


def decode_pointer(body: bytes) -> CatalogEntry:
    """Read ``latest.json`` or a channel; UnreadableError, NewerSchemaError."""
    document = load(body)
    try:
        return _entry(document["version"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"The pointer lacks {_missing(error)}.") from error


def encode_index(entries: Iterable[CatalogEntry]) -> bytes:
    """Write ``index.json``: by template, newest version first."""
    return _encode({"versions": [to_json(entry) for entry in in_order(entries)]})


def decode_index(body: bytes) -> tuple[CatalogEntry, ...]:
    """Read ``index.json``; UnreadableError, NewerSchemaError."""
    document = load(body)
    try:
        return in_order(_entry(version) for version in document["versions"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"The index lacks {_missing(error)}.") from error


def in_order(entries: Iterable[CatalogEntry]) -> tuple[CatalogEntry, ...]:
    """Sort by template, newest first; of equals the last one given stays."""
    unique = {(entry.short_id, entry.timestamp): entry for entry in entries}
    newest = sorted(unique.values(), key=lambda entry: entry.timestamp, reverse=True)
    return tuple(sorted(newest, key=lambda entry: entry.short_id))


def load(body: bytes) -> dict[str, Any]:
    """Parse a JSON object of ours; UnreadableError, NewerSchemaError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"It is not JSON ({printable(str(error), 100)}).") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, int) or version < 1:
        raise UnreadableError("It is not a document of asyncpipe.")
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(f"It has schema version {version}, this asyncpipe knows 1.")
    assert isinstance(document, dict)
    return document


def _entry(version: Mapping[str, Any]) -> CatalogEntry:
    short_id, timestamp, xva = version["short_id"], version["timestamp"], version["xva"]
    os, build = version["os"], version["build"]
    key = store_keys.parse_version_key(xva["key"])
    folder = store_keys.folder_key(short_id, timestamp)
    if key is None or key.folder_key != folder:
        raise UnreadableError("The key of its XVA is not in the version's own folder.")
    size_bytes = xva["size_bytes"]
    if not isinstance(size_bytes, int) or size_bytes < 0:
        raise UnreadableError("The size of its XVA is no size.")
    return CatalogEntry(
        short_id=short_id,
        timestamp=timestamp,
        xva_key=xva["key"],
        xva_size_bytes=size_bytes,
        xva_sha256_hex=_text(xva["sha256_hex"]) or "",
        os_type=_text(os["type"]),
        os_version=_text(os["version"]),
        release=_text(os["release"]),
        arch=_text(os["arch"]),
        pretty_name=_text(os["pretty_name"]),
        end_of_life=_text(os["end_of_life"]),
        unit=_text(build["unit"]) or "",
        template=_text(build["template"]) or "",
        git_commit=_text(build["commit"]),
        duration_s=_seconds(build["duration_s"]),
    )


def _text(value: object) -> str | None:
    return printable(value) if isinstance(value, str) and value else None


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value >= 0 else None


def _encode(document: Mapping[str, object]) -> bytes:
    whole = {"schema_version": SCHEMA_VERSION, **document}
    return json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _missing(error: Exception) -> str:
    return str(error) if isinstance(error, KeyError) else "what belongs into it"
