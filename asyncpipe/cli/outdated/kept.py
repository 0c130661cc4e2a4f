"""The last answer of ``outdated`` for each version, in the user's cache: ``list`` and page show it.

It is as of the day that stands beside it; showing it asks no archive. The versions that an answer
is about never change, so it stays true of its day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from asyncpipe.errors import UploadError
from asyncpipe.model.documents import fields
from asyncpipe.model.documents.fields import Key, MomentUtc, Shown, Text
from asyncpipe.system.environment import cache_folder, with_home
from asyncpipe.system.files import make_folder, read_regular, replace_file
from asyncpipe.text.format import utc_text

_MAX_BYTES: Final = 16 * 1024 * 1024
_FORGET: Final = timedelta(days=90)


class Reason(Shown, frozen=True, kw_only=True):
    """A reason to build a version again, in a few words."""

    text: Text


class Answer(Struct, frozen=True, kw_only=True):
    """What ``outdated`` found about one version, and when; no reasons: it was up to date."""

    checked_utc: MomentUtc
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=20)]

    def __str__(self) -> str:
        """``outdated on 2026-11-27: lacks 2 security updates: openssl, libc6``."""
        if not self.reasons:
            return ""
        why = "; ".join(reason.text for reason in self.reasons)
        return f"outdated on {self.checked_utc[:10]}: {why}"


class _Kept(Struct, frozen=True, kw_only=True):
    schema_version: fields.Version
    answers: dict[Key, Answer]  # by folder of the version


def keep(store_url: str, reasons: Mapping[str, Collection[str]], now: datetime) -> str:
    """Note the reasons of each judged version, by its folder; returns why that failed, or ""."""
    path = _path(store_url)
    if path is None:
        return "there is no home for a cache"
    checked_utc = utc_text(now)
    said = {
        folder: Answer(
            checked_utc=checked_utc,
            reasons=tuple(Reason(text=text[:2000]) for text in list(texts)[:20]),
        )
        for folder, texts in reasons.items()
    }
    oldest_utc = utc_text(now - _FORGET)
    known = {at: one for at, one in kept(store_url).items() if one.checked_utc >= oldest_utc}
    document = _Kept(schema_version=fields.SCHEMA_VERSION, answers=known | said)
    try:
        make_folder(path.parent)
        replace_file(path, fields.encode(document, compact=True), mode=0o644, durable=False)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def kept(store_url: str) -> Mapping[str, Answer]:
    """The last answer for each version of a destination; a file that is damaged has none."""
    path = _path(store_url)
    try:
        if path is not None:
            return fields.decode(read_regular(path, max_bytes=_MAX_BYTES), _Kept).answers
    except (OSError, UploadError):  # damaged, or of a newer asyncpipe
        pass
    return {}


def _path(store_url: str) -> Path | None:
    folder = cache_folder(with_home())
    name = hashlib.sha256(store_url.encode()).hexdigest()[:32]
    return folder / "outdated" / f"{name}.json" if folder else None
