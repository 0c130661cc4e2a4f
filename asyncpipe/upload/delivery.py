"""One XVA on its way in the background: staged when all is sent, visible only when told.

The upload may begin while the file still grows. Its failure is a value until somebody asks for
the result: a lost link must not stop a build that runs for half an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncpipe.errors import AsyncpipeError, UploadError, leaf_of
from asyncpipe.model.transfer import Keep, PublishedObject, StagedObject, Target, TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.upload.budget import Budget
from asyncpipe.upload.resume import NONCE_KEY
from asyncpipe.upload.source import FinishedFile, GrowingFile
from asyncpipe.upload.upload import Inspector, open_upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a delivery needs that does not change from one attempt to the next."""

    store: ObjectStore
    budget: Budget
    options: TransferOptions
    journal_path: Path
    progress: Callable[[int, int | None], None]
    expected_size_bytes: int | None = None
    warn: Callable[[str, str], None] | None = None


class Delivery:
    """Runs as one task (``run``); the others wait for ``staged()`` and call ``complete()``."""

    def __init__(
        self,
        route: Route,
        target: Target,
        source: FinishedFile | GrowingFile,
        inspector: Inspector,
        *,
        resume: bool = False,
    ) -> None:
        self.target = target
        self.inspector = inspector
        self._route = route
        self._source = source
        self._resume = resume
        self._scope = anyio.CancelScope()
        self._staged_or_failed = anyio.Event()
        self._go = anyio.Event()
        self._done = anyio.Event()
        self._staged: StagedObject | None = None
        self._published: PublishedObject | None = None
        self._error: AsyncpipeError | None = None
        self._nonce = ""

    async def run(self) -> None:
        """Send, wait for the word, make visible; leaves no upload open unless that succeeds."""
        try:
            with self._scope:
                await self._deliver()
        except (AsyncpipeError, ExceptionGroup) as error:
            leaf = leaf_of(error)
            if not isinstance(leaf, AsyncpipeError):
                raise
            self._error = leaf
        finally:
            self._staged_or_failed.set()
            self._done.set()

    async def _deliver(self) -> None:
        route = self._route
        async with open_upload(
            route.store,
            self.target,
            self._source,
            budget=route.budget,
            options=route.options,
            inspector=self.inspector,
            journal_path=route.journal_path,
            resume=self._resume,
            # a growing file has no second chance: Packer's next export is another file
            keep=Keep.NEVER if self._source.grows else Keep.LOST,
            warn=route.warn,
            expected_size_bytes=route.expected_size_bytes,
            progress=route.progress,
        ) as upload:
            self._staged = await upload.stage()
            self._staged_or_failed.set()
            await self._go.wait()
            self._nonce = upload.nonce
            self._published = await upload.complete(self._staged)

    async def staged(self) -> StagedObject:
        """Wait until every byte is at the store; raises what the upload failed with."""
        await self._staged_or_failed.wait()
        if self._error is not None:
            raise self._error
        if self._staged is None:
            raise UploadError(f"The upload of {self.target.key} was dropped before its end.")
        return self._staged

    async def complete(self) -> PublishedObject:
        """Make the object visible; raises what that failed with."""
        await self.staged()
        self._go.set()
        await self._done.wait()
        if self._error is not None:
            raise self._error
        if self._published is None:
            raise UploadError(f"The upload of {self.target.key} was dropped before its end.")
        return self._published

    async def take_back(self) -> None:
        """Remove the object if it is ours: told to be visible, then cut off before the end.

        Raises:
            UploadError: the store failed.
        """
        if not self._nonce:
            return  # nobody had said that it may become visible
        info = await self._route.store.head(self.target.key)
        if info is not None and info.metadata.get(NONCE_KEY) == self._nonce:
            await self._route.store.delete(self.target.key)

    async def drop(self) -> None:
        """Abort and wait until that is done; no error when it already ended."""
        self._scope.cancel()
        await self._done.wait()
