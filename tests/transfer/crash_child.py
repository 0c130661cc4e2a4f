"""``python -m tests.transfer.crash_child JOB``: one upload that may be killed at any instant."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from asyncpipe.adapters import s3
from asyncpipe.adapters.stores import open_store
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.model.transfer import Keep, Target, TransferOptions
from asyncpipe.transfer.budget import Budget
from asyncpipe.transfer.source import FinishedFile
from asyncpipe.transfer.upload import open_upload

MIB = 1024 * 1024
OPTIONS = TransferOptions(
    max_memory_bytes=20 * MIB, part_size_bytes=5 * MIB, bandwidth_bytes_per_s=60e6
)
__all__ = ["s3"]  # imported before the clock of the parent runs


async def upload(destination: str, environment: dict[str, str], work: dict[str, str]) -> None:
    """Say when it begins, upload with a journal."""
    target = Target(key=work["key"], content_type="application/octet-stream")
    options = StoreOptions(profile=StoreProfile.AWS)
    sys.stdout.write("begins\n")
    sys.stdout.flush()
    async with (
        open_store(destination, environment=environment, options=options) as store,
        Budget(OPTIONS) as budget,
        open_upload(
            store,
            target,
            FinishedFile(Path(work["path"])),
            budget=budget,
            options=OPTIONS,
            journal_path=Path(work["journal"]),
            resume=True,
            keep=Keep.INTERRUPTED,
        ) as running,
    ):
        await running.complete(await running.stage())


if __name__ == "__main__":
    anyio.run(upload, *json.loads(sys.argv[1]))
