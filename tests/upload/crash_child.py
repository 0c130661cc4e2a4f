"""``python -m tests.upload.crash_child JOB``: one upload that may be killed at any instant."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio

from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import Keep, Target, TransferOptions, Zstd
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3 import store as s3
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import open_upload
from asyncpipe.upload.source import FinishedFile

MIB = 1024 * 1024
OPTIONS = TransferOptions(
    max_memory_bytes=20 * MIB, part_size_bytes=5 * MIB, bandwidth_bytes_per_s=60e6
)
SLOW_BYTES_PER_S = 15e6  # for a parent that wants to see parts arrive
__all__ = ["s3"]  # imported before the clock of the parent runs


async def upload(destination: str, environment: dict[str, str], work: dict[str, str]) -> None:
    """Say when it begins, upload with a journal; ``profile`` auto asks a server nobody knows."""
    profile = StoreProfile(work.get("profile", StoreProfile.AWS))
    options = OPTIONS
    if "slow" in work:
        options = replace(OPTIONS, bandwidth_bytes_per_s=SLOW_BYTES_PER_S)
    target = Target(key=work["key"], content_type="application/octet-stream")
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    async with (
        _opened(destination, environment, profile) as store,
        Budget(options) as budget,
        open_upload(
            UploadRequest(
                store=store,
                target=target,
                source=FinishedFile(Path(work["path"])),
                budget=budget,
                options=options,
                journal_path=Path(work["journal"]),
                resume=True,
                keep=Keep.LOST,
                zstd=Zstd(level=int(work["zstd"])) if "zstd" in work else None,
            )
        ) as running,
    ):
        await running.stage()
        await running.complete()


@asynccontextmanager
async def _opened(
    destination: str, environment: dict[str, str], profile: StoreProfile
) -> AsyncIterator[ObjectStore]:
    options = StoreOptions(profile=profile)
    async with open_store(destination, environment=environment, options=options) as store:
        if profile is StoreProfile.AUTO:
            await store.probe()
        yield store


def run(destination: str, environment: dict[str, str], work: dict[str, str]) -> None:
    """Upload once."""
    anyio.run(upload, destination, environment, work)


if __name__ == "__main__":
    run(*json.loads(sys.argv[1]))
