"""What belongs to a run and not to one of its templates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What belongs to the run and to no template; times in UTC, ISO 8601."""

    run_id: str
    destination: str
    started_utc: str
    ended_utc: str
    duration_s: float
    exit_code: int
    run_directory: str = ""
    cancelled: bool = False
    earlier_urls: tuple[str, ...] = ()  # that an earlier attempt of the workflow published
    remains: tuple[str, ...] = ()  # what is left for a person or for reap to look at
