"""Cancelled in any phase: no task, no open upload, no buffer is left."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from asyncpipe.errors import TransientStoreError
from asyncpipe.model.transfer import Target, TransferOptions
from asyncpipe.retry import RetryPolicy
from asyncpipe.testing.store import MemoryStore
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.source import GrowingFile
from tests.upload.helpers import MIB, published, some_bytes, until, uploading, written

pytestmark = pytest.mark.anyio

BODY = some_bytes(6 * MIB)


@pytest.mark.parametrize(
    ("operation", "delay_s"),
    [("head", 60.0), ("create_upload", 0.05), ("upload_part", 60.0), ("complete_upload", 60.0)],
)
async def test_a_cancelled_call_leaves_nothing_open(
    store: MemoryStore,
    target: Target,
    options: TransferOptions,
    tmp_path: Path,
    operation: str,
    delay_s: float,
) -> None:
    path = written(tmp_path / "image.xva", BODY)
    budget = Budget(options)
    store.delay(operation, delay_s)

    async def run() -> None:
        await published(store, target, path, options, budget=budget)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await until(lambda: operation in {call.operation for call in store.calls})
            group.cancel_scope.cancel()
    assert not store.uploads
    assert not store.objects
    assert budget.buffers.in_use_bytes == 0


async def test_cancelled_while_it_waits_for_a_growing_file(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path
) -> None:
    path = written(tmp_path / "image.xva", BODY[: 2 * MIB + 1])
    source = GrowingFile(path, anyio.Event())
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:

            async def run() -> None:
                async with uploading(store, target, source, options) as upload:
                    await upload.stage()

            group.start_soon(run)
            await until(lambda: any(len(up.parts) == 2 for up in store.uploads.values()))
            group.cancel_scope.cancel()
    assert not store.uploads


async def test_cancelled_between_two_attempts(
    store: MemoryStore, target: Target, options: TransferOptions, tmp_path: Path
) -> None:
    path = written(tmp_path / "image.xva", BODY)
    patient = TransferOptions(
        max_memory_bytes=2 * MIB,
        part_size_bytes=MIB,
        retry=RetryPolicy(base_s=60, cap_s=60),
    )
    budget = Budget(patient)
    store.fail("upload_part", TransientStoreError("reset"), times=100)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:

            async def run() -> None:
                async with uploading(store, target, path, patient, budget=budget) as upload:
                    await upload.stage()

            group.start_soon(run)
            await until(lambda: "upload_part" in {call.operation for call in store.calls})
            group.cancel_scope.cancel()
    assert not store.uploads
    assert budget.buffers.in_use_bytes == 0
