"""DSSE envelopes: a statement and the signature over its type and bytes.

Format: secure-systems-lab/dsse v1.0, protocol.md (PAE) and envelope.md; in-toto/attestation
spec/v1/envelope.md has the payload's type.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from asyncpipe.errors import SignatureError
from asyncpipe.model.documents import fields
from asyncpipe.model.documents.fields import UnreadableError
from asyncpipe.provenance.keys import PublicKey, SigningKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES: Final = 8 * 1024 * 1024
_MAX_SIGNATURES: Final = 100
_SHOWN_DIGITS: Final = 16


class _Signature(Struct, frozen=True, kw_only=True):
    sig: str
    keyid: Annotated[str, Meta(max_length=200)] = ""  # a hint, not covered by the signature


class _Envelope(Struct, frozen=True, kw_only=True, rename="camel"):
    payload: str
    payload_type: Annotated[str, Meta(max_length=200)]
    signatures: Annotated[list[_Signature], Meta(max_length=_MAX_SIGNATURES)]
    # Not of DSSE, and it proves nothing: it says whether the statement or its signature changed.
    payload_sha256: Annotated[str, Meta(max_length=64)] = ""


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sealed(statement: bytes, key: SigningKey) -> bytes:
    """Return the envelope of ``statement``, signed with ``key``."""
    signature = _Signature(
        sig=base64.b64encode(key.sign(pae(PAYLOAD_TYPE, statement))).decode(),
        keyid=key.public.id_hex,
    )
    return fields.encode(
        _Envelope(
            payload=base64.b64encode(statement).decode(),
            payload_type=PAYLOAD_TYPE,
            signatures=[signature],
            payload_sha256=hashlib.sha256(statement).hexdigest(),
        )
    )


def opened(body: bytes, keys: Sequence[PublicKey], *, where: str) -> tuple[bytes, PublicKey]:
    """Return the statement in an envelope, and which of ``keys`` signed it.

    Raises:
        SignatureError: naming the envelope, the statement, the signature or the key as wrong.
    """
    try:
        envelope = fields.read(body, _Envelope)
    except UnreadableError as error:
        raise SignatureError(f"The signature {where} cannot be read: {error.message}") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(
            f"The statement in {where} is not an in-toto statement: it claims another type."
        )
    statement = _decoded(envelope.payload)
    if statement is None:
        raise SignatureError(f"The statement in {where} is damaged: it is not Base64.")
    data = pae(envelope.payload_type, statement)
    for signature in envelope.signatures:
        for key in keys:
            if signature.keyid in {"", key.id_hex} and _fits(key, signature, data):
                return statement, key
    raise SignatureError(_why_none(envelope, statement, keys, where))


def _fits(key: PublicKey, signature: _Signature, data: bytes) -> bool:
    decoded = _decoded(signature.sig)
    return decoded is not None and key.fits(decoded, data)


def _why_none(envelope: _Envelope, statement: bytes, keys: Sequence[PublicKey], where: str) -> str:
    if not envelope.signatures:
        return f"The signature is missing from {where}."
    known = {key.id_hex for key in keys}
    signers = {signature.keyid for signature in envelope.signatures}
    if "" not in signers and not signers & known:
        trusted = ", ".join(sorted(one[:_SHOWN_DIGITS] for one in known))
        signed = ", ".join(sorted(one[:_SHOWN_DIGITS] for one in signers))
        return f"The signature {where} is of another key: of {signed}, not of {trusted}."
    changed = hashlib.sha256(statement).hexdigest() != envelope.payload_sha256
    if envelope.payload_sha256 and changed:
        return f"The statement in {where} is wrong: it is not what was signed."
    return f"The signature {where} is wrong: it does not fit the statement."


def _decoded(text: str) -> bytes | None:
    """The bytes of Base64 in the one spelling that encoding them gives; None otherwise."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None
