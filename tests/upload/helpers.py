"""Bytes, files and the one-line upload that the tests of this area share."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from asyncpipe.model.transfer import Keep, PublishedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import UploadSession, open_upload
from asyncpipe.upload.source import FinishedFile, Source

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


def uploading(
    store: ObjectStore,
    target: Target,
    source: Source | Path,
    options: TransferOptions,
    *,
    budget: Budget | None = None,
    **choices: Any,
) -> AbstractAsyncContextManager[UploadSession]:
    """``open_upload`` of a file, with a budget of its own where none is given."""
    return open_upload(
        UploadRequest(
            store=store,
            target=target,
            source=FinishedFile(source) if isinstance(source, Path) else source,
            budget=budget or Budget(options),
            options=options,
            **choices,
        )
    )


async def published(
    store: ObjectStore,
    target: Target,
    source: Source | Path,
    options: TransferOptions,
    **choices: Any,
) -> PublishedObject:
    """The whole way of an upload; ``choices`` as for ``uploading``."""
    async with uploading(store, target, source, options, **choices) as upload:
        await upload.stage()
        return await upload.complete()


async def staged_to_be_resumed(
    store: ObjectStore,
    target: Target,
    path: Path,
    options: TransferOptions,
    journal: Path,
    *,
    error: Exception | None = None,
) -> None:
    """Stage what an interruption keeps; ``error`` is the caller's own, after the last part."""
    async with uploading(
        store, target, path, options, journal_path=journal, keep=Keep.LOST
    ) as upload:
        await upload.stage()
        if error is not None:
            raise error


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition that no event tells of; the caller bounds it."""
    while not true():  # noqa: ASYNC110 - the fakes under test have no event for it
        await anyio.sleep(0.001)
