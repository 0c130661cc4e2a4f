"""The export's file -> an upload session: followed while Packer writes it, or sent afterwards.

The eager upload is a bet that costs nothing when it is lost: nothing is visible before the flow
says so, and if anything goes wrong with it, the finished file is sent again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from asyncpipe.errors import AsyncpipeError, XvaInvalidError, flattened, leaf_of
from asyncpipe.model.events import ExportGrew, UploadProgress
from asyncpipe.model.transfer import Keep, Target
from asyncpipe.model.xva import COMPRESSED
from asyncpipe.run import plan, publish
from asyncpipe.run.context import RunContext
from asyncpipe.system.disk import Disk
from asyncpipe.system.logger import structlog
from asyncpipe.upload.request import UploadRequest
from asyncpipe.upload.session import UploadSession
from asyncpipe.upload.source import FinishedFile, GrowingFile
from asyncpipe.xva.read.validator import XvaValidator

logger = structlog.get_logger()

_POLL_S = 0.2


@contextlib.asynccontextmanager
async def open_export(context: RunContext, *, follow: bool) -> AsyncIterator[Export]:
    """Open the export of one build; ``follow``: watch it, and send it early where that is wanted.

    Its tasks run in their own group, in which nothing raises: a fault of the disk or the link
    while Packer runs becomes a warning, never the end of the build. Leaving drops or keeps an
    upload that was not completed.
    """
    export = Export(context)
    try:
        with flattened():
            async with anyio.create_task_group() as tasks:
                if follow:
                    tasks.start_soon(export.follow, tasks)
                try:
                    yield export
                finally:
                    tasks.cancel_scope.cancel()
    except BaseException as error:
        await export.close(error)
        raise
    await export.close(None)


class _Early:
    """An upload in the background; its failure is a value until the build has ended."""

    def __init__(self, session: UploadSession, path: Path) -> None:
        self.session = session
        self.path = path
        self.error: BaseException | None = None
        self._scope = anyio.CancelScope()
        self._done = anyio.Event()

    async def run(self) -> None:
        try:
            with self._scope:
                await self.session.stage()
        except Exception as error:  # noqa: BLE001 - the build goes on, whatever it is
            self.error = leaf_of(error)
            with anyio.CancelScope(shield=True):
                await self.session.close(self.error)  # its memory is wanted elsewhere
        finally:
            self._done.set()

    async def ended(self) -> None:
        """Wait until everything is sent or failed."""
        await self._done.wait()

    async def drop(self) -> None:
        """Stop and abort it."""
        self._scope.cancel()
        await self._done.wait()
        await self.session.close()


class Export:
    """What appears in the output folder of one build, and the session that sends it."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._disk = Disk("export")
        self._finished = anyio.Event()
        self._watch = anyio.CancelScope()
        self._early: _Early | None = None
        self._sessions: list[UploadSession] = []

    async def follow(self, tasks: TaskGroup) -> None:
        """Watch the export and report its growth; when wanted, send it meanwhile in ``tasks``."""
        try:
            with self._watch:
                path = await self._appearance()
                if self._context.services.eager:
                    self._send_early(path, tasks)
                await self._report_growth(path)
        except Exception as error:  # noqa: BLE001 - the build goes on, whatever it is
            self._warn("The export cannot be watched", error)

    def finish(self) -> None:
        """Nobody writes to the export any more; what an early upload still lacks is sent."""
        self._finished.set()

    async def deliver(self, xva_path: Path, *, resume: bool = False) -> UploadSession:
        """Return a session that has sent the finished ``xva_path``, or found it to be no XVA.

        Raises:
            UploadError: it could not be sent.
        """
        self._watch.cancel()
        self.finish()
        early = self._early
        if early is not None:
            if await self._is_good(early, xva_path):
                return early.session
            resume = early.session.target.key == self._context.xva_key
        session = self._session(FinishedFile(xva_path), resume=resume)
        with contextlib.suppress(XvaInvalidError):  # the flow judges: its report says more
            await session.stage()
        return session

    async def close(self, error: BaseException | None) -> None:
        """Close every session; ``error`` is what ended the run."""
        for session in self._sessions:
            await session.close(error)

    async def _is_good(self, early: _Early, xva_path: Path) -> bool:
        if early.path != xva_path or early.session.target.key != self._context.xva_key:
            logger.info("publish.eager_dropped", key=early.session.target.key, reason="destination")
            await early.drop()
            return False
        await early.ended()
        if early.error is not None:
            self._warn("The upload during the export failed and starts over", early.error)
        return early.error is None

    def _send_early(self, path: Path, tasks: TaskGroup) -> None:
        self._context.identity = self._context.identity_now()
        self._early = _Early(self._session(GrowingFile(path, self._finished)), path)
        tasks.start_soon(self._early.run)

    async def _appearance(self) -> Path:
        folder = self._context.plan.output_directory
        while True:
            if (path := await self._disk.call(_first_xva, folder)) is not None:
                return path
            await anyio.sleep(_POLL_S)

    async def _report_growth(self, path: Path) -> None:
        unit, reporter = self._context.unit, self._context.services.reporter
        while True:
            try:
                size_bytes = (await self._disk.call(path.stat)).st_size
            except FileNotFoundError:
                return
            reporter.emit(ExportGrew(unit=unit, size_bytes=size_bytes))
            await anyio.sleep(_POLL_S * 5)

    def _warn(self, what: str, error: BaseException) -> None:
        if not isinstance(error, AsyncpipeError | OSError):
            logger.error("publish.eager_unexpected", unit=self._context.unit, exc_info=error)
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._context.warn("eager-upload", f"{what}: {self._context.redact(why.rstrip('.'))}.")

    def _session(
        self, source: FinishedFile | GrowingFile, *, resume: bool = False
    ) -> UploadSession:
        context, key = self._context, self._context.xva_key

        def progress(sent_bytes: int, total_bytes: int | None) -> None:
            context.services.reporter.emit(
                UploadProgress(
                    unit=context.unit, key=key, sent_bytes=sent_bytes, total_bytes=total_bytes
                )
            )

        request = UploadRequest(
            store=context.services.store,
            target=Target(key=key, content_type=publish.XVA_TYPE),
            source=source,
            budget=context.services.budget,
            options=context.services.transfer,
            inspector=XvaValidator(digest_of=COMPRESSED),
            journal_path=context.plan.run_directory / "upload.json",
            resume=resume,
            # a growing file has no second chance: Packer's next export is another file
            keep=Keep.NEVER if source.grows else Keep.LOST,
            expected_size_bytes=plan.expected_size_bytes(context.plan.template),
            zstd=context.services.zstd,
            progress=progress,
            warn=context.warn,
        )
        session = UploadSession(request)
        self._sessions.append(session)
        return session


def _first_xva(folder: Path) -> Path | None:
    return next(folder.glob("*.xva"), None)
