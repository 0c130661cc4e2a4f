"""Object keys that are safe on every store: no empty, dot or hidden-work segment, no control."""

from __future__ import annotations

from asyncpipe.errors import UsageError

WORK_FOLDER = ".asyncpipe-uploads"  # where the directory store keeps what is not published
_MAX_KEY_BYTES = 1024  # S3 user guide: "object key names"


def checked_key(key: str) -> str:
    """Return ``key`` when it names one object below the prefix; UsageError otherwise."""
    segments = key.split("/")
    bad = (
        not key.isprintable()
        or any(segment in {"", ".", ".."} for segment in segments)
        or segments[0] == WORK_FOLDER
        or len(key.encode()) > _MAX_KEY_BYTES
    )
    if bad:
        raise UsageError(f"{key[:100]!r} is not a key that an object can have.")
    return key
