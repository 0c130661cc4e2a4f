"""Keys from files and the environment -> who signs, and whose signatures count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio.to_thread

from asyncpipe.errors import UsageError
from asyncpipe.settings import Settings
from asyncpipe.system.files import read_regular
from asyncpipe.system.threads import abandonable

if TYPE_CHECKING:
    from asyncpipe.model.documents.catalog import CatalogEntry
    from asyncpipe.ports import ObjectStore
    from asyncpipe.provenance.verify import Trust, Verified
    from asyncpipe.run.publishing.attest import Signer

# What makes and checks signatures takes long to import: only a command that does either pays.

_MAX_KEY_BYTES: Final = 64 * 1024
KEY_VARIABLE: Final = "ASYNCPIPE_SIGNING_KEY"
PASSWORD_VARIABLE: Final = "ASYNCPIPE_SIGNING_KEY_PASSWORD"  # noqa: S105 - its name
TRUST_OPTIONS: Final = ("require_signature", "keys", "identity", "issuer")


async def signer_of(settings: Settings) -> Signer | None:
    """Return who signs this run's versions; asked before a build, so that it fails early.

    Raises:
        UsageError: the key cannot be used, there is no identity, or both were asked for.
    """
    if settings.keyless:
        if settings.signing_key:
            raise UsageError("--signing-key and --keyless exclude each other.")
        from asyncpipe.provenance.keyless import KeylessSigner

        return await abandonable(KeylessSigner.ready)
    environment = settings.environment
    password = environment.get(PASSWORD_VARIABLE, "")
    if settings.signing_key:
        pem = await anyio.to_thread.run_sync(read_key_file, settings.signing_key)
        origin = str(settings.signing_key)
    elif text := environment.get(KEY_VARIABLE, "").strip():
        pem, origin = text.encode("utf-8", "replace"), KEY_VARIABLE
    else:
        return None
    from asyncpipe.provenance.keys import read_signing_key
    from asyncpipe.provenance.signer import KeySigner

    return KeySigner(read_signing_key(pem, origin=origin, password=password))


def trust_of(given: dict[str, Any], *, always: bool = False) -> Trust | None:
    """Take the options of a signature out of ``given``; None: signatures are not asked for.

    Args:
        given: the options of a command; those of ``TRUST_OPTIONS`` are removed.
        always: the command needs to know whom to trust.

    Raises:
        UsageError: a signature is required and nobody was named whose counts.
    """
    required, files, identity, issuer = (given.pop(name, None) for name in TRUST_OPTIONS)
    if not (files or identity):
        if required or always:
            raise UsageError(
                "Whose signature counts was not said.",
                hint="--key FILE names a public key, --identity one that sigstore vouches for.",
            )
        return None
    if files and identity:
        raise UsageError("--key and --identity exclude each other.")
    from asyncpipe.provenance.keys import read_public_key
    from asyncpipe.provenance.verify import Trust

    keys = tuple(read_public_key(read_key_file(path), origin=str(path)) for path in files or ())
    return Trust(keys=keys, identity=identity or "", issuer=issuer or "")


async def checked(store: ObjectStore, entry: CatalogEntry, trust: Trust) -> Verified:
    """Check the signature of ``entry``; raises as `provenance.verify.verified_version`."""
    from asyncpipe.provenance.verify import verified_version

    return await verified_version(store, entry, trust)


def read_key_file(path: Path) -> bytes:
    """Read a file that should hold a key; UsageError."""
    try:
        return read_regular(path, max_bytes=_MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"The key {path} cannot be read: {error.strerror or error}.") from error
