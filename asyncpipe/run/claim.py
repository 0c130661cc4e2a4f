"""Claim what a run will publish at the store before anything is built or sent: folders, places.

Two runs that begin in the same second would write to the same folder; one of them would find that
out only at its end. ``claim.json`` is created there only if the folder is empty, and removed when
the run ends. ``reap`` removes what a killed run leaves: a folder without metadata.json, or a claim
beside it.

A place is claimed for a template permanently: two templates whose versions alternate in one place
would look like one. A system that only the guest knows has its place claimed before publishing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

import anyio

from asyncpipe import catalog
from asyncpipe.errors import DestinationTakenError, UploadError
from asyncpipe.model.build import BuildPlan
from asyncpipe.model.run import RunFacts
from asyncpipe.model.store_keys import CLAIM_NAME
from asyncpipe.ports import ObjectStore
from asyncpipe.run.origin.run_facts import filler_of
from asyncpipe.run.plan import published_name

_TYPE: Final = "application/json"
_MAX_BYTES: Final = 4096
_RELEASE_S: Final = 2.0  # a cancelled step has seconds


@asynccontextmanager
async def claimed(
    store: ObjectStore, folder_keys: Iterable[str], run_id: str, *, resumed: bool = False
) -> AsyncIterator[bool]:
    """Hold a claim on every folder; False when another run has one of them.

    A resumed run finds its own claims, or folders that hold only what it stored itself: nobody
    else could claim them while it was at work. On the way out, which is bounded, the claims are
    removed; ``reap`` removes one that stays.

    Raises:
        UploadError: the store failed.
    """
    keys = [f"{folder}/{CLAIM_NAME}" for folder in dict.fromkeys(folder_keys)]
    body = json.dumps({"run_id": run_id}).encode()
    try:
        results = [await _claim(store, key, body, resumed=resumed) for key in keys]
        yield all(results)
    finally:
        with anyio.move_on_after(_RELEASE_S, shield=True):
            for key in keys:
                if await _is_ours(store, key, body):
                    with contextlib.suppress(UploadError):
                        await store.delete(key)


@asynccontextmanager
async def placed(
    store: ObjectStore,
    plans: Iterable[BuildPlan],
    facts: RunFacts,
    *,
    take_over: bool,
    is_published: Callable[[str], bool],
) -> AsyncIterator[tuple[str, ...]]:
    """Hold the places that are known before the builds; yields warnings.

    On the way out, which is bounded, a place that nobody had before and where nothing was
    published is free again.

    Raises:
        DestinationTakenError: another template fills one of them.
    """
    wanted = [
        (plan.unit, published_name(plan.static_identity, plan.unit, plan.variant), claimant)
        for plan in plans
        if plan.static_identity.os_type is not None
        and (claimant := claimant_of(plan, facts, take_over=take_over)) is not None
    ]
    try:
        found = [await catalog.take_place(store, name, claimant) for _, name, claimant in wanted]
        yield tuple(warning for warnings in found for warning in warnings)
    finally:
        with anyio.move_on_after(_RELEASE_S, shield=True):
            for unit, name, claimant in wanted:
                if not is_published(unit):
                    with contextlib.suppress(UploadError):
                        await catalog.leave_place(store, name, claimant)


async def take_place_found_late(
    store: ObjectStore, plan: BuildPlan, name: str, facts: RunFacts, *, take_over: bool
) -> tuple[str, ...]:
    """Take the place ``name`` where it was not known before the build; as ``placed``."""
    planned = published_name(plan.static_identity, plan.unit, plan.variant)
    claimant = claimant_of(plan, facts, take_over=take_over)
    if claimant is None or (name == planned and plan.static_identity.os_type is not None):
        return ()
    return await catalog.take_place(store, name, claimant)


def claimant_of(
    plan: BuildPlan, facts: RunFacts, *, take_over: bool = False
) -> catalog.Claimant | None:
    """Who wants the place of a build; None for a file that no template made."""
    template = filler_of(plan, facts)
    if template is None:
        return None
    return catalog.Claimant(template=template, timestamp=plan.timestamp, take_over=take_over)


async def _claim(store: ObjectStore, key: str, body: bytes, *, resumed: bool) -> bool:
    if not resumed and not await _is_empty(store, key):
        return False
    try:
        await store.put(key, body, content_type=_TYPE, create_only=True)
    except DestinationTakenError:
        return await _is_ours(store, key, body)
    # again: its last owner may have published and let go between the look and the claim
    return resumed or await _is_empty(store, key)


async def _is_empty(store: ObjectStore, claim_key: str) -> bool:
    """Whether the folder holds nothing but a claim."""
    folder = claim_key.rpartition("/")[0]
    async for info in store.list(f"{folder}/"):
        if info.key != claim_key:
            return False
    return True


async def _is_ours(store: ObjectStore, key: str, body: bytes) -> bool:
    """Whether the claim at ``key`` is this run's."""
    try:
        return (await store.get(key, max_bytes=_MAX_BYTES)).body == body
    except UploadError:
        return False
