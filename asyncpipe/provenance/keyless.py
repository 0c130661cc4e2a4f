"""Signatures without a key: sigstore certifies a CI run's identity and logs the signature.

Optional (``pip install asyncpipe[sigstore]``): the package is imported when it is asked for. Its
services are Fulcio and Rekor of the public good instance, so signing needs the internet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import anyio
import anyio.to_thread

from asyncpipe.errors import SignatureError, UsageError
from asyncpipe.model.store_keys import KEYLESS_NAME
from asyncpipe.provenance.envelope import PAYLOAD_TYPE
from asyncpipe.system.threads import abandonable
from asyncpipe.text.safe import printable

_SIGN_S: Final = 120.0


class KeylessSigner:
    """Signs as the identity that the CI run has (OpenID Connect)."""

    object_name = KEYLESS_NAME
    who = "sigstore"

    @classmethod
    def ready(cls) -> KeylessSigner:
        """Look, before a build, whether it can sign after it.

        Raises:
            UsageError: sigstore is not installed, or this machine has no identity.
        """
        _identity_token()
        return cls()

    async def sign(self, statement: bytes) -> bytes:
        """Return the sigstore bundle.

        The identity is asked for now: tokens live for minutes, builds for an hour.

        Raises:
            SignatureError: the identity is gone, or sigstore's services do not answer.
        """
        try:
            with anyio.fail_after(_SIGN_S):
                return await abandonable(_signed, statement)
        except TimeoutError:
            raise SignatureError(f"sigstore did not sign within {_SIGN_S:.0f} seconds.") from None


def opened_bundle(body: bytes, *, identity: str, issuer: str, where: str) -> bytes:
    """Return the statement in a bundle that ``identity`` of ``issuer`` signed; blocks.

    Raises:
        UsageError: sigstore is not installed.
        SignatureError: the bundle is damaged, of somebody else, or cannot be judged.
    """
    _require()
    from sigstore.models import Bundle  # noqa: PLC0415 - optional
    from sigstore.verify import Verifier, policy  # noqa: PLC0415

    refused = f"The signature {where} is refused by sigstore"
    with _explained(refused):
        bundle = Bundle.from_json(body)
    with _explained("The authorities that sigstore trusts now could not be fetched"):
        verifier = Verifier.production()
    with _explained(refused):
        wanted = policy.Identity(identity=identity, issuer=issuer)
        kind, statement = verifier.verify_dsse(bundle, wanted)
    if kind != PAYLOAD_TYPE:
        raise SignatureError(f"The statement in {where} is not an in-toto statement.")
    return bytes(statement)


def _signed(statement: bytes) -> bytes:
    token = _identity_token()
    from sigstore.dsse import Statement  # noqa: PLC0415 - optional
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415
    from sigstore.sign import SigningContext  # noqa: PLC0415

    with _explained("sigstore did not sign"):
        context = SigningContext.from_trust_config(ClientTrustConfig.production())
        with context.signer(token) as signer:
            return bytes(signer.sign_dsse(Statement(statement)).to_json().encode())


def _identity_token() -> Any:
    _require()
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential  # noqa: PLC0415

    try:
        found = detect_credential()
        token = IdentityToken(found) if found else None
    except IdentityError as error:
        why = printable(str(error.__cause__ or error), 200)
        raise _no_identity(f" ({why.rstrip('.')})") from None
    if token is None:
        raise _no_identity("")
    return token


def _no_identity(why: str) -> UsageError:
    return UsageError(
        f"There is no identity to sign with: this is not a CI run that has one{why}.",
        hint="On GitHub the job needs the permission `id-token: write`. Else sign with a key.",
    )


def _require() -> None:
    try:
        import sigstore  # noqa: F401, PLC0415
    except ImportError:
        raise UsageError(
            "Signatures without a key need the package sigstore, which is not installed.",
            hint="pip install 'asyncpipe[sigstore]'",
        ) from None


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever the vendor's stack raises (its own, TUF's, requests') into one sentence."""
    try:
        yield
    except Exception as error:
        why = printable(str(error) or type(error).__name__, 300)
        raise SignatureError(f"{what}: {why.rstrip('.')}.") from error
