"""Whether HashiCorp signed a file of sums, and what it says of an archive."""

from __future__ import annotations

import re
from importlib import resources

from asyncpipe.errors import UsageError

_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S+)", re.ASCII)


class ReleaseError(UsageError):
    """A release that is not what HashiCorp published: nothing is installed."""


def hashicorp_key() -> bytes:
    """HashiCorp's public key, C874 011F 0AB4 0511 0D02 1055 3436 5D94 72D7 468F, armoured.

    Source: https://www.hashicorp.com/trust/security, "Linux Package & Source Code Signing".
    """
    return resources.files(__package__).joinpath("hashicorp.asc").read_bytes()


def expected_sha256_hex(sums: bytes, signature: bytes, archive: str, key: bytes) -> str:
    """Return the sum of ``archive`` out of ``sums``, once ``key`` is known to have signed them.

    Args:
        sums: a file of SHA256SUMS.
        signature: the detached OpenPGP signature over it, binary or armoured.
        archive: a file's name in it.
        key: the public key that must have signed.

    Raises:
        ReleaseError: another key signed, or none; or the archive is not in the list.
    """
    _require_signature(sums, signature, key)
    for line in sums.decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(line.strip())
        if match and match[2] == archive:
            return match[1]
    raise ReleaseError(
        f"The signed list of sums does not name {archive}.",
        hint="Is there a release for this platform? Look at the mirror's folder.",
    )


def _require_signature(sums: bytes, signature: bytes, key: bytes) -> None:
    from pysequoia import Cert, Sig, verify  # noqa: PLC0415 - 8 MB that only this needs

    cert = Cert.from_bytes(key)
    try:
        found = verify(bytes=sums, store=lambda _ids: [cert], signature=Sig.from_bytes(signature))
        good = any(one.certificate == cert.fingerprint for one in found.valid_sigs)
    except (RuntimeError, ValueError):  # its text is a stack trace
        good = False
    if not good:
        raise ReleaseError(
            "HashiCorp's key did not sign the list of sums; nothing was installed.",
            hint="A proxy or a mirror may have changed it: try another one, or report it there.",
        )
