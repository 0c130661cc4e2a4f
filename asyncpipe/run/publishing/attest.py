"""metadata.json -> its signed statement, as an object that a publication can take back."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from asyncpipe.errors import DestinationTakenError
from asyncpipe.model.store import ObjectInfo, crc64nvme_base64
from asyncpipe.model.transfer import FileDigests, PublishedObject, Target
from asyncpipe.ports import ObjectStore
from asyncpipe.provenance.statement import statement_of
from asyncpipe.retry import RetryPolicy, repeated
from asyncpipe.system.crc import crc64nvme

JSON_TYPE = "application/json"


class Signer(Protocol):
    """Signs statements."""

    @property
    def object_name(self) -> str:
        """What the signed statement is called beside metadata.json."""
        ...

    @property
    def who(self) -> str:
        """Who signs, as metadata.json says it: ``ed25519:<key id>`` or ``sigstore``."""
        ...

    async def sign(self, statement: bytes) -> bytes:
        """Return the object to be stored; SignatureError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """How a version is signed: under which name, and by what."""

    name: str  # beside metadata.json
    sign: Callable[[bytes], Awaitable[bytes]]  # metadata.json -> what is stored


def attestation_of(signer: Signer | None) -> Attestation | None:
    """How ``signer`` signs a version; None: nobody does."""
    if signer is None:
        return None

    async def sign(metadata: bytes) -> bytes:
        return await signer.sign(statement_of(metadata))

    return Attestation(name=signer.object_name, sign=sign)


class SignedObject:
    """A signed statement; it stands before metadata.json, the commit mark, is written."""

    def __init__(self, store: ObjectStore, key: str, body: bytes, retry: RetryPolicy) -> None:
        self.target = Target(key=key, content_type=JSON_TYPE)
        self._store = store
        self._body = body
        self._retry = retry

    async def complete(self) -> PublishedObject:
        """Store it; what an interrupted run of this very version left there is replaced."""
        info = await repeated(self._put, self._retry, unless=DestinationTakenError)
        return small_object(self._store, self.target.key, self._body, info)

    async def _put(self) -> ObjectInfo:
        try:
            return await self._store.put(
                self.target.key, self._body, content_type=JSON_TYPE, create_only=True
            )
        except DestinationTakenError:
            return await self._store.put(self.target.key, self._body, content_type=JSON_TYPE)

    async def take_back(self, error: BaseException) -> str | None:  # noqa: ARG002 - as uploads do
        """Remove it again."""
        await self._store.delete(self.target.key)
        return None


def small_object(store: ObjectStore, key: str, body: bytes, info: ObjectInfo) -> PublishedObject:
    """Describe a small object that was stored whole, in one call."""
    digests = FileDigests(
        size_bytes=len(body),
        sha256_hex=hashlib.sha256(body).hexdigest(),
        crc64nvme_base64=crc64nvme_base64(crc64nvme(body)),
    )
    return PublishedObject(
        key=key,
        url=store.url_of(key),
        digests=digests,
        info=info,
        checks=("create-only",),
        part_count=1,
    )
