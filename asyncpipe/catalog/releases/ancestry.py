"""Versions that were built from a revoked one, or from one that was built from it, and so on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from asyncpipe.catalog.read import BAD, read_version
from asyncpipe.catalog.releases.revocation import revoked_folders
from asyncpipe.errors import ObjectMissingError
from asyncpipe.model import store_keys
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore

_MOST_GENERATIONS: Final = 20  # whoever may write to the store could make a circle


async def revoked_ancestors(
    store: ObjectStore, entries: Iterable[CatalogEntry]
) -> Mapping[str, str]:
    """Return the nearest revoked ancestor (``debian12@TIMESTAMP``) of each folder that has one.

    Nothing is asked where no entry has a parent; only parents that are not among ``entries`` are
    read. One that was pruned still counts: its revocation stays.
    """
    parents = {entry.folder_key: entry.parent for entry in entries}
    children = {folder: parent for folder, parent in parents.items() if parent}
    if not children:
        return {}
    revoked = await revoked_folders(store)
    found: dict[str, str] = {}
    for child, parent in children.items():
        version: str | None = parent
        for _ in range(_MOST_GENERATIONS):
            folder = _folder(version)
            if version is None or folder is None:
                break
            if folder in revoked:
                found[child] = version
                break
            if folder not in parents:
                parents[folder] = await _parent(store, folder)
            version = parents[folder]
    return found


def _folder(version: str | None) -> str | None:
    name, _, timestamp = (version or "").partition("@")
    folder = store_keys.folder_key(name, timestamp)
    return folder if store_keys.is_folder(folder) else None


async def _parent(store: ObjectStore, folder: str) -> str | None:
    try:
        return (await read_version(store, folder)).parent
    except (*BAD, ObjectMissingError):
        return None
