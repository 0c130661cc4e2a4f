"""What one template's run has learned so far: log, identity, verdict, metadata, journal.

The stages know nothing of one another; the flow (``pipeline``) calls them and keeps here what one
of them found out and a later one needs.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import anyio

from asyncpipe import catalog, detect, metadata
from asyncpipe.detect import evidence
from asyncpipe.detect.guest import GuestCollector
from asyncpipe.detect.medium import MediumCollector
from asyncpipe.errors import XvaInvalidError
from asyncpipe.model import store_keys
from asyncpipe.model.build import BuildExit, BuildPlan, Phase
from asyncpipe.model.documents.run_state import UnitState
from asyncpipe.model.events import IdentityChanged, OutputLines, PhaseChanged, Waiting, Warned
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.log import SealedLog
from asyncpipe.model.publication import Failed, Publication, Published
from asyncpipe.model.run import FileEntry
from asyncpipe.model.transfer import PublishedObject
from asyncpipe.model.xva import XvaReport, compressed_before, report_to_dict
from asyncpipe.run import identify, plan, publish
from asyncpipe.run import log as buildlog
from asyncpipe.run.host.beside import HostSide
from asyncpipe.run.services import Services
from asyncpipe.run.state import Built
from asyncpipe.system.disk import Disk
from asyncpipe.text import mask
from asyncpipe.text.lines import Lines
from asyncpipe.text.mask import Redactor

_LOG_TAIL_LINES = 40
_SEAL_S = 5.0


class RunContext:
    """What one template's run has learned so far, and where it reports it."""

    def __init__(
        self, build_plan: BuildPlan, services: Services, built: Built | None = None
    ) -> None:
        self._built = built
        self.is_built = built is not None  # from then on the build is not needed again
        self._redactor = Redactor(services.secrets)
        self.plan = build_plan
        self.services = services
        self.unit = build_plan.unit
        self.identity = build_plan.static_identity
        self.guest = GuestCollector()
        self.medium = MediumCollector()
        self.build_exit: BuildExit | None = None
        self.sealed: SealedLog | None = None
        self.report: XvaReport | None = None
        self.boot_test: Mapping[str, object] | None = None
        self.screenshot = b""  # of an image that failed it
        self.document: Mapping[str, Any] = {}
        self.warnings: list[str] = []
        self.tail: list[str] = []
        self.host = HostSide(
            plan=build_plan,
            run_id=services.facts.run_id,
            reports=self,
            host=services.host_of(build_plan) if services.host_of else None,
        )
        self._started_s = time.monotonic()

    @property
    def destination(self) -> publish.Destination:
        """The store, what bounds the traffic to it, and where its warnings go."""
        return publish.Destination(
            store=self.services.store,
            budget=self.services.budget,
            options=self.services.transfer,
            warn=self.warn,
        )

    @property
    def folder_key(self) -> str:
        """Where the version stands, as far as is known now."""
        if self._built is not None:
            return self._built.folder_key
        return store_keys.folder_key(self.name, self.plan.timestamp)

    @property
    def name(self) -> str:
        """The published file's name, less its suffix."""
        if self._built is not None:
            return self._built.name
        return plan.published_name(self.identity, self.unit, self.plan.variant)

    @property
    def xva_key(self) -> str:
        """The XVA's key."""
        return f"{self.folder_key}/{self.name}.xva"

    @property
    def duration_s(self) -> float:
        """Seconds since the run of this template began."""
        return time.monotonic() - self._started_s

    # -- the log and its subscribers ----------------------------------------------------------

    @asynccontextmanager
    async def open_log(self) -> AsyncIterator[buildlog.BuildLog]:
        """Open build.log, with its subscribers; it is sealed whatever happens."""
        async with self.log_at(self.plan.run_directory / store_keys.LOG_NAME) as log:
            # apart: a defect in one listener must not silence the other
            log.subscribe_batches(self.guest.feed_lines, whole_lines=True)
            log.subscribe_batches(self.medium.feed_lines, whole_lines=True)
            log.subscribe_batches(self.on_lines)
            try:
                yield log
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(_SEAL_S):
                    self.sealed = self.sealed or await log.seal()

    def log_at(self, path: Path) -> AbstractAsyncContextManager[buildlog.BuildLog]:
        """Open a log with the run's masks and without subscribers."""
        return buildlog.open_log(path, log_files=self.services.log_files, redactor=self._redactor)

    def on_lines(self, lines: Lines) -> None:
        """Take masked lines of Packer's output."""
        self.tail += lines.last(_LOG_TAIL_LINES)
        del self.tail[:-_LOG_TAIL_LINES]
        self.services.reporter.emit(OutputLines(unit=self.unit, text=lines.text, count=len(lines)))

    def on_phase(self, phase: Phase) -> None:
        """Emit the phase."""
        self.services.reporter.emit(PhaseChanged(unit=self.unit, phase=phase))

    def on_waiting(self, what: str, limit_s: float) -> None:
        """Emit what is waited for."""
        self.services.reporter.emit(Waiting(unit=self.unit, what=what, limit_s=limit_s))

    def on_exit(self, build_exit: BuildExit) -> None:
        """Keep how Packer ended, also when that ends the run."""
        self.build_exit = build_exit

    def warn(self, code: str, message: str) -> None:
        """Emit and keep a warning."""
        self.warnings.append(message)
        self.services.reporter.emit(Warned(unit=self.unit, code=code, message=message))

    async def log_sealed_before(self) -> SealedLog:
        """The log of a build that an earlier process ran, as it lies on disk."""
        assert self._built is not None
        return await Disk(store_keys.LOG_NAME).call(
            buildlog.sealed_on_disk,
            self.plan.run_directory / store_keys.LOG_NAME,
            self._built.redaction_count + self._redactor.count,
        )

    # -- who it is ---------------------------------------------------------------------------

    def identity_now(self) -> OsIdentity:
        """The answer with what Packer and the guest have said until now."""
        said = evidence.from_packer(self.medium.url) if self.medium.url else ()
        guest = evidence.from_guest(self.guest.facts())
        return detect.determine_os_info((*self.plan.static_identity.evidence, *said, *guest))

    def identify(self) -> None:
        """Settle the identity; with --strict-identity a contradiction ends the run here."""
        self.identity = self.identity_now()
        self.services.reporter.emit(IdentityChanged(unit=self.unit, identity=self.identity))
        for code, message in identify.warnings_of(self.identity, self.folder_key):
            self.warn(code, message)
        if self.plan.strict_identity:
            identify.refuse_contradiction(self.identity)

    # -- the verdict, the metadata, the pointer ------------------------------------------------

    def judge(self, report: object) -> None:
        """Take the XVA's verdict; a rejected one is never made visible."""
        assert isinstance(report, XvaReport)
        self.report = report
        for finding in report.warnings:
            self.warn(f"xva-{finding.code}", finding.message)
        if not report.accepted:
            built = "" if self._built else "Packer itself ended well. "
            again = "Export it again" if self._built else "Build again"
            raise XvaInvalidError(
                f"The exported XVA is not valid: {report.rejection}",
                hint=f"{built}{again}; look at the host's storage and network if it happens twice.",
            )

    @property
    def xva_report(self) -> dict[str, object] | None:
        """What metadata keeps of the verdict."""
        return report_to_dict(self.report) if self.report else None

    def draft(self) -> dict[str, Any]:
        """The metadata as far as it is known without the files."""
        known = self.services.secrets
        return metadata.with_boot_test(self._draft(), self.boot_test, known=known)

    def _draft(self) -> dict[str, Any]:
        if self._built is not None:
            parent = self.services.parent
            return {**self._built.draft, **({"parent": asdict(parent)} if parent else {})}
        return dict(
            metadata.draft(
                plan=self.plan,
                build_exit=self.build_exit,
                identity=self.identity,
                guest=self.guest.facts(),
                facts=self.services.facts,
                host=self.host.outcome,
                made=self.host.objects,
                known=self.services.secrets,
            )
        )

    def compose(self, xva: PublishedObject, log: PublishedObject) -> bytes:
        """The metadata, encoded; what it says is kept for the report and the catalogue."""
        assert self.sealed is not None
        if xva.compressed is not None and self.report is not None:
            self.report = self.report.as_stored(xva.compressed, xva.digests.size_bytes)
        compressed = xva.compressed or compressed_before(self.report)
        self.document = metadata.complete(
            self.draft(),
            xva=FileEntry(key=xva.key, digests=xva.digests, compressed=compressed),
            log=FileEntry(key=log.key, digests=log.digests),
            sealed=self.sealed,
            xva_report=self.xva_report,
            checks=xva.checks,
            signature=self.signature,
            known=self.services.secrets,
        )
        return metadata.encode(self.document)

    @property
    def signature(self) -> tuple[str, str] | None:
        """The key of the signed statement and who signs it, None where nobody does."""
        signer = self.services.signer
        return (f"{self.folder_key}/{signer.object_name}", signer.who) if signer else None

    async def move_pointer(self, publication: Publication) -> Publication:
        """Make readers find the version; last, and never backwards."""
        entry = catalog.entry_of(metadata.published(self.document), publication.provenance)
        result = await catalog.move_pointer(self.services.store, entry)
        for warning in result.warnings:
            self.warn("catalogue", warning)
        return replace(
            publication,
            pointer_moved=result.moved,
            previous_metadata=result.previous_metadata,
        )

    def published(self, publication: Publication) -> Published:
        """The outcome of a template that ended well."""
        return Published(
            unit=self.unit,
            template_path=str(self.plan.template.path),
            identity=self.identity,
            publication=publication,
            metadata=self.document,
            duration_s=self.duration_s,
            phases=self.build_exit.phases if self.build_exit else (),
            warnings=tuple(self.warnings),
        )

    def failed(self, error: BaseException, *, text: str, exit_code: int, log_url: str) -> Failed:
        """The outcome of a template that did not; every text in it is redacted."""
        return Failed(
            unit=self.unit,
            template_path=str(self.plan.template.path),
            error=text,
            hint=self.redact(getattr(error, "hint", "")),
            exit_code=exit_code,
            cause_lines=tuple(map(self.redact, getattr(error, "cause_lines", ()))),
            error_file=getattr(error, "file", ""),
            error_line=getattr(error, "line", None),
            log_path=str(self.sealed.path) if self.sealed else "",
            log_url=log_url,
            log_tail=tuple(self.tail),
            remains=self.host.outcome.sentences,
            duration_s=self.duration_s,
            phases=self.build_exit.phases if self.build_exit else (),
            identity=self.identity,
            warnings=tuple(self.warnings),
            details={"xva": self.xva_report} if self.xva_report else {},
        )

    def redact(self, text: str) -> str:
        """Take the known secrets and whatever looks like one out of a text."""
        return mask.text(text, self.services.secrets)

    # -- the journal ---------------------------------------------------------------------------

    async def note_state(self, state: UnitState, **more: Any) -> None:
        """Write the state to the journal; a disk that refuses is a warning."""
        problem = await self.services.journal.note(
            self.unit,
            state,
            template=str(self.plan.template.path),
            run_directory=str(self.plan.run_directory),
            output_directory=str(self.plan.output_directory),
            folder_key=self.folder_key,
            **more,
        )
        if problem:
            self.warn("run-state", problem)

    async def note_host(self, **changes: Any) -> None:
        """Write what is known of the host to the journal, whatever the state."""
        state = self.services.journal.state_of(self.unit) or UnitState.BUILDING
        problem = await self.services.journal.note(self.unit, state, **changes)
        if problem:
            self.warn("run-state", problem)

    async def keep_for_resume(self, xva_path: Path) -> None:
        """From here on the build is not needed again: the upload can be resumed from disk."""
        built = Built(
            xva_path=xva_path,
            folder_key=self.folder_key,
            name=self.name,
            redaction_count=self._redactor.count,
            draft=self.draft(),
        )
        problem = await built.keep(self.plan.run_directory)
        if problem:
            self.warn("run-state", f"The upload could not be resumed after a crash: {problem}")
            return
        self.is_built = True
        await self.note_state(UnitState.BUILT)
