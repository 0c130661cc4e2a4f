"""The index of a destination: a small root that names segments, and segments that list versions.

A publication rewrites one segment of its own template, so its work does not grow with the number
of versions. The first index (schema version 1) was one document with every version in it; it is
still read, and converted by the next change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from asyncpipe.model import store_keys
from asyncpipe.model.documents import fields
from asyncpipe.model.documents.catalog import CatalogEntry, in_order
from asyncpipe.model.documents.fields import Key, UnreadableError

SEGMENT_VERSIONS: Final = 64  # some 40 KB: one request, and quickly written again
_ROOT_VERSION: Final = 2


class OldIndex(Struct, frozen=True, kw_only=True):
    """``index.json`` of schema version 1: every published version, by template, newest first."""

    schema_version: fields.Version
    versions: tuple[CatalogEntry, ...]


class Index(Struct, frozen=True, kw_only=True):
    """``index.json``: the keys of all segments; it changes only when a segment comes or goes.

    It can be rebuilt from the versions' own metadata at any time.
    """

    schema_version: Annotated[int, Meta(ge=_ROOT_VERSION, le=_ROOT_VERSION)]
    segments: tuple[Key, ...]


class Segment(Struct, frozen=True, kw_only=True):
    """``templates/{place}/index/{number}.json``: some versions of a template, newest first."""

    schema_version: fields.Version
    sealed: bool = False  # empty and about to be removed: nothing is added any more
    versions: tuple[CatalogEntry, ...]


class _LooseIndex(Struct):
    segments: list[msgspec.Raw]


class _LooseSegment(Struct, kw_only=True):
    schema_version: fields.Version
    versions: list[msgspec.Raw]
    sealed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What ``index.json`` says; ``old`` has the versions of a document of schema version 1."""

    segments: frozenset[str] = frozenset()
    old: tuple[CatalogEntry, ...] | None = None
    problems: tuple[str, ...] = ()

    def of(self, short_id: str | None) -> list[str]:
        """Return the segments of a template, the oldest first; of all where None."""
        parsed = [(store_keys.parse_segment_key(key), key) for key in self.segments]
        mine = [(one, key) for one, key in parsed if one and short_id in {None, one[0]}]
        return [key for _, key in sorted(mine)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What one segment says, and what is wrong with those of its entries that cannot be read."""

    versions: tuple[CatalogEntry, ...] = ()
    sealed: bool = False
    problems: tuple[str, ...] = field(default=())


def decode_root(body: bytes) -> Root:
    """Read ``index.json`` of either schema version; UnreadableError, NewerSchemaError."""
    if fields.version_of(body, newest=_ROOT_VERSION) < _ROOT_VERSION:
        old = _loose(fields.read(body, _LooseSegment))
        return Root(old=old.versions, problems=old.problems)
    found: set[str] = set()
    bad = 0
    for raw in fields.read(body, _LooseIndex).segments:
        try:
            key = fields.read(raw, str)
        except UnreadableError:
            key = ""
        if store_keys.parse_segment_key(key):
            found.add(key)
        else:
            bad += 1
    problems = (f"{bad} of its entries name no segment",) if bad else ()
    return Root(segments=frozenset(found), problems=problems)


def encode_root(segments: Iterable[str]) -> bytes:
    """Write ``index.json``."""
    root = Root(segments=frozenset(segments))
    return fields.encode(Index(schema_version=_ROOT_VERSION, segments=tuple(root.of(None))))


def decode_segment(body: bytes, short_id: str) -> Listed:
    """Read a segment of ``short_id``; UnreadableError, NewerSchemaError."""
    try:
        segment = fields.decode(body, Segment)
        listed = Listed(versions=segment.versions, sealed=segment.sealed)
    except fields.NewerSchemaError:
        raise
    except UnreadableError:  # then each entry for itself
        listed = _loose(fields.decode(body, _LooseSegment))
    mine = tuple(entry for entry in listed.versions if entry.short_id == short_id)
    strange = ("a version of another template",) if len(mine) < len(listed.versions) else ()
    return Listed(versions=mine, sealed=listed.sealed, problems=(*listed.problems, *strange))


def encode_segment(versions: Iterable[CatalogEntry], *, sealed: bool = False) -> bytes:
    """Write a segment."""
    return fields.encode(
        Segment(schema_version=fields.SCHEMA_VERSION, sealed=sealed, versions=in_order(versions)),
        compact=True,
    )


def _loose(document: _LooseSegment) -> Listed:
    found: list[CatalogEntry] = []
    problems: list[str] = []
    for raw in document.versions:
        try:
            found.append(fields.read(raw, CatalogEntry))
        except UnreadableError as error:
            problems.append(error.message)
    return Listed(
        versions=in_order(found), sealed=document.sealed, problems=tuple(dict.fromkeys(problems))
    )
