"""The report of a run for machines: ``--report FILE`` (docs/report.md has the fields)."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpipe.model.build import PhaseSpan
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.publication import Failed, Outcome, Published
from asyncpipe.model.transfer import PublishedObject
from asyncpipe.report.console.table import import_command
from asyncpipe.report.run_info import RunInfo
from asyncpipe.text.safe import clean

__all__ = ["SCHEMA_VERSION", "RunInfo", "render"]

SCHEMA_VERSION = 1
_MAX_LINES = 50
_MAX_LINE_CHARACTERS = 2000

Json = dict[str, object]


def render(outcomes: Sequence[Outcome], run: RunInfo) -> Json:
    """Return the report: JSON types only, every text of a guest cleaned and bounded.

    Shape: ``schema_version``, ``run`` (the fields of RunInfo), ``counts`` (``published``,
    ``failed``) and ``templates``, one object per outcome. All have ``template``,
    ``template_path``, ``result`` ("published" or "failed"), ``exit_code``, ``duration_s``,
    ``os``, ``phases``, ``warnings``; a published one adds ``folder_url``, ``pointer_moved``,
    ``import_command`` and ``files``; a failed one ``error``, ``hint``, ``at``, ``cause_lines``,
    ``log_path``, ``log_url``, ``log_tail`` and ``remains``.
    """
    published = sum(isinstance(outcome, Published) for outcome in outcomes)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            "id": run.run_id,
            "destination": run.destination,
            "started_utc": run.started_utc,
            "ended_utc": run.ended_utc,
            "duration_s": round(run.duration_s, 3),
            "exit_code": run.exit_code,
            "directory": run.run_directory,
            "cancelled": run.cancelled,
            "remains": _texts(run.remains),
        },
        "counts": {"published": published, "failed": len(outcomes) - published},
        "templates": [_template(outcome) for outcome in outcomes],
    }


def _template(outcome: Outcome) -> Json:
    common: Json = {
        "template": outcome.unit,
        "template_path": outcome.template_path,
        "result": _result(outcome),
        "exit_code": 0 if isinstance(outcome, Published) else outcome.exit_code,
        "duration_s": round(outcome.duration_s, 3),
        "os": _system(outcome.identity),
        "phases": [_phase(span) for span in outcome.phases],
        "warnings": _texts(outcome.warnings),
    }
    own = _published(outcome) if isinstance(outcome, Published) else _failed(outcome)
    return {**common, **own}


def _result(outcome: Outcome) -> str:
    if isinstance(outcome, Published):
        return "published"
    return "failed" if outcome.started else "not-started"


def _published(outcome: Published) -> Json:
    publication = outcome.publication
    return {
        "folder_url": publication.folder_url,
        "pointer_moved": publication.pointer_moved,
        "import_command": import_command(publication),
        "files": {
            "xva": _file(publication.xva),
            "metadata": _file(publication.metadata),
            "log": _file(publication.log),
        },
    }


def _file(stored: PublishedObject) -> Json:
    return {
        "key": stored.key,
        "url": stored.url,
        "size_bytes": stored.digests.size_bytes,
        "sha256": stored.digests.sha256_hex,
        "crc64nvme": stored.digests.crc64nvme_base64,
        "checks": list(stored.checks),
        "resumed_bytes": stored.resumed_bytes,
        "duration_s": round(stored.duration_s, 3),
    }


def _failed(outcome: Failed) -> Json:
    return {
        "error": _text(outcome.error),
        "hint": _text(outcome.hint),
        "at": {"file": outcome.error_file, "line": outcome.error_line},
        "cause_lines": _texts(outcome.cause_lines),
        "log_path": outcome.log_path,
        "log_url": outcome.log_url,
        "log_tail": _texts(outcome.log_tail[-_MAX_LINES:]),
        "remains": _texts(outcome.remains),
    }


def _system(identity: OsIdentity | None) -> Json | None:
    if identity is None:
        return None
    return {
        "type": identity.os_type,
        "version": identity.os_version,
        "release": identity.release,
        "arch": identity.arch,
        "confidence": round(identity.confidence, 3),
    }


def _phase(span: PhaseSpan) -> Json:
    return {
        "phase": span.phase.value,
        "started_utc": span.started_utc,
        "duration_s": round(span.duration_s, 3),
    }


def _text(text: str) -> str:
    return clean(text, limit=_MAX_LINE_CHARACTERS)


def _texts(texts: Sequence[str]) -> list[str]:
    return [_text(text) for text in texts[:_MAX_LINES]]
