"""Indexes on disk, each under its SHA-256: fetched once while it stays the same."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio.to_thread

from asyncpipe.updates.refused import IndexRefusedError

MAX_CACHE_BYTES: Final = 1024**3
_MAX_INDEX_BYTES: Final = 512 * 1024 * 1024
_CHUNK_BYTES: Final = 1024 * 1024


class Downloads(Protocol):
    """Fetches over http(s), certificates checked, by the proxies of the environment."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes | None:
        """The body of a small file, None where the server has none; raises UsageError."""
        ...

    async def save(self, url: str, path: Path, *, max_bytes: int) -> None:
        """Write a body to ``path``; raises UsageError, OSError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCache:
    """A folder of indexes; what was not used for longest goes when it grows too large."""

    folder: Path
    downloads: Downloads
    max_bytes: int = MAX_CACHE_BYTES

    async def get(self, url: str, *, size_bytes: int, sha256_hex: str) -> Path:
        """Return a file with exactly these bytes, from the folder or from ``url``.

        Raises:
            IndexRefusedError: the bytes at ``url`` are others, or the disk refused.
            UsageError: it cannot be fetched.
        """
        if size_bytes > _MAX_INDEX_BYTES:
            raise IndexRefusedError(f"{url} is said to have {size_bytes:,} bytes: too many.")
        path = self.folder / sha256_hex
        try:
            if await anyio.to_thread.run_sync(_is_whole, path, sha256_hex):
                return path
            return await self._fetched(url, path, size_bytes, sha256_hex)
        except OSError as error:
            raise IndexRefusedError(f"{self.folder} cannot be written: {error}.") from error

    async def _fetched(self, url: str, path: Path, size_bytes: int, sha256_hex: str) -> Path:
        partial_path = path.with_name(f".{sha256_hex}.{secrets.token_hex(4)}.partial")
        await anyio.to_thread.run_sync(partial(self.folder.mkdir, parents=True, exist_ok=True))
        try:
            await self.downloads.save(url, partial_path, max_bytes=size_bytes)
            if not await anyio.to_thread.run_sync(_is_whole, partial_path, sha256_hex):
                raise IndexRefusedError(
                    f"{url} is not what its signed list names: its SHA-256 is another one.",
                    hint="The mirror may be in the middle of an update: try again later.",
                )
            partial_path.replace(path)
        finally:
            partial_path.unlink(missing_ok=True)
        await anyio.to_thread.run_sync(self._make_room, path)
        return path

    def _make_room(self, keep: Path) -> None:
        found = []
        for one in self.folder.iterdir():
            with suppress(FileNotFoundError):  # a fetch beside this one renames or removes its own
                found += [(one, one.stat())] if one.is_file() else []
        total_bytes = sum(seen.st_size for _, seen in found)
        for one, seen in sorted(found, key=lambda pair: pair[1].st_mtime):
            if total_bytes <= self.max_bytes:
                return
            if one != keep:
                one.unlink(missing_ok=True)
                total_bytes -= seen.st_size


def _is_whole(path: Path, sha256_hex: str) -> bool:
    """Whether a file has that sum; its time then says that it was used."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK_BYTES):
                digest.update(piece)
    except FileNotFoundError:
        return False
    if digest.hexdigest() != sha256_hex:
        return False
    os.utime(path)
    return True
