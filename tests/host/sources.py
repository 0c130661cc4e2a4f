"""XVAs to import, from memory, that break where a test wants."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from asyncpipe.errors import TransientStoreError
from asyncpipe.host.stream import ImportSource
from tests.xva import samples

VERSION = "debian12@20261123T170000Z"
SIZE_MIB = 6
PIECE_BYTES = 300_000


def xva(size_mib: int = SIZE_MIB) -> bytes:
    """A valid XVA with one disk and one network card; its VM is called ``sample & co``."""
    disks = [samples.disk("Ref:10", size_mib * samples.MIB)]
    ova = samples.description(disks)
    objects: Any = ova["objects"]
    objects += [
        {"class": "network", "id": "Ref:5", "snapshot": {"name_label": "Somewhere else"}},
        {"class": "VIF", "id": "Ref:6", "snapshot": {"network": "Ref:5", "device": "0"}},
    ]
    return samples.pack(samples.members_of(disks, samples.value(ova).encode()))


def source_of(
    data: bytes, *, cut_at: int | None = None, stall_at: int | None = None, **more: Any
) -> ImportSource:
    """A published version; it breaks off at ``cut_at`` or goes silent at ``stall_at``."""

    async def pieces() -> AsyncGenerator[bytes]:
        for at in range(0, len(data), PIECE_BYTES):
            if cut_at is not None and at >= cut_at:
                raise TransientStoreError("The store broke off.")
            if stall_at is not None and at >= stall_at:
                await anyio.sleep_forever()
            yield data[at : at + PIECE_BYTES]

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
        async with aclosing(pieces()) as stream:
            yield stream

    fields: dict[str, Any] = {
        "name": "debian12.xva",
        "size_bytes": len(data),
        "open": opened,
        "sha256_hex": hashlib.sha256(data).hexdigest(),
        "version": VERSION,
        "origin": "s3://bucket/p/templates/debian12/20261123T170000Z/debian12.xva",
    }
    return ImportSource(**{**fields, **more})


@dataclass(slots=True)
class Seen:
    """A progress that remembers."""

    sent_bytes: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def sent(self, sent_bytes: int) -> None:
        self.sent_bytes.append(sent_bytes)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
