"""What an interrupted upload left at the store, and which of it may be trusted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from asyncpipe.errors import NotSupportedError, UploadMissingError
from asyncpipe.model.store import (
    ObjectInfo,
    PartDigests,
    StoreCapabilities,
    StoredPart,
    UploadHandle,
    crc64nvme_base64,
)
from asyncpipe.model.transfer import TransferOptions
from asyncpipe.ports import ObjectStore
from asyncpipe.retry import repeated
from asyncpipe.upload.abort import abort_until_gone
from asyncpipe.upload.digests import DigestedPart
from asyncpipe.upload.journal import JournalEntry, JournalPart
from asyncpipe.upload.parts import PartPlan

NONCE_KEY = "asyncpipe-nonce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """An earlier attempt: its upload and the parts the store lists, by number.

    ``visible`` is the object when the earlier attempt had even completed it.
    """

    entry: JournalEntry
    handle: UploadHandle
    stored: Mapping[int, StoredPart] = field(default_factory=dict)
    visible: ObjectInfo | None = None

    def plan(self, fresh: PartPlan, size_bytes: int | None) -> PartPlan:
        """Return the earlier plan, or ``fresh`` if the earlier one is too small for the file."""
        part_size_bytes = self.entry.part_size_bytes
        earlier = PartPlan(part_size_bytes=part_size_bytes, max_parts=fresh.max_parts)
        return earlier if earlier.capacity_bytes >= (size_bytes or 0) else fresh

    def trusted(
        self, digested: DigestedPart, body: memoryview, capabilities: StoreCapabilities
    ) -> StoredPart | None:
        """Return the stored part that provably holds ``body``, else None.

        May hash ``body`` (MD5): call it in a worker thread.
        """
        stored = self.stored.get(digested.part.number)
        if stored is None or stored.size_bytes != digested.part.size_bytes:
            return None
        noted = self.entry.parts.get(digested.part.number)
        if is_same(stored, digested.digests, noted):
            return stored
        if capabilities.comparable_etag and _bare(stored.etag) == _md5_hex(digested, body):
            return stored
        return None


def is_same(stored: StoredPart, local: PartDigests, noted: JournalPart | None) -> bool:
    """Whether checksums prove that the store's part has the local bytes.

    The store's own checksum decides if it returned one. Otherwise the journal does:
    the ETag it was given for a part of this CRC64NVME must still be the part's ETag.
    """
    local_crc = crc64nvme_base64(local.crc64nvme)
    if stored.crc64nvme_base64 is not None:
        return stored.crc64nvme_base64 == local_crc
    if stored.sha256_base64 is not None and local.sha256_base64 is not None:
        return stored.sha256_base64 == local.sha256_base64
    if noted is None or not noted.etag:
        return False
    return noted.etag == stored.etag and noted.crc64nvme_base64 == local_crc


async def find_resumption(
    store: ObjectStore,
    key: str,
    entry: JournalEntry | None,
    options: TransferOptions,
    continues: Callable[[str], bool],
) -> Resumption | None:
    """Look for the upload that a journal names; None when it cannot be resumed.

    ``continues`` decides, by the recipe of an open upload's bytes, whether it may be; one that may
    not is aborted.
    """
    if entry is None or (entry.store_url, entry.key) != (store.url, key):
        return None
    handle = UploadHandle(key=key, upload_id=entry.upload_id)
    try:
        parts = await repeated(lambda: store.list_parts(handle), options.retry)
    except NotSupportedError:  # nobody can say what is there: drop it and start over
        await abort_until_gone(store, handle, options)
        return None
    except UploadMissingError:
        info = await repeated(lambda: store.head(key), options.retry)
        if info is None or info.metadata.get(NONCE_KEY) != entry.nonce:
            return None
        return Resumption(entry=entry, handle=handle, visible=info)
    if not continues(entry.recipe):
        await abort_until_gone(store, handle, options)
        return None
    return Resumption(entry=entry, handle=handle, stored={part.number: part for part in parts})


def _md5_hex(digested: DigestedPart, body: memoryview) -> str:
    known = digested.digests.md5_base64
    if known is not None:
        return base64.b64decode(known).hex()
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _bare(etag: str) -> str:
    return etag.strip('"').lower()
