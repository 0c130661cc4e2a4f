"""The mirrors of vendors, for ``iso-check`` and ``check --iso``: what they say is a value."""

from __future__ import annotations

from asyncpipe.model.check import UrlSeen
from asyncpipe.preflight.iso import Fetched
from asyncpipe.stores.download import DownloadError, HttpDownloads
from asyncpipe.stores.http import HttpUrls


class HttpMirrors:
    """Looks at images and fetches lists over http(s)."""

    async def look(self, url: str) -> UrlSeen:
        """Ask for an image without fetching it."""
        seen = await HttpUrls().look(url)
        if 0 < seen.status < 500:
            return seen
        return await HttpUrls().look(url)  # one request that is lost is no verdict

    async def fetch(self, url: str, *, max_bytes: int) -> Fetched:
        """Fetch a small file."""
        try:
            body = await HttpDownloads().fetch(url, max_bytes=max_bytes)
        except DownloadError as error:
            return Fetched(status=error.status, problem=error.why)
        return Fetched(status=200, body=body)
