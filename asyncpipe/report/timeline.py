"""The phases of all templates as a Mermaid gantt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from asyncpipe.model.publication import Failed, Outcome

_MAX_TEMPLATES = 60  # more cannot be read, and Mermaid refuses above 50,000 characters
_MAX_CHARACTERS = 45_000
_PLAIN = re.compile(r"[^A-Za-z0-9 ._-]")  # Mermaid reads ':', ',', ';', '#' as its own


def gantt(outcomes: Sequence[Outcome]) -> str:
    """Return a fenced Mermaid block, a section per template; "" without any phase."""
    lines: list[str] = []
    for outcome in outcomes[:_MAX_TEMPLATES]:
        lines += _section(outcome)
    text = "\n".join(lines)
    if not lines or len(text) > _MAX_CHARACTERS:
        return ""
    head = "gantt\n  dateFormat YYYY-MM-DDTHH:mm:ss\n  axisFormat %H:%M:%S\n"
    return f"```mermaid\n{head}{text}\n```\n"


def _section(outcome: Outcome) -> Iterator[str]:
    spans = [span for span in outcome.phases if _start(span.started_utc)]
    if not spans:
        return
    name = _PLAIN.sub("_", outcome.unit)[:60]
    yield f"  section {name}"
    for number, span in enumerate(spans, 1):
        is_last = number == len(spans)
        mark = "crit, " if is_last and isinstance(outcome, Failed) else ""
        length_s = max(1, round(span.duration_s))
        yield f"  {span.phase.value} :{mark}{_start(span.started_utc)}, {length_s}s"


def _start(started_utc: str) -> str:
    try:
        moment = datetime.fromisoformat(started_utc)
    except ValueError:
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
