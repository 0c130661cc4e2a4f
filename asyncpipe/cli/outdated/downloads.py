"""What reads the distributions' indexes is given: downloads, and a folder in the user's cache."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from asyncpipe.stores.download import DownloadError, HttpDownloads
from asyncpipe.system.environment import cache_folder
from asyncpipe.updates import IndexCache, Indexes

_GONE = frozenset({404, 410})


class IndexDownloads:
    """Fetches over http(s); a file that a server does not have is None."""

    def __init__(self) -> None:
        self._downloads = HttpDownloads()

    async def fetch(self, url: str, *, max_bytes: int) -> bytes | None:
        """The body of a small file, None where the server has none."""
        try:
            return await self._downloads.fetch(url, max_bytes=max_bytes)
        except DownloadError as error:
            if error.status in _GONE:
                return None
            raise

    async def save(self, url: str, path: Path, *, max_bytes: int) -> None:
        """Write a body to ``path``."""
        await self._downloads.save(
            url, path, max_bytes=max_bytes, on_bytes=lambda _done, _total: None
        )


@contextmanager
def opened_indexes(environment: Mapping[str, str], keyrings: tuple[Path, ...]) -> Iterator[Indexes]:
    """Indexes cached for this user; for a user without a home, for this call."""
    folder = cache_folder(environment)
    downloads = IndexDownloads()
    with tempfile.TemporaryDirectory(prefix="asyncpipe-indexes-") as name:
        cache = IndexCache(folder=folder / "indexes" if folder else Path(name), downloads=downloads)
        yield Indexes(cache=cache, downloads=downloads, now=datetime.now(UTC), keyrings=keyrings)
