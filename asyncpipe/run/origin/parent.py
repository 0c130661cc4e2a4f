"""The published version that a template is built from, where it names one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from asyncpipe import catalog
from asyncpipe.errors import AsyncpipeError
from asyncpipe.model import store_keys
from asyncpipe.model.build import ParentVersion
from asyncpipe.model.template import Template
from asyncpipe.ports import ObjectStore

# What names a parent: a template on the pool that `import --as-template` named, an XVA as it is
# published. (vatesfr/packer-plugin-xenserver: clone_template, and source_path of xenserver-xva.)
_NAMES: Final = ("clone_template", "source_path")
_KEY: Final = re.compile(r"(?:^|/)(templates/[^/]+/[^/]+/[^/]+)$")


def parent_named_by(template: Template) -> str | None:
    """Return ``debian12@20261123T170000Z`` if a source of ``template`` is built from it."""
    found = (_version(text) for text in _texts(template))
    return next((version for version in found if version), None)


async def known_parent(store: ObjectStore, version: str) -> tuple[ParentVersion, str]:
    """Return the parent with its digest, where the destination has it, and a warning or ""."""
    try:
        entry = await catalog.resolve(store, version, revoked=True)
        problem = (await catalog.standing_of(store, entry)).problem
    except AsyncpipeError:  # it is a note, not a reason to build nothing
        return ParentVersion(version=version), ""
    warning = f"It is built from {version}, which {problem}" if problem else ""
    return ParentVersion(version=version, sha256_hex=entry.xva.sha256_hex or None), warning


async def named_parent(store: ObjectStore, name: str) -> ParentVersion:
    """Return the version that ``name`` (debian12, debian12:stable) leads to now.

    Raises:
        UsageError: it is revoked.
        ObjectMissingError: the parent does not exist.
    """
    entry = await catalog.resolve(store, name)
    version = f"{entry.short_id}@{entry.timestamp}"
    return ParentVersion(version=version, sha256_hex=entry.xva.sha256_hex or None)


def _texts(template: Template) -> Iterator[str]:
    for source in template.sources:
        for name in _NAMES:
            value = source.attributes.get(name)
            if isinstance(value, str):
                yield value


def _version(text: str) -> str | None:
    name, at, timestamp = text.partition("@")
    if at and store_keys.is_name(name) and store_keys.is_timestamp(timestamp):
        return text
    path = _KEY.search(unquote(urlsplit(text).path))
    key = store_keys.parse_version_key(path[1]) if path else None
    return f"{key.owner}@{key.timestamp}" if key and key.name.endswith(".xva") else None
