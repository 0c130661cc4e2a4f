"""What happens during a run, for whoever watches: the display, the JSON log, GitHub.

``name`` is API: it is the dotted event name of the JSON log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from asyncpipe.model.build import Phase
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.publication import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The whole run is planned and begins."""

    name: ClassVar[str] = "run.started"
    run_id: str
    units: tuple[str, ...]
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateStarted:
    """One template's build begins."""

    name: ClassVar[str] = "build.started"
    unit: str
    template_path: str
    identity: OsIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLines:
    """Redacted lines of Packer's output that came at once, each bounded to 8 KiB.

    ``text`` has newlines between them and none at its end. ``count``: how many they are; None =
    not counted yet.
    """

    name: ClassVar[str] = "build.output"
    unit: str
    text: str
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseChanged:
    """The template entered a phase."""

    name: ClassVar[str] = "build.phase"
    unit: str
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The template waits for something that may not come, for at most ``limit_s`` from now."""

    name: ClassVar[str] = "build.waiting"
    unit: str
    what: str  # "Packer to clean up"
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityChanged:
    """Evidence from the guest changed or confirmed the identity."""

    name: ClassVar[str] = "detect.identity"
    unit: str
    identity: OsIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportGrew:
    """The export's file was seen with this size."""

    name: ClassVar[str] = "build.export_grew"
    unit: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadProgress:
    """Bytes that went out for one object; ``total_bytes`` is None while the source grows."""

    name: ClassVar[str] = "publish.progress"
    unit: str
    key: str
    sent_bytes: int
    total_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something a person should know that does not stop the run."""

    name: ClassVar[str] = "run.warning"
    unit: str
    code: str  # "identity-conflict", "end-of-life", "no-lifecycle-rule" ...
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFinished:
    """One template ended, well or not."""

    name: ClassVar[str] = "build.finished"
    unit: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopping:
    """A signal came: everything is cancelled and cleaned up."""

    name: ClassVar[str] = "run.stopping"
    signal: str  # "SIGTERM"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The whole run ended; the last event. A cancelled run may lack outcomes of some units."""

    name: ClassVar[str] = "run.finished"
    run_id: str
    outcomes: tuple[Outcome, ...]
    exit_code: int
    duration_s: float
    run_directory: str = ""  # logs and journal, for a person and for ``--resume``
    cancelled: bool = False
    remains: tuple[str, ...] = ()  # what a cancelled run leaves: VMs, uploads; reap looks at them


Event = (
    RunStarted
    | TemplateStarted
    | OutputLines
    | PhaseChanged
    | Waiting
    | IdentityChanged
    | ExportGrew
    | UploadProgress
    | Warned
    | TemplateFinished
    | RunStopping
    | RunFinished
)
