"""Whether a distribution signed an index; the keys are those that this machine has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asyncpipe.updates.refused import IndexRefusedError

if TYPE_CHECKING:
    from pysequoia import Cert

_MAX_KEYRING_BYTES: Final = 16 * 1024 * 1024


def read_keys(paths: Iterable[Path]) -> list[bytes]:
    """The keyrings among ``paths`` that are there."""
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found.append(file.read(_MAX_KEYRING_BYTES))
        except OSError:
            continue
    return found


def signed_text(url: str, signed: bytes, keyrings: Iterable[bytes]) -> bytes:
    """Return the text of a document that is signed in itself (an InRelease).

    Raises:
        IndexRefusedError: none of the keys signed it.
    """
    return _verified(url, signed, keyrings, None)


def require_signature(
    url: str, document: bytes, signature: bytes, keyrings: Iterable[bytes]
) -> None:
    """Raise IndexRefusedError unless one of the keys made the detached ``signature``."""
    _verified(url, document, keyrings, signature)


def _verified(
    url: str, document: bytes, keyrings: Iterable[bytes], signature: bytes | None
) -> bytes:
    from pysequoia import Sig, verify  # noqa: PLC0415 - 8 MB that only this needs

    certs = _certs(keyrings)
    try:
        if signature is None:
            found = verify(bytes=document, store=lambda _ids: certs)
        else:
            found = verify(
                bytes=document, store=lambda _ids: certs, signature=Sig.from_bytes(signature)
            )
    except (RuntimeError, ValueError, TypeError):  # its text is a stack trace
        found = None
    if found is None or not found.valid_sigs:
        raise IndexRefusedError(
            f"{url}: none of the distribution's keys on this machine signed it.",
            hint="A proxy or mirror may have changed it, or the keyring is too old: update it.",
        )
    return bytes(found.bytes or b"")


def _certs(keyrings: Iterable[bytes]) -> list[Cert]:
    from pysequoia import Cert  # noqa: PLC0415

    certs: list[Cert] = []
    for ring in keyrings:
        try:
            certs += Cert.split_bytes(ring)
        except (RuntimeError, ValueError):
            continue
    return certs
