"""Who signs a statement: a key of ours, or an identity that sigstore vouches for."""

from __future__ import annotations

from typing import Protocol

from asyncpipe.model.store_keys import PROVENANCE_NAME
from asyncpipe.provenance.envelope import sealed
from asyncpipe.provenance.keys import SigningKey


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


class KeySigner:
    """Signs with an Ed25519 key."""

    object_name = PROVENANCE_NAME

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def who(self) -> str:
        """``ed25519:<key id>``."""
        return f"ed25519:{self._key.public.id_hex}"

    async def sign(self, statement: bytes) -> bytes:
        """Return the DSSE envelope."""
        return sealed(statement, self._key)
