"""Events folded into what a display shows of each template: phase, elapsed, bytes, rate, ETA."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from asyncpipe.model.build import Phase
from asyncpipe.model.events import (
    Event,
    ExportGrew,
    IdentityChanged,
    PhaseChanged,
    TemplateFinished,
    TemplateStarted,
    UploadProgress,
    Waiting,
)
from asyncpipe.model.publication import Published
from asyncpipe.report.console.rate import RateMeter

_SENDING = frozenset({Phase.VERIFY, Phase.PUBLISH})


class State(StrEnum):
    """How far a template has come in the run."""

    WAITING = "waiting"
    RUNNING = "running"
    PUBLISHED = "published"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One template at one moment; None = not known (yet)."""

    unit: str
    state: State
    phase: str  # "" before the first
    system: str  # "debian12", "" when unknown
    elapsed_s: float
    phase_elapsed_s: float
    done_bytes: int | None = None
    total_bytes: int | None = None
    rate_bytes_per_s: float | None = None
    eta_s: float | None = None
    waits_for: str = ""  # what may not come
    left_s: float = 0.0  # until it is waited for no longer


class _Unit:
    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.state = State.WAITING
        self.phase: Phase | None = None
        self.system = ""
        self.started_s = self.phase_started_s = 0.0
        self.ended_s: float | None = None
        self.waits_for, self.waits_until_s = "", 0.0
        self.export_bytes: int | None = None
        self.sent: dict[str, tuple[int, int | None]] = {}
        self.export_rate, self.send_rate = RateMeter(), RateMeter()

    def row(self, now_s: float) -> Row:
        if self.state is State.WAITING:
            return self._row(0.0, 0.0)
        end_s = now_s if self.ended_s is None else self.ended_s
        elapsed_s, phase_s = end_s - self.started_s, end_s - self.phase_started_s
        if self.phase in _SENDING and self.sent:
            done_bytes, total_bytes = self._sent()
            rate = self._rate(self.send_rate, now_s)
            return self._row(elapsed_s, phase_s, done_bytes, total_bytes, rate)
        return self._row(
            elapsed_s, phase_s, self.export_bytes, None, self._rate(self.export_rate, now_s)
        )

    def _rate(self, meter: RateMeter, now_s: float) -> float | None:
        return meter.rate(now_s) if self.state is State.RUNNING else None

    def _row(
        self,
        elapsed_s: float,
        phase_s: float,
        done_bytes: int | None = None,
        total_bytes: int | None = None,
        rate: float | None = None,
    ) -> Row:
        eta_s = None
        if rate and total_bytes is not None and done_bytes is not None:
            eta_s = max(0.0, (total_bytes - done_bytes) / rate)
        return Row(
            unit=self.unit,
            state=self.state,
            phase=self.phase.value if self.phase else "",
            system=self.system,
            elapsed_s=max(0.0, elapsed_s),
            phase_elapsed_s=max(0.0, phase_s),
            done_bytes=done_bytes,
            total_bytes=total_bytes,
            rate_bytes_per_s=rate,
            eta_s=eta_s,
            waits_for=self.waits_for,
            left_s=max(0.0, self.waits_until_s - self.started_s - elapsed_s),
        )

    def _sent(self) -> tuple[int, int | None]:
        totals = [total for _, total in self.sent.values() if total is not None]
        whole = sum(totals) if len(totals) == len(self.sent) else None
        return sum(sent for sent, _ in self.sent.values()), whole

    def sent_now(self, event: UploadProgress, now_s: float) -> None:
        self.sent[event.key] = (event.sent_bytes, event.total_bytes)
        self.send_rate.add(now_s, self._sent()[0])

    def enter(self, phase: Phase | None, now_s: float) -> None:
        self.phase, self.phase_started_s = phase, now_s
        self.waits_for = ""

    def wait_for(self, event: Waiting, now_s: float) -> None:
        self.waits_for, self.waits_until_s = event.what, now_s + event.limit_s


class RunProgress:
    """The state of all templates of a run; one thread only."""

    def __init__(self, units: Iterable[str]) -> None:
        self._units = {unit: _Unit(unit) for unit in units}

    def rows(self, now_s: float) -> tuple[Row, ...]:
        """One row per template, in the order of the run."""
        return tuple(unit.row(now_s) for unit in self._units.values())

    def elapsed_s(self, unit: str, now_s: float) -> float:
        """Seconds since this template began."""
        return self._unit(unit).row(now_s).elapsed_s

    def apply(self, event: Event, now_s: float) -> None:
        """Fold one event in; events that change nothing here pass."""
        match event:
            case TemplateStarted():
                unit = self._unit(event.unit)
                unit.state, unit.started_s = State.RUNNING, now_s
                unit.ended_s = None
                unit.system = event.identity.short_id or ""
                unit.enter(Phase.START, now_s)
            case PhaseChanged():
                unit = self._unit(event.unit)
                if unit.state is State.WAITING:  # nothing was built: a finished XVA is published
                    unit.state, unit.started_s = State.RUNNING, now_s
                unit.enter(event.phase, now_s)
            case Waiting():
                self._unit(event.unit).wait_for(event, now_s)
            case IdentityChanged():
                self._unit(event.unit).system = event.identity.short_id or ""
            case ExportGrew():
                unit = self._unit(event.unit)
                unit.export_bytes = event.size_bytes
                unit.export_rate.add(now_s, event.size_bytes)
            case UploadProgress():
                self._unit(event.unit).sent_now(event, now_s)
            case TemplateFinished():
                unit = self._unit(event.unit)
                good = isinstance(event.outcome, Published)
                unit.state, unit.ended_s = State.PUBLISHED if good else State.FAILED, now_s
            case _:
                pass

    def _unit(self, name: str) -> _Unit:
        return self._units.setdefault(name, _Unit(name))
