"""Published versions that are signed, and keys to sign them with."""

from __future__ import annotations

import functools

from asyncpipe import catalog, metadata
from asyncpipe.model import store_keys
from asyncpipe.model.build import BuiltFrom, Material, ParentVersion
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.provenance.keys import SigningKey
from asyncpipe.provenance.signer import KeySigner
from asyncpipe.provenance.statement import statement_of
from asyncpipe.retry import RetryPolicy
from asyncpipe.run.publishing.attest import SignedObject
from tests.metadata import documents as make
from tests.xva.samples import MIB, disk, members_of, pack

PARENT = "debian12@20261101T000000Z"
BUILT_FROM = BuiltFrom(
    materials=(
        Material(path="provisioning/clean.sh", sha256_hex="12" * 32),
        Material(path="http/huge.img", sha256_hex=None),
    ),
    parent=ParentVersion(version=PARENT, sha256_hex="34" * 32),
)


@functools.cache
def image() -> bytes:
    """A small XVA that is valid."""
    return pack(members_of([disk("Ref:4", 2 * MIB, {0, 1})]))


async def publish_signed(
    store: ObjectStore,
    timestamp: str,
    key: SigningKey,
    *,
    short_id: str = "debian12",
    body: bytes | None = None,
) -> CatalogEntry:
    """Publish a version as a run with a signing key does."""
    signer = KeySigner(key)
    folder = store_keys.folder_key(short_id, timestamp)
    xva = image() if body is None else body
    signature = (f"{folder}/{signer.object_name}", signer.who)
    document = make.published(
        short_id=short_id,
        timestamp=timestamp,
        body=xva,
        signature=signature,
        built_from=BUILT_FROM,
    )
    encoded = metadata.encode(document)
    await store.put(store_keys.xva_key(short_id, timestamp), xva, content_type="x/x")
    await store.put(f"{folder}/{store_keys.LOG_NAME}", b"log", content_type="text/plain")
    envelope = await signer.sign(statement_of(encoded))
    stored = await SignedObject(store, signature[0], envelope, RetryPolicy()).complete()
    await store.put(f"{folder}/metadata.json", encoded, content_type="application/json")
    entry = catalog.entry_of(metadata.published(document), stored)
    await catalog.move_pointer(store, entry)
    return entry


def flipped(body: bytes, at_bytes: int, bit: int = 0) -> bytes:
    """Flip one bit."""
    return body[:at_bytes] + bytes([body[at_bytes] ^ (1 << bit)]) + body[at_bytes + 1 :]
