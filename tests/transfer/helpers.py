"""Bytes, files and the one-line upload that the tests of this area share."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from asyncpipe.model.transfer import PublishedObject, StagedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.transfer.budget import Budget
from asyncpipe.transfer.source import FinishedFile, Source
from asyncpipe.transfer.upload import open_upload

MIB = 1024 * 1024


def some_bytes(size_bytes: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def written(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


def sha256_hex(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass(slots=True)
class Recorder:
    """An inspector that keeps what it was fed, and rejects from a given byte on."""

    reject_at_bytes: int | None = None
    rejects_at_end: bool = False
    seen: bytearray = field(default_factory=bytearray)
    rejected: bool = False
    finished: bool = False

    def feed(self, data: memoryview) -> None:
        self.seen += data
        if self.reject_at_bytes is not None and len(self.seen) >= self.reject_at_bytes:
            self.rejected = True

    def finish(self) -> object:
        self.finished = True
        self.rejected = self.rejected or self.rejects_at_end
        return f"{len(self.seen)} bytes seen"


async def published(
    store: ObjectStore,
    target: Target,
    source: Source | Path,
    options: TransferOptions,
    *,
    journal_path: Path | None = None,
    resume: bool = False,
    budget: Budget | None = None,
) -> PublishedObject:
    async with open_upload(
        store,
        target,
        FinishedFile(source) if isinstance(source, Path) else source,
        budget=budget or Budget(options),
        options=options,
        journal_path=journal_path,
        resume=resume,
    ) as upload:
        staged: StagedObject = await upload.stage()
        return await upload.complete(staged)


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition that no event tells of; the caller bounds it."""
    while not true():  # noqa: ASYNC110 - the fakes under test have no event for it
        await anyio.sleep(0.001)
