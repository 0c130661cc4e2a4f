"""Sign statements with a key."""

from __future__ import annotations

from asyncpipe.model.store_keys import PROVENANCE_NAME
from asyncpipe.provenance.envelope import sealed
from asyncpipe.provenance.keys import SigningKey


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
