"""The shipped fake of a Reporter: it keeps every event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from asyncpipe.model.events import Event

Kind = TypeVar("Kind", bound=Event)


@dataclass(slots=True)
class RecordedEvents:
    """A Reporter for tests that look at what a run said."""

    heard: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        """Keep one event."""
        self.heard.append(event)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the events of one kind, in order."""
        return [event for event in self.heard if isinstance(event, kind)]
