"""Readings and texts -> the fields of Evidence."""

from __future__ import annotations

import re
from typing import Final

from asyncpipe.detect.names import Reading
from asyncpipe.detect.text import prepare
from asyncpipe.model.identity import Evidence, Weight
from asyncpipe.text.safe import printable, without_userinfo

MAX_TEXT_CHARS: Final = 300


def of_reading(
    reading: Reading | None, weight: Weight, kind: str, text: str, origin: str
) -> Evidence:
    """Return what a reading says, or that the text says nothing."""
    return Evidence(
        weight=weight,
        kind=kind,
        text=shown(text),
        origin=origin,
        os_type=reading.os_type if reading else None,
        os_version=reading.os_version if reading else None,
        release=reading.release if reading else None,
        codename=reading.codename if reading else None,
        arch=reading.arch if reading else None,
    )


def shown(text: str) -> str:
    """Return what is kept of a text: bounded, printable, without passwords of URLs."""
    return printable(without_userinfo(text.replace("\ufffc", "?")), MAX_TEXT_CHARS)


def arch_of(text: str | None) -> str | None:
    """Return an architecture in the table's spelling."""
    return (prepare(text).arch or slug(text)) if text else None


def slug(text: str) -> str:
    """Return a name that is safe in a folder's name."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.strip().lower())[:60].strip("-.") or "unknown"
