"""Our own upload, as the command line makes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio

import asyncpipe.adapters.s3
from asyncpipe.adapters.stores import open_store
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import PublishedObject, Target, TransferOptions
from asyncpipe.transfer.budget import Budget
from asyncpipe.transfer.source import FinishedFile, Source
from asyncpipe.transfer.upload import Inspector, open_upload
from asyncpipe.xva.validator import XvaValidator
from benchmarks._clients import REGION, Job, environment

__all__ = ["asyncpipe", "prepared", "published"]


def prepared(job: Job, *, everything: bool) -> Callable[[], object]:
    """Return the upload: with SHA-256 and the XVA verdict, or with CRC64NVME alone."""
    options = TransferOptions(sha256=everything)
    inspector = XvaValidator() if everything else None
    return partial(anyio.run, partial(alone, job, options, inspector))


async def alone(job: Job, options: TransferOptions, inspector: Inspector | None) -> None:
    """Upload one finished file with a budget of its own."""
    async with Budget(options) as budget:
        await published(job, FinishedFile(job.path), budget, options, inspector)


async def published(
    job: Job,
    source: Source,
    budget: Budget,
    options: TransferOptions,
    inspector: Inspector | None,
) -> PublishedObject:
    """Upload one source."""
    store_options = StoreOptions(
        endpoint_url=job.endpoint,
        region=REGION,
        profile=StoreProfile(job.profile),
        ca_bundle=Path(job.ca_bundle) if job.ca_bundle else None,
    )
    target = Target(key=job.key, content_type="application/octet-stream", overwrite=True)
    where = f"s3://{job.bucket}"
    async with (
        open_store(where, environment=environment(), options=store_options) as store,
        open_upload(
            store, target, source, budget=budget, options=options, inspector=inspector
        ) as upload,
    ):
        return await upload.complete(await upload.stage())
