"""The published JSON schemas, made of the structs; ``python -m tests.metadata.schema_files``.

The structs say what a document is. JSON Schema has no way to say that a key lies in its version's
folder or that a time is past: readers of ours check that too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from asyncpipe.model.documents.catalog import Place, Pointer
from asyncpipe.model.documents.index import Index, OldIndex, Segment
from asyncpipe.model.documents.metadata import Metadata
from asyncpipe.report.json_report import Report

FOLDER: Final = Path(__file__).parents[2] / "asyncpipe" / "schemas"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_OF: Final[dict[str, tuple[Any, str, str]]] = {
    "metadata-1": (
        Metadata,
        "asyncpipe metadata.json, version 1",
        (
            "What is known about one built template, published beside its XVA and build.log."
            " Readers ignore what they do not know; a change that would break a reader makes"
            " version 2."
        ),
    ),
    "latest-1": (
        Pointer,
        "asyncpipe latest.json and channels/NAME.json, version 1",
        (
            "The pointer to one published version; it is written last, so that whoever follows it"
            " finds every object. Keys are relative to the destination's prefix."
        ),
    ),
    "place-1": (
        Place,
        "asyncpipe place.json, version 1",
        "Which template's versions a place holds; asyncpipe refuses to publish another's there.",
    ),
    "report-1": (
        Report,
        "asyncpipe report of a run (--report FILE), version 1",
        "How a run and each of its templates ended; a new field does not raise the version.",
    ),
    "index-1": (
        OldIndex,
        "asyncpipe templates/index.json, version 1",
        "Every published version, by template, newest first; no longer written, still read.",
    ),
    "index-2": (
        Index,
        "asyncpipe templates/index.json, version 2",
        (
            "The segments that list the published versions; it can be rebuilt from the versions'"
            " own metadata at any time."
        ),
    ),
    "segment-1": (
        Segment,
        "asyncpipe templates/PLACE/index/NUMBER.json, version 1",
        "Some of the versions of a template, newest first.",
    ),
}
NAMES: Final = tuple(_OF)


def schema(name: str) -> dict[str, Any]:
    """Return the schema of a document: ``metadata-1``, ``index-2`` ... (``_OF``)."""
    kind, title, description = _OF[name]
    body = msgspec.json.schema(kind)
    head = {
        "$schema": _DIALECT,
        "$id": f"urn:asyncpipe:schema:{name}",
        "title": title,
        "description": description,
    }
    return {**head, **_folded(body)}


def _folded(value: Any) -> Any:
    """Docstrings are descriptions; their line breaks mean nothing."""
    if isinstance(value, dict):
        return {
            key: " ".join(inner.split())
            if key == "description" and isinstance(inner, str)
            else _folded(inner)
            for key, inner in value.items()
        }
    return [_folded(inner) for inner in value] if isinstance(value, list) else value


def path_of(name: str) -> Path:
    """Where it is published."""
    return FOLDER / f"{name}.schema.json"


if __name__ == "__main__":
    for each in _OF:
        path_of(each).write_text(json.dumps(schema(each), indent=2) + "\n", encoding="utf-8")
