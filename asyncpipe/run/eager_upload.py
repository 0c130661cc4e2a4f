"""The export's file -> a delivery: followed while Packer still writes it, or sent afterwards.

The eager upload is a bet that costs nothing when it is lost: nothing is visible before the flow
says so, and whatever goes wrong with it, the finished file is sent again from what is true.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup

from asyncpipe.errors import UploadError, XvaInvalidError
from asyncpipe.model.events import ExportGrew, UploadProgress
from asyncpipe.model.transfer import Target
from asyncpipe.run import plan, publish
from asyncpipe.run.context import RunContext
from asyncpipe.upload.delivery import Delivery, Route
from asyncpipe.upload.source import FinishedFile, GrowingFile
from asyncpipe.xva.read.validator import XvaValidator

logger = structlog.get_logger()

_POLL_S = 0.2


class Export:
    """Watches the output folder of one build and sends the XVA that appears there."""

    def __init__(self, context: RunContext, tasks: TaskGroup, *, follow: bool) -> None:
        self._context = context
        self._tasks = tasks
        self._finished = anyio.Event()
        self._eager: Delivery | None = None
        self._eager_path: Path | None = None
        self._watch = anyio.CancelScope()
        self._send_early = context.services.eager and follow
        if follow:
            tasks.start_soon(self._follow)

    async def deliver(self, xva_path: Path, *, resume: bool = False) -> Delivery:
        """Return a delivery of the finished ``xva_path``: all sent, or rejected on the way.

        Raises:
            UploadError: it could not be sent.
        """
        self._watch.cancel()
        self._finished.set()
        eager = self._eager
        if eager is not None:
            if await self._eager_is_good(eager, xva_path):
                return eager
            resume = eager.target.key == self._context.xva_key
        delivery = self._delivery(FinishedFile(xva_path), resume=resume)
        self._tasks.start_soon(delivery.run)
        with contextlib.suppress(XvaInvalidError):  # the flow judges: its report says more
            await delivery.staged()
        return delivery

    async def _eager_is_good(self, eager: Delivery, xva_path: Path) -> bool:
        if self._eager_path != xva_path or eager.target.key != self._context.xva_key:
            logger.info("publish.eager_dropped", key=eager.target.key, reason="destination")
            await eager.drop()
            return False
        try:
            await eager.staged()
        except (UploadError, XvaInvalidError) as error:
            self._context.warn(
                "eager-upload", f"The upload during the export failed and begins anew: {error}"
            )
            return False
        return True

    async def _follow(self) -> None:
        """Watch the export; what the disk refuses here must not end the build."""
        try:
            await self._watch_and_send()
        except OSError as error:
            self._context.warn("eager-upload", f"The export cannot be watched: {error.strerror}.")

    async def _watch_and_send(self) -> None:
        """Wait for the file, then tell how it grows and, when wanted, send it."""
        with self._watch:
            path = await self._appearance()
            if self._send_early:
                self._context.identity = self._context.identity_now()
                self._eager_path = path
                self._eager = self._delivery(GrowingFile(path, self._finished))
                self._tasks.start_soon(self._eager.run)
            await self._tell_growth(path)

    async def _appearance(self) -> Path:
        folder = anyio.Path(self._context.plan.output_directory)
        while True:
            if await folder.is_dir():
                async for path in folder.glob("*.xva"):
                    return Path(path)
            await anyio.sleep(_POLL_S)

    async def _tell_growth(self, path: Path) -> None:
        unit, reporter = self._context.unit, self._context.services.reporter
        while True:
            try:
                size_bytes = (await anyio.Path(path).stat()).st_size
            except FileNotFoundError:
                return
            reporter.emit(ExportGrew(unit=unit, size_bytes=size_bytes))
            await anyio.sleep(_POLL_S * 5)

    def _delivery(self, source: FinishedFile | GrowingFile, *, resume: bool = False) -> Delivery:
        context = self._context
        key = context.xva_key

        def progress(sent_bytes: int, total_bytes: int | None) -> None:
            context.services.reporter.emit(
                UploadProgress(
                    unit=context.unit, key=key, sent_bytes=sent_bytes, total_bytes=total_bytes
                )
            )

        route = Route(
            store=context.services.store,
            budget=context.services.budget,
            options=context.services.transfer,
            journal_path=context.plan.run_directory / "upload.json",
            progress=progress,
            warn=context.warn,
            expected_size_bytes=plan.expected_size_bytes(context.plan.template),
        )
        target = Target(key=key, content_type=publish.XVA_TYPE)
        return Delivery(route, target, source, XvaValidator(), resume=resume)
