"""A version -> who signed it, or which part of it is wrong: metadata, statement, signature.

The image is judged when it is read: its SHA-256 is then that of metadata which was checked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from asyncpipe.errors import ObjectMissingError, ObjectTooLargeError, SignatureError
from asyncpipe.model import store_keys
from asyncpipe.model.documents import catalog, fields
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.documents.fields import NewerSchemaError, UnreadableError
from asyncpipe.model.documents.metadata import PublishedMetadata
from asyncpipe.ports import ObjectStore
from asyncpipe.provenance import keyless
from asyncpipe.provenance.envelope import MAX_ENVELOPE_BYTES, opened
from asyncpipe.provenance.keys import PublicKey
from asyncpipe.provenance.statement import digests_in
from asyncpipe.system.threads import abandonable

_MAX_METADATA_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose signatures count: keys, or one identity at an OpenID Connect issuer."""

    keys: tuple[PublicKey, ...] = ()
    identity: str = ""
    issuer: str = ""

    @property
    def object_name(self) -> str:
        """What holds a signature of that kind."""
        return store_keys.KEYLESS_NAME if self.identity else store_keys.PROVENANCE_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A version whose metadata and statement are what ``signer`` signed."""

    entry: CatalogEntry  # from that metadata: its SHA-256 of the image can be relied on
    signer: str
    statement: bytes


async def verified_version(store: ObjectStore, entry: CatalogEntry, trust: Trust) -> Verified:
    """Check metadata, statement and signature of ``entry``; the image is not read.

    Raises:
        SignatureError: there is no signature that ``trust`` accepts, or a part is wrong.
        ObjectMissingError: the version is gone.
    """
    metadata = await _read(store, entry.metadata_key, _MAX_METADATA_BYTES, "metadata.json is wrong")
    if metadata is None:
        raise ObjectMissingError(f"There is no version {store.url_of(entry.folder_key)}.")
    key = f"{entry.folder_key}/{trust.object_name}"
    envelope = await _read(store, key, MAX_ENVELOPE_BYTES, "The signature is wrong")
    if envelope is None:
        raise await _not_signed(store, entry, trust)
    where = store.url_of(key)
    statement, signer = await _statement(envelope, trust, where)
    _judge_pointer(entry, key, envelope, where)
    checked = _entry(entry, digests_in(statement), metadata)
    return Verified(entry=checked, signer=signer, statement=statement)


async def _statement(envelope: bytes, trust: Trust, where: str) -> tuple[bytes, str]:
    if not trust.identity:
        statement, key = opened(envelope, trust.keys, where=where)
        return statement, f"ed25519:{key.id_hex}"
    judge = partial(
        keyless.opened_bundle, identity=trust.identity, issuer=trust.issuer, where=where
    )
    # it asks sigstore's servers, in its own time
    return await abandonable(judge, envelope), trust.identity


def _judge_pointer(entry: CatalogEntry, key: str, envelope: bytes, where: str) -> None:
    """The pointer that led here names the envelope by its digest; it may be of the other kind."""
    named = entry.provenance
    if named is None or named.key != key or not named.sha256_hex:
        return
    if hashlib.sha256(envelope).hexdigest() != named.sha256_hex:
        raise SignatureError(f"The signature {where} is not the one that the pointer names.")


def _entry(entry: CatalogEntry, digests: Mapping[str, str], metadata: bytes) -> CatalogEntry:
    """Hold what is there against the statement; return the version as its own metadata has it."""
    version = f"{entry.short_id}@{entry.timestamp}"
    if entry.metadata_key not in digests or entry.xva.key not in digests:
        raise SignatureError(f"The statement is wrong: it is about another version than {version}.")
    if hashlib.sha256(metadata).hexdigest() != digests[entry.metadata_key]:
        raise SignatureError(f"metadata.json of {version} is wrong: it is not what was signed.")
    try:
        found = catalog.entry_of(fields.decode(metadata, PublishedMetadata))
    except (UnreadableError, NewerSchemaError) as error:
        raise SignatureError(f"metadata.json of {version} is wrong: {error.message}") from error
    if found.folder_key != entry.folder_key or found.xva.sha256_hex != digests[found.xva.key]:
        raise SignatureError(f"metadata.json of {version} is wrong: it is not of that version.")
    return found


async def _not_signed(store: ObjectStore, entry: CatalogEntry, trust: Trust) -> SignatureError:
    version = f"{entry.short_id}@{entry.timestamp}"
    other = store_keys.PROVENANCE_NAME if trust.identity else store_keys.KEYLESS_NAME
    hint = "Build it with --signing-key, or take a version that is signed."
    if await store.head(f"{entry.folder_key}/{other}") is not None:
        hint = "--key checks it." if trust.identity else "--identity and --issuer check it."
        text = f"{version} is signed {'with a key' if trust.identity else 'by an identity'} only."
        return SignatureError(text, hint=hint)
    return SignatureError(f"The signature is missing: {version} is not signed.", hint=hint)


async def _read(store: ObjectStore, key: str, max_bytes: int, wrong: str) -> bytes | None:
    try:
        return (await store.get(key, max_bytes=max_bytes)).body
    except ObjectMissingError:
        return None
    except ObjectTooLargeError as error:
        raise SignatureError(f"{wrong}: {store.url_of(key)} is too large.") from error
