"""What a crash leaves behind of an upload: enough to go on with it, nothing secret.

The journal is a JSON file, replaced atomically and flushed to disk. It is a help, never a proof:
a part is trusted only when the store's answer and the local bytes agree (`transfer.resume`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from asyncpipe.errors import UploadError
from asyncpipe.system.files import replace_file

FORMAT = "asyncpipe-upload/1"
LARGEST_BYTES = 16 * 1024 * 1024  # 10,000 parts need about 1 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalPart:
    """One part that the store acknowledged."""

    size_bytes: int
    etag: str
    crc64nvme_base64: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """All that is known of one upload; ``parts`` by part number."""

    store_url: str
    key: str
    upload_id: str
    nonce: str
    part_size_bytes: int
    parts: Mapping[int, JournalPart] = field(default_factory=dict)


class Journal:
    """Keeps the entry of a running upload on disk, written at most once per ``interval_s``."""

    def __init__(self, path: Path, *, interval_s: float = 1.0) -> None:
        self.path = path
        self._entry: JournalEntry | None = None
        self._interval_s = interval_s
        self._parts: dict[int, JournalPart] = {}
        self._dirty = anyio.Event()
        self.is_on_disk = False

    @property
    def upload_id(self) -> str:
        """The upload that is kept; empty until one has begun."""
        return self._entry.upload_id if self._entry else ""

    async def begin(self, entry: JournalEntry) -> None:
        """Write the entry of an upload before its first part is sent; UploadError."""
        self._entry = entry
        self._parts = dict(entry.parts)
        await self.write()

    def note(self, number: int, part: JournalPart) -> None:
        """Remember that the store has a part; written with the next round."""
        self._parts[number] = part
        self._dirty.set()

    async def keep(self) -> None:
        """Write what was noted, round after round, until cancelled.

        What a full disk refuses costs at most those parts: what was written before stays.
        """
        while True:
            await self._dirty.wait()
            with suppress(UploadError):
                await self.write()
            await anyio.sleep(self._interval_s)

    async def write(self) -> None:
        """Write the present state now; UploadError."""
        if self._entry is None:
            return
        self._dirty = anyio.Event()
        entry = replace(self._entry, parts=dict(self._parts))
        try:
            await anyio.to_thread.run_sync(lambda: _write(self.path, encoded(entry)))
        except OSError as error:
            raise UploadError(
                f"the journal {self.path} cannot be written: {error.strerror}",
                hint="free some space there, or choose another --work-directory",
            ) from error
        self.is_on_disk = True

    async def remove(self) -> None:
        """Forget the upload: it is completed or gone; a journal that stays does no harm."""
        self._entry = None
        with suppress(OSError):
            await anyio.to_thread.run_sync(self.path.unlink)


async def read_journal(path: Path) -> JournalEntry | None:
    """Return what a journal says, None when there is none or it is damaged."""
    try:
        data = await anyio.to_thread.run_sync(_read_bounded, path)
    except OSError:
        return None
    return decoded(data)


def encoded(entry: JournalEntry) -> bytes:
    """Return the JSON form."""
    return json.dumps({"format": FORMAT, **asdict(entry)}, separators=(",", ":")).encode()


def decoded(data: bytes) -> JournalEntry | None:
    """Return the entry of a JSON form, None when it is not one of ours."""
    try:
        document: dict[str, Any] = json.loads(data)
        if document.pop("format") != FORMAT:
            return None
        parts = {int(n): JournalPart(**part) for n, part in document.pop("parts").items()}
        return _checked(JournalEntry(**document, parts=parts))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _checked(entry: JournalEntry) -> JournalEntry | None:
    texts: tuple[object, ...] = (entry.store_url, entry.key, entry.upload_id, entry.nonce)
    sizes = (entry.part_size_bytes, *(part.size_bytes for part in entry.parts.values()))
    numbers: tuple[object, ...] = (*sizes, *entry.parts)
    if not all(isinstance(text, str) for text in texts):
        return None
    sound = all(isinstance(number, int) and number > 0 for number in numbers)
    return entry if sound else None


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data, mode=0o644)
