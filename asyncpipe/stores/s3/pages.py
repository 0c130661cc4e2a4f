"""Listings page by page, ended when a store's pages do not advance."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from asyncpipe.errors import UploadError
from asyncpipe.stores.s3.calls import S3Calls

MOST_PAGES: Final = 10_000  # ten million objects

# operation -> what the next call is given, and where the answer says it
_MARKERS: Final[Mapping[str, Mapping[str, str]]] = {
    "list_objects_v2": {"ContinuationToken": "NextContinuationToken"},
    "list_parts": {"PartNumberMarker": "NextPartNumberMarker"},
    "list_multipart_uploads": {
        "KeyMarker": "NextKeyMarker",
        "UploadIdMarker": "NextUploadIdMarker",
    },
}
_ITEMS: Final = {
    "list_objects_v2": "Contents",
    "list_parts": "Parts",
    "list_multipart_uploads": "Uploads",
}


async def pages(
    calls: S3Calls, operation: str, key: str | None, /, **parameters: Any
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """The entries of each page of a listing.

    Raises:
        UploadError: the store repeats a page, or has more of them than any bucket of ours.
    """
    more: dict[str, Any] = {}
    last_items: list[dict[str, Any]] = []
    for _ in range(MOST_PAGES):
        page = await calls.call("small", operation, key, **parameters, **more)
        items: list[dict[str, Any]] = page.get(_ITEMS[operation], [])
        if items and items[:1] == last_items[:1]:
            raise _stuck(calls, operation, key)
        yield items
        if not page.get("IsTruncated"):
            return
        following = {ours: page.get(theirs) for ours, theirs in _MARKERS[operation].items()}
        following = {name: value for name, value in following.items() if value is not None}
        if not following or following == more:
            raise _stuck(calls, operation, key)
        more, last_items = following, items or last_items
    raise _stuck(calls, operation, key)


def _stuck(calls: S3Calls, operation: str, key: str | None) -> UploadError:
    return UploadError(
        f"{calls.url_of(key or '')}: the store's answers to {operation} never come to an end.",
        hint="The server repeats its pages: an update of it may help.",
    )
