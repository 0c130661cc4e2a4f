"""Where a version comes from, as a signed in-toto statement: made, signed, checked."""

from asyncpipe.provenance.keys import PublicKey, SigningKey, read_public_key, read_signing_key
from asyncpipe.provenance.signer import KeySigner, Signer
from asyncpipe.provenance.statement import statement_of
from asyncpipe.provenance.verify import Trust, Verified, verified_version

__all__ = [
    "KeySigner",
    "PublicKey",
    "Signer",
    "SigningKey",
    "Trust",
    "Verified",
    "read_public_key",
    "read_signing_key",
    "statement_of",
    "verified_version",
]
