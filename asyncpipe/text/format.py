"""Sizes, rates, durations and moments, written the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

#: Of a run, part of every key that it publishes.
TIMESTAMP_FORMAT: Final = "%Y%m%dT%H%M%SZ"

_BINARY_UNITS = ("KiB", "MiB", "GiB", "TiB")


def size_text(size_bytes: float) -> str:
    """``1.4 GiB``; whole bytes below 1 KiB."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    value = size_bytes / 1024
    for unit in _BINARY_UNITS:
        if value < 1023.95:  # what rounds to 1024.0 is one of the next unit
            return f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} PiB"


def rate_text(rate_bytes_per_s: float) -> str:
    """``85.0 MiB/s``."""
    return f"{size_text(rate_bytes_per_s)}/s"


def duration_text(duration_s: float) -> str:
    """``4.2s``, ``3m12s``, ``2h05m``."""
    if duration_s < 10:
        return f"{max(0.0, duration_s):.1f}s"
    whole_s = round(duration_s)
    if whole_s < 60:
        return f"{whole_s}s"
    minutes, seconds = divmod(whole_s, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def counted(count: int, noun: str) -> str:
    """``1 version``, ``1,204 versions``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def timestamp_of(moment: datetime) -> str:
    """``20261123T170000Z``: the timestamp of a run, part of every key it publishes."""
    return moment.astimezone(UTC).strftime(TIMESTAMP_FORMAT)


def moment_of(timestamp: str) -> datetime | None:
    """The moment that a run's timestamp names; None when it names none."""
    try:
        return datetime.strptime(timestamp, TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def utc_text(moment: datetime) -> str:
    """``2026-11-23T17:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
