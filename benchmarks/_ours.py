"""Our own upload, as the command line makes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import anyio

from asyncpipe.cli import gc
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3 import store as s3
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.digests import Inspector
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import open_upload
from asyncpipe.upload.source import FinishedFile
from asyncpipe.xva.read.validator import XvaValidator
from benchmarks._job import REGION, Job, environment

__all__ = [
    "opened",
    "prepared",
    "prepared_many",
    "s3",
    "target_of",
]  # s3: imported before the clock runs


def prepared(job: Job, *, everything: bool) -> Callable[[], object]:
    """Return the upload: with SHA-256 and the XVA verdict, or with CRC64NVME alone."""
    options = TransferOptions(sha256=everything)
    inspector = XvaValidator() if everything else None
    return partial(anyio.run, partial(alone, job, options, inspector))


def prepared_many(job: Job, copies: int) -> Callable[[], dict[str, float]]:
    """Return ``copies`` uploads of one file at once, with SHA-256, under one budget."""
    return partial(anyio.run, partial(many, job, copies, TransferOptions()))


async def many(job: Job, copies: int, options: TransferOptions) -> dict[str, float]:
    """Upload one file several times at once, as the templates of a matrix are.

    Returns the most threads and descriptors seen, and when the first of them was done as a share
    of the time until the last one was: 1 where bandwidth is shared evenly.
    """
    most = {"threads": 0.0, "descriptors": 0.0}
    done_s: list[float] = []
    began_s = time.monotonic()

    async def one(number: int) -> None:
        target = target_of(f"{job.key}-{number}")
        await _published(store, target, job.path, budget, options)
        done_s.append(time.monotonic() - began_s)

    async with anyio.create_task_group() as watching:
        watching.start_soon(_watch, most)
        async with (
            Budget(options) as budget,
            opened(job) as store,
            anyio.create_task_group() as group,
        ):
            gc.settle()
            for number in range(copies):
                group.start_soon(one, number)
        watching.cancel_scope.cancel()
    return {**most, "first_done": min(done_s) / max(done_s)}


async def _watch(most: dict[str, float]) -> None:
    while True:
        most["threads"] = max(most["threads"], _count("/proc/self/task"))
        most["descriptors"] = max(most["descriptors"], _count("/proc/self/fd") - 1)
        await anyio.sleep(0.1)


def _count(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


async def _published(
    store: ObjectStore, target: Target, path: Path, budget: Budget, options: TransferOptions
) -> None:
    request = UploadRequest(
        store=store, target=target, source=FinishedFile(path), budget=budget, options=options
    )
    async with open_upload(request) as upload:
        await upload.stage()
        await upload.complete()


async def alone(job: Job, options: TransferOptions, inspector: Inspector | None) -> None:
    """Upload one finished file with a budget of its own."""
    async with (
        Budget(options) as budget,
        opened(job) as store,
        open_upload(
            UploadRequest(
                store=store,
                target=target_of(job.key),
                source=FinishedFile(job.path),
                budget=budget,
                options=options,
                inspector=inspector,
            )
        ) as upload,
    ):
        gc.settle()  # as the command line does
        await upload.stage()
        await upload.complete()


def target_of(key: str) -> Target:
    """An object that a later round may replace."""
    return Target(key=key, content_type="application/octet-stream", overwrite=True)


def opened(job: Job) -> AbstractAsyncContextManager[ObjectStore]:
    """Open the endpoint."""
    options = StoreOptions(
        endpoint_url=job.endpoint,
        region=REGION,
        profile=StoreProfile(job.profile),
        ca_bundle=Path(job.ca_bundle) if job.ca_bundle else None,
    )
    return open_store(f"s3://{job.bucket}", environment=environment(), options=options)
