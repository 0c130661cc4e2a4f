"""Moments in UTC as keys and documents write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

TIMESTAMP_FORMAT: Final = "%Y%m%dT%H%M%SZ"


def timestamp_of(moment: datetime) -> str:
    """``20261123T170000Z``: the timestamp of a run, part of every key it publishes."""
    return moment.astimezone(UTC).strftime(TIMESTAMP_FORMAT)


def utc_text(moment: datetime) -> str:
    """``2026-11-23T17:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
