"""What became visible, and how each template of a run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncpipe.model.build import PhaseSpan
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.transfer import PublishedObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One visible version: its objects under a timestamp, and the pointer moved."""

    folder_key: str  # "templates/debian12/20261123T170000Z"
    folder_url: str
    xva: PublishedObject
    metadata: PublishedObject
    log: PublishedObject
    provenance: PublishedObject | None = None  # the signed statement, if there is one
    previous_metadata: Mapping[str, object] | None = None  # of the version ``latest`` named before
    pointer_moved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A template that was built, verified and published."""

    unit: str
    template_path: str
    identity: OsIdentity
    publication: Publication
    metadata: Mapping[str, object]
    duration_s: float
    phases: tuple[PhaseSpan, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A template that was not published; its log is kept where ``log_url`` or ``log_path`` say."""

    unit: str
    template_path: str
    error: str
    hint: str
    exit_code: int
    cause_lines: tuple[str, ...] = ()
    error_file: str = ""
    error_line: int | None = None
    log_path: str = ""
    log_url: str = ""
    log_tail: tuple[str, ...] = ()
    remains: tuple[str, ...] = ()  # VMs, uploads, files that a person may have to look at
    duration_s: float = 0.0
    phases: tuple[PhaseSpan, ...] = ()
    identity: OsIdentity | None = None
    warnings: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)  # the XVA report and the like
    started: bool = True  # False: its turn never came, since another one had failed


Outcome = Published | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many templates ended how; those whose turn never came have not failed."""

    published: int
    failed: int
    not_started: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Tally:
        """Count."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
        not_started = sum(not failure.started for failure in failures)
        return cls(
            published=len(outcomes) - len(failures),
            failed=len(failures) - not_started,
            not_started=not_started,
        )

    def __str__(self) -> str:
        """``3 published, 1 failed``, and what was not started if there is any."""
        rest = f", {self.not_started} not started" if self.not_started else ""
        return f"{self.published} published, {self.failed} failed{rest}"
