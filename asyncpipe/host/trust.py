"""Whether a host is the one it claims to be: a pinned fingerprint, or a certificate authority."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncpipe.errors import HostTrustError, UsageError
from asyncpipe.host.endpoint import Endpoint
from asyncpipe.model.run import Trust

_DIGITS: Final = re.compile(r"[0-9a-f]{64}")
_MAX_FILE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """How one host's certificate is checked; never left out."""

    context: ssl.SSLContext
    fingerprints: tuple[str, ...] = ()  # of the certificate, when pinned; then no CA is asked

    def check(self, endpoint: Endpoint, certificate: bytes | None) -> None:
        """Compare a pinned certificate (DER) before anything is sent.

        Raises:
            HostTrustError: it is another one.
        """
        if not self.fingerprints:
            return
        found = fingerprint_of(certificate or b"")
        if not any(hmac.compare_digest(found, pinned) for pinned in self.fingerprints):
            raise HostTrustError(
                f"{endpoint} shows another certificate than the trusted one: its SHA-256 "
                f"fingerprint is {shown(found)}.",
                hint="Either its certificate was renewed or somebody is in between. Compare with "
                "`openssl x509 -in /etc/xensource/xapi-ssl.pem -noout -fingerprint -sha256` on the "
                f"host; if it is right: asyncpipe host trust {endpoint} --replace",
            )


def verifier_of(trust: Trust, endpoint: Endpoint) -> Verifier:
    """Decide how ``endpoint`` is verified: pinned, else known, else by CA (reads files).

    Raises:
        UsageError: a file that cannot be read.
    """
    known = read_known(trust.known_hosts).get(endpoint.key) if trust.known_hosts else None
    pinned = tuple(map(parse_fingerprint, trust.fingerprints)) or ((known,) if known else ())
    if pinned:
        return Verifier(context=_unnamed(), fingerprints=pinned)
    return Verifier(context=_by_authority(trust.ca_file))


def looking_only() -> Verifier:
    """For reading a certificate to show it: nothing may be sent over such a connection."""
    return Verifier(context=_unnamed())


def _unnamed() -> ssl.SSLContext:
    """The fingerprint decides instead of names and authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _by_authority(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"{ca_file} cannot be used as certificates to trust: {error}.",
            hint="--host-ca wants a file in PEM format.",
        ) from error


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, 64 lower-case hex digits."""
    return hashlib.sha256(certificate).hexdigest()


def shown(fingerprint: str) -> str:
    """``AB:CD:...``, as openssl prints it."""
    upper = fingerprint.upper()
    return ":".join(upper[at : at + 2] for at in range(0, len(upper), 2))


def parse_fingerprint(text: str) -> str:
    """Read a fingerprint with or without colons and ``sha256:`` -> 64 lower-case hex digits.

    Raises:
        UsageError: it is not a fingerprint.
    """
    bare = re.sub(r"^sha-?256[:=]|sha256 fingerprint=", "", text.strip().lower())
    bare = bare.replace(":", "").replace(" ", "")
    if not _DIGITS.fullmatch(bare):
        raise UsageError(
            f"{text[:120]!r} is not a SHA-256 fingerprint.",
            hint="It has 64 hex digits; asyncpipe host trust HOST shows that of a host.",
        )
    return bare


def read_known(path: Path) -> dict[str, str]:
    """The stored fingerprints by ``host:port``; lines ``host:port sha256:HEX``, # comments.

    Raises:
        UsageError: it cannot be read, or a line makes no sense.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MAX_FILE_BYTES).splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    known: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            key, fingerprint = words
            known[key] = parse_fingerprint(fingerprint)
        except (ValueError, UsageError):
            raise UsageError(
                f"{path}:{number} is not `HOST:PORT sha256:FINGERPRINT`.",
                hint="Correct the line or remove it.",
            ) from None
    return known


def store_known(path: Path, endpoint: Endpoint, fingerprint: str, *, replace: bool) -> bool:
    """Store a host's fingerprint; False when it was stored already.

    Raises:
        HostTrustError: another one is stored and ``replace`` is not set.
        UsageError: the file cannot be written.
    """
    known = read_known(path)
    stored = known.get(endpoint.key)
    if stored == fingerprint:
        return False
    if stored and not replace:
        raise HostTrustError(
            f"{path} has another fingerprint for {endpoint}: {shown(stored)}.",
            hint="If its certificate was renewed, add --replace.",
        )
    known[endpoint.key] = fingerprint
    text = "".join(f"{key} sha256:{value}\n" for key, value in sorted(known.items()))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    return True
