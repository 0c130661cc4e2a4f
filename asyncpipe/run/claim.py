"""Claim the folders of a run's versions at the store before anything is built.

Two runs that begin in the same second would write to the same folder; one of them would find that
out only after its whole build. ``claim.json`` is created there only if the folder is empty, and
removed when the run ends; what a killed run leaves is a folder without metadata.json, which
``reap`` removes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import anyio

from asyncpipe.errors import DestinationTakenError, UploadError
from asyncpipe.ports import ObjectStore

CLAIM_NAME: Final = "claim.json"
_TYPE: Final = "application/json"
_MAX_BYTES: Final = 4096
_RELEASE_S: Final = 2.0  # a cancelled step has seconds


@asynccontextmanager
async def claimed(
    store: ObjectStore, folder_keys: Iterable[str], run_id: str
) -> AsyncIterator[bool]:
    """Hold a claim on every folder; False when another run has one of them.

    A run that is resumed finds its own claims. On the way out, which is bounded, they are removed;
    one that stays is removed by ``reap``.

    Raises:
        UploadError: the store failed.
    """
    keys = [f"{folder}/{CLAIM_NAME}" for folder in dict.fromkeys(folder_keys)]
    body = json.dumps({"run_id": run_id}).encode()
    try:
        results = [await _claim(store, key, body) for key in keys]
        yield all(results)
    finally:
        with anyio.move_on_after(_RELEASE_S, shield=True):
            for key in keys:
                if await _is_ours(store, key, body):
                    with contextlib.suppress(UploadError):
                        await store.delete(key)


async def _claim(store: ObjectStore, key: str, body: bytes) -> bool:
    folder = key.rpartition("/")[0]
    async for info in store.list(f"{folder}/"):
        if info.key != key:
            return await _is_ours(store, key, body)
    try:
        await store.put(key, body, content_type=_TYPE, create_only=True)
    except DestinationTakenError:
        return await _is_ours(store, key, body)
    return True


async def _is_ours(store: ObjectStore, key: str, body: bytes) -> bool:
    """Tell whether the claim at ``key`` is this run's."""
    try:
        return (await store.get(key, max_bytes=_MAX_BYTES)).body == body
    except UploadError:
        return False
