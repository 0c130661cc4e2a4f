"""Ed25519 keys as PEM: PKCS #8 for signing, SubjectPublicKeyInfo for checking."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from asyncpipe.errors import UsageError

_MAKE_ONE: Final = "asyncpipe key new makes a pair."
_PEM: Final = serialization.Encoding.PEM
_SPKI: Final = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that checks signatures."""

    id_hex: str  # SHA-256 of its SubjectPublicKeyInfo in DER
    origin: str = ""  # where it was read from
    _key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def of(cls, key: Ed25519PublicKey, origin: str = "") -> PublicKey:
        """Name ``key`` by its digest."""
        der = key.public_bytes(serialization.Encoding.DER, _SPKI)
        return cls(id_hex=hashlib.sha256(der).hexdigest(), origin=origin, _key=key)

    @property
    def pem(self) -> bytes:
        """The key as it is stored."""
        return self._key.public_bytes(_PEM, _SPKI)

    def fits(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` was made over ``data`` by the owner of this key."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key; nothing of it is ever shown."""

    public: PublicKey
    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def new(cls) -> SigningKey:
        """Make one."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def _of(cls, key: Ed25519PrivateKey, origin: str = "") -> SigningKey:
        return cls(public=PublicKey.of(key.public_key(), origin), _key=key)

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._key.sign(data)

    def pem(self, password: str = "") -> bytes:
        """The key as it is stored, encrypted if there is a password."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password.encode())
        return self._key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)


def read_signing_key(pem: bytes, *, origin: str, password: str = "") -> SigningKey:
    """Read a private key; no error quotes any of it.

    Raises:
        UsageError: it is not an Ed25519 key in PEM, or its password is missing or wrong.
    """
    try:
        key = serialization.load_pem_private_key(pem, password.encode() or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if b"ENCRYPTED" in pem:
            text = f"The signing key in {origin} is encrypted, and the password does not open it."
            hint = "ASYNCPIPE_SIGNING_KEY_PASSWORD holds the password."
            raise UsageError(text, hint=hint) from None
        if b"PUBLIC KEY" in pem:
            text = f"{origin} holds a public key, which cannot sign."
            raise UsageError(text, hint="Name the private one.") from None
        text = f"{origin} holds no private key in PEM format, or one with a needless password."
        raise UsageError(text, hint=_MAKE_ONE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"The key in {origin} is not an Ed25519 key.", hint=_MAKE_ONE)
    return SigningKey._of(key, origin)  # noqa: SLF001 - its other constructor


def read_public_key(pem: bytes, *, origin: str) -> PublicKey:
    """Read a public key; UsageError: the file holds no key, or not an Ed25519 one."""
    if b"PRIVATE KEY" in pem:
        raise UsageError(
            f"{origin} holds a private key; checking a signature needs the public one.",
            hint="asyncpipe key show prints it. Whoever has the private key can sign.",
        )
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{origin} holds no public key in PEM format.", hint=_MAKE_ONE) from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"The key in {origin} is not an Ed25519 key.", hint=_MAKE_ONE)
    return PublicKey.of(key, origin)
