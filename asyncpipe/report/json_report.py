"""The report of a run for machines: ``--report FILE`` (docs/report.md, schemas/report-1).

Every text that a guest may have written is cleaned of control characters and bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from asyncpipe.model.build import Phase, PhaseSpan
from asyncpipe.model.documents import fields
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.publication import Failed, Outcome, Published, Tally
from asyncpipe.model.transfer import PublishedObject
from asyncpipe.report.console.table import import_command
from asyncpipe.report.run_info import RunInfo
from asyncpipe.text.safe import clean, printable

__all__ = ["Report", "RunInfo", "encode", "render"]

_MAX_LINES: Final = 50
_MAX_LINE_CHARACTERS: Final = 2000


class RunEntry(Struct, frozen=True, kw_only=True):
    """The run as a whole."""

    id: str
    destination: str
    started_utc: str
    ended_utc: str
    duration_s: float
    exit_code: int
    directory: str
    cancelled: bool
    remains: list[str]


class Counts(Struct, frozen=True, kw_only=True):
    """How many templates ended how."""

    published: int
    failed: int
    not_started: int = 0


class SystemEntry(Struct, frozen=True, kw_only=True):
    """The operating system, as far as it is known."""

    type: str | None
    version: str | None
    release: str | None
    arch: str | None
    confidence: float


class PhaseEntry(Struct, frozen=True, kw_only=True):
    """One phase of a build."""

    phase: Phase
    started_utc: str
    duration_s: float


class FileEntry(Struct, frozen=True, kw_only=True):
    """One published object; ``checks`` were really made."""

    key: str
    url: str
    size_bytes: int
    sha256: str
    crc64nvme: str
    checks: tuple[str, ...]
    resumed_bytes: int
    duration_s: float


class FileEntries(Struct, frozen=True, kw_only=True):
    """The objects of a version."""

    xva: FileEntry
    metadata: FileEntry
    log: FileEntry
    provenance: FileEntry | None = None  # the signed statement, if the version is signed


class Place(Struct, frozen=True, kw_only=True):
    """Where an error is, when that is known."""

    file: str
    line: int | None


class _TemplateEntry(Struct, frozen=True, kw_only=True, tag_field="result"):
    template: str
    template_path: str
    duration_s: float
    os: SystemEntry | None
    phases: list[PhaseEntry]
    warnings: list[str]


class PublishedEntry(_TemplateEntry, frozen=True, kw_only=True, tag="published"):
    """A template that was published."""

    exit_code: Literal[0] = 0
    folder_url: str
    pointer_moved: bool
    import_command: str
    files: FileEntries


class FailedEntry(_TemplateEntry, frozen=True, kw_only=True, tag="failed"):
    """A template that failed."""

    exit_code: int
    error: str
    hint: str
    at: Place
    cause_lines: list[str]
    log_path: str
    log_url: str
    log_tail: list[str]
    remains: list[str]


class NotStartedEntry(FailedEntry, frozen=True, kw_only=True, tag="not-started"):
    """A template of which nothing was built: an earlier one had failed (--fail-fast)."""


class Report(Struct, frozen=True, kw_only=True):
    """A run: its own facts, and one entry for each template that ended."""

    schema_version: fields.Version
    run: RunEntry
    counts: Counts
    templates: list[PublishedEntry | FailedEntry | NotStartedEntry]


def encode(outcomes: Sequence[Outcome], run: RunInfo) -> bytes:
    """Return the report as JSON."""
    return fields.encode(render(outcomes, run))


def render(outcomes: Sequence[Outcome], run: RunInfo) -> Report:
    """Return the report of a run."""
    tally = Tally.of(outcomes)
    return Report(
        schema_version=fields.SCHEMA_VERSION,
        run=RunEntry(
            id=run.run_id,
            destination=printable(run.destination),
            started_utc=run.started_utc,
            ended_utc=run.ended_utc,
            duration_s=round(run.duration_s, 3),
            exit_code=run.exit_code,
            directory=printable(run.run_directory),
            cancelled=run.cancelled,
            remains=_texts(run.remains),
        ),
        counts=Counts(
            published=tally.published, failed=tally.failed, not_started=tally.not_started
        ),
        templates=[
            _published(outcome) if isinstance(outcome, Published) else _failed(outcome)
            for outcome in outcomes
        ],
    )


def _published(outcome: Published) -> PublishedEntry:
    publication = outcome.publication
    return PublishedEntry(
        template=outcome.unit,
        template_path=printable(outcome.template_path),
        duration_s=round(outcome.duration_s, 3),
        os=_system(outcome.identity),
        phases=[_phase(span) for span in outcome.phases],
        warnings=_texts(outcome.warnings),
        folder_url=publication.folder_url,
        pointer_moved=publication.pointer_moved,
        import_command=import_command(publication),
        files=FileEntries(
            xva=_file(publication.xva),
            metadata=_file(publication.metadata),
            log=_file(publication.log),
            provenance=_file(publication.provenance) if publication.provenance else None,
        ),
    )


def _failed(outcome: Failed) -> FailedEntry:
    kind = FailedEntry if outcome.started else NotStartedEntry
    return kind(
        template=outcome.unit,
        template_path=printable(outcome.template_path),
        duration_s=round(outcome.duration_s, 3),
        os=_system(outcome.identity),
        phases=[_phase(span) for span in outcome.phases],
        warnings=_texts(outcome.warnings),
        exit_code=outcome.exit_code,
        error=_text(outcome.error),
        hint=_text(outcome.hint),
        at=Place(file=printable(outcome.error_file), line=outcome.error_line),
        cause_lines=_texts(outcome.cause_lines),
        log_path=printable(outcome.log_path),
        log_url=printable(outcome.log_url),
        log_tail=_texts(outcome.log_tail[-_MAX_LINES:]),
        remains=_texts(outcome.remains),
    )


def _file(stored: PublishedObject) -> FileEntry:
    return FileEntry(
        key=stored.key,
        url=stored.url,
        size_bytes=stored.digests.size_bytes,
        sha256=stored.digests.sha256_hex,
        crc64nvme=stored.digests.crc64nvme_base64,
        checks=stored.checks,
        resumed_bytes=stored.resumed_bytes,
        duration_s=round(stored.duration_s, 3),
    )


def _system(identity: OsIdentity | None) -> SystemEntry | None:
    if identity is None:
        return None
    return SystemEntry(
        type=identity.os_type,
        version=identity.os_version,
        release=identity.release,
        arch=identity.arch,
        confidence=round(identity.confidence, 3),
    )


def _phase(span: PhaseSpan) -> PhaseEntry:
    return PhaseEntry(
        phase=span.phase, started_utc=span.started_utc, duration_s=round(span.duration_s, 3)
    )


def _text(text: str) -> str:
    return clean(text, limit=_MAX_LINE_CHARACTERS)


def _texts(texts: Sequence[str]) -> list[str]:
    return [_text(text) for text in texts[:_MAX_LINES]]
