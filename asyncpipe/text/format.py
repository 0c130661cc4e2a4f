"""Sizes, rates, durations and moments, written the same everywhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

#: Of a run, part of every key that it publishes.
TIMESTAMP_FORMAT: Final = "%Y%m%dT%H%M%SZ"

_TIMESTAMP: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_DAY_S: Final = 86_400
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


def age_text(seconds: float) -> str:
    """``41 min``, ``7 h``, ``12 days``, ``5 months``, ``3 years``: whole ones that have passed."""
    for unit_s, until, unit in (
        (60, 60, "min"),
        (3600, 48, "h"),
        (_DAY_S, 100, "days"),
        (30.44 * _DAY_S, 24, "months"),
    ):
        if seconds < unit_s * until:
            return f"{max(0, int(seconds / unit_s))} {unit}"
    return f"{int(seconds / (365.25 * _DAY_S))} years"


def counted(count: int, noun: str) -> str:
    """``1 version``, ``1,204 versions``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def timestamp_of(moment: datetime) -> str:
    """``20261123T170000Z``: the timestamp of a run, part of every key it publishes."""
    return moment.astimezone(UTC).strftime(TIMESTAMP_FORMAT)


def moment_of(timestamp: str) -> datetime | None:
    """The moment that a run's timestamp names; None when it names none."""
    if not _TIMESTAMP.fullmatch(timestamp):  # fromisoformat takes other forms too
        return None
    try:
        return datetime.fromisoformat(timestamp)  # ten times as quick as strptime
    except ValueError:
        return None


def utc_text(moment: datetime) -> str:
    """``2026-11-23T17:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
