"""What a crash leaves behind of an upload: enough to go on with it, nothing secret.

The journal is a JSON file, replaced atomically and flushed to disk. It is a help, never a proof:
a part is trusted only when the store's answer and the local bytes agree (`upload.resume`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import anyio
import msgspec

from asyncpipe.errors import UploadError
from asyncpipe.system.disk import Disk
from asyncpipe.system.files import replace_file

FORMAT = "asyncpipe-upload/1"
LARGEST_BYTES = 16 * 1024 * 1024  # 10,000 parts need about 1 MiB


Size = Annotated[int, msgspec.Meta(gt=0)]


class JournalPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part that the store acknowledged."""

    size_bytes: Size
    etag: str
    crc64nvme_base64: str


class JournalEntry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="format",
    tag=FORMAT,
    omit_defaults=True,
):
    """All that is known of one upload; ``parts`` by part number, ``recipe`` of compressed bytes."""

    store_url: str
    key: str
    upload_id: str
    nonce: str
    part_size_bytes: Size
    parts: dict[Size, JournalPart] = {}
    recipe: str = ""


class Journal:
    """Keeps the entry of a running upload on disk, written at most once per ``interval_s``."""

    def __init__(self, path: Path, *, interval_s: float = 1.0) -> None:
        self.path = path
        self._entry: JournalEntry | None = None
        self._interval_s = interval_s
        self._disk = Disk(path.name)
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
        entry = msgspec.structs.replace(self._entry, parts=dict(self._parts))
        try:
            await self._disk.call(_write, self.path, encoded(entry))
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
            await self._disk.call(self.path.unlink)


async def read_journal(path: Path) -> JournalEntry | None:
    """Return what a journal says; None when it is missing or damaged."""
    try:
        data = await Disk(path.name).call(_read_bounded, path)
    except OSError:
        return None
    return decoded(data)


def encoded(entry: JournalEntry) -> bytes:
    """Return the JSON form."""
    return msgspec.json.encode(entry)


def decoded(data: bytes) -> JournalEntry | None:
    """Return the entry of a JSON form, None when it is not one of ours."""
    try:
        return msgspec.json.decode(data, type=JournalEntry)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_BYTES)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data, mode=0o644)
