"""Events as JSON lines for machines: ``--log-format json``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from asyncpipe.model.events import (
    Event,
    ExportGrew,
    IdentityChanged,
    OutputLines,
    RunFinished,
    TemplateFinished,
    TemplateStarted,
    UploadProgress,
    Warned,
)
from asyncpipe.model.identity import OsIdentity
from asyncpipe.model.publication import Failed, Outcome, Published
from asyncpipe.report.console.reporter import Console
from asyncpipe.report.sink import StreamSink
from asyncpipe.system.logger import structlog
from asyncpipe.text.format import utc_text
from asyncpipe.text.safe import clean

if TYPE_CHECKING:
    from structlog.typing import EventDict

_CLOSE_TIMEOUT_S = 2.0


def _utc_now() -> str:
    return utc_text(datetime.now(UTC))


class _Lines:
    """Collects what structlog renders; the writing thread takes it as one text."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def msg(self, message: str) -> None:
        # The same JSON, but no workflow command should GitHub's runner read it. A '#' stands in
        # strings only, other characters of note are escaped by json as it is.
        self.parts.append(message.replace("##[", "#\\u0023[") + "\n")

    debug = info = warning = error = msg

    def take(self) -> str:
        text, self.parts = "".join(self.parts), []
        return text


class JsonPrinter:
    """One JSON object per event: ``event`` (its dotted name), ``level``, ``timestamp`` and more."""

    period_s = 1.0
    progress_period_s = 5.0  # of each object: machines need no film

    def __init__(self, now_utc: Callable[[], str] = _utc_now) -> None:
        self._lines = _Lines()
        self._shown_s: dict[tuple[str, str, str], float] = {}

        def stamp(_logger: object, _method: str, entry: EventDict) -> EventDict:
            return {"timestamp": now_utc(), **entry}

        self._log = structlog.wrap_logger(
            self._lines,
            processors=[
                structlog.processors.add_log_level,
                stamp,
                structlog.processors.JSONRenderer(default=str),
            ],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=False,
        )

    def rest_s(self, now_s: float) -> float:  # noqa: ARG002 -- the protocol's signature
        """Write whatever comes at once."""
        return 0.0

    def show(self, events: tuple[Event, ...], left_out: dict[str, int], now_s: float) -> str:
        """Lines in the order of the events, then how many lines of output were left out."""
        for event in events:
            if self._is_due(event, now_s):
                self._emit(event)
        for unit, count in left_out.items():
            self._log.warning("build.output_left_out", unit=unit, count=count)
        return self._lines.take()

    def tick(self, now_s: float) -> str:  # noqa: ARG002 -- the protocol's signature
        """Nothing: machines need no status line."""
        return ""

    def close(self, now_s: float) -> str:  # noqa: ARG002 -- the protocol's signature
        """Nothing: every line was whole."""
        return ""

    def _is_due(self, event: Event, now_s: float) -> bool:
        if not isinstance(event, UploadProgress | ExportGrew):
            return True
        is_whole = isinstance(event, UploadProgress) and event.sent_bytes == event.total_bytes
        key = (event.name, event.unit, getattr(event, "key", ""))
        if not is_whole and now_s - self._shown_s.get(key, -math.inf) < self.progress_period_s:
            return False
        self._shown_s[key] = now_s
        return True

    def _emit(self, event: Event) -> None:
        if isinstance(event, OutputLines):
            for line in event.text.split("\n"):
                self._log.info(event.name, unit=event.unit, text=clean(line))
            return
        values = _values(event)
        if isinstance(event, Warned):
            self._log.warning(event.name, **values)
        elif isinstance(event, TemplateFinished) and isinstance(event.outcome, Failed):
            self._log.error(event.name, **values)
        else:
            self._log.info(event.name, **values)


@contextmanager
def open_json_log(
    *, stream: TextIO, close_timeout_s: float = _CLOSE_TIMEOUT_S
) -> Iterator[Console]:
    """Open a reporter that writes a JSON line per event to ``stream``, under a console's rules."""
    console = Console(JsonPrinter(), StreamSink(stream), time.monotonic)
    console.start()
    try:
        yield console
    finally:
        console.close(close_timeout_s)


def _values(event: Event) -> dict[str, object]:
    match event:
        case TemplateStarted():
            system = _system(event.identity)
            return {"unit": event.unit, "template_path": event.template_path, **system}
        case IdentityChanged():
            return {"unit": event.unit, **_system(event.identity)}
        case TemplateFinished():
            return {"unit": event.unit, **_outcome(event.outcome)}
        case RunFinished():
            values = _fields(event)
            return {**values, "outcomes": {o.unit: _outcome(o) for o in event.outcomes}}
    return _fields(event)


def _fields(event: Event) -> dict[str, object]:
    return {field.name: getattr(event, field.name) for field in fields(event)}


def _system(identity: OsIdentity) -> dict[str, object]:
    return {
        "os": identity.short_id,
        "release": identity.release,
        "arch": identity.arch,
        "confidence": round(identity.confidence, 3),
    }


def _outcome(outcome: Outcome) -> dict[str, object]:
    took = round(outcome.duration_s, 3)
    if isinstance(outcome, Published):
        xva = outcome.publication.xva
        return {
            "result": "published",
            "url": xva.url,
            "size_bytes": xva.digests.size_bytes,
            "sha256": xva.digests.sha256_hex,
            "duration_s": took,
        }
    return {
        "result": "failed",
        "error": clean(outcome.error),
        "hint": clean(outcome.hint),
        "exit_code": outcome.exit_code,
        "log": outcome.log_url or outcome.log_path,
        "duration_s": took,
    }
