"""Whether a vendor signed its list of sums: gpgv says it, with keys that this machine has."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from asyncpipe.errors import UsageError
from asyncpipe.ports import Command, ProcessRunner
from asyncpipe.preflight.iso.vendors import Vendor
from asyncpipe.system.capture import capture

_GPGV_S: Final = 20.0
_MAX_KEYRING_BYTES: Final = 64 * 1024 * 1024
_INLINE: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"


class Signed(StrEnum):
    """What is known of a signature; only GOOD is a proof."""

    GOOD = "signed"
    UNCHECKED = "not signature-checked"
    WRONG = "wrongly signed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The answer to a request; ``status`` 0: there was none, and ``problem`` says why."""

    status: int
    body: bytes = b""
    problem: str = ""

    @property
    def is_gone(self) -> bool:
        """The server says that there is no such file."""
        return self.status in {404, 410}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What may prove a signature: gpgv, and keyrings named instead of the vendor's."""

    gpgv: str | None
    keyrings: tuple[Path, ...] = ()  # any key in them counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a signature proves, why not more, and the text that it covers."""

    state: Signed
    text: bytes
    why: str = ""


def is_inline(sums: bytes) -> bool:
    """Whether a list carries its signature in itself."""
    return sums.lstrip().startswith(_INLINE)


async def judge(
    runner: ProcessRunner, vendor: Vendor, keys: Keys, sums: bytes, signature: bytes | None
) -> Judgement:
    """Say who signed ``sums``; of a list signed in itself only the signed text is returned."""

    def unchecked(why: str) -> Judgement:
        return Judgement(state=Signed.UNCHECKED, text=sums, why=why)

    if signature is None and not is_inline(sums):
        return unchecked("the list has no signature")
    if keys.gpgv is None:
        return unchecked("gpgv is not installed")
    paths = keys.keyrings or tuple(map(Path, vendor.keyrings))
    rings = await anyio.to_thread.run_sync(_read_keyrings, paths)
    if not rings:
        return unchecked(f"{vendor.name}'s keys are not installed ({vendor.package})")
    fingerprints = None if keys.keyrings else vendor.fingerprints
    with tempfile.TemporaryDirectory(prefix="asyncpipe-gpgv-") as name:
        folder = Path(name)
        write = partial(_write, folder, rings, sums, signature)
        argv = await anyio.to_thread.run_sync(write)
        home = {"GNUPGHOME": name, "HOME": name, "LC_ALL": "C"}
        command = Command(argv=(keys.gpgv, *argv), cwd=folder, environment=home)
        try:
            said = await capture(runner, command, timeout_s=_GPGV_S)
        except UsageError as error:
            return unchecked(error.message)
        state, why = _read_status(said.text.splitlines(), fingerprints)
        text = sums
        if signature is None and state is Signed.GOOD:  # nothing beside the signed text counts
            text = await anyio.to_thread.run_sync(_read_output, folder / "text")
    return Judgement(state=state, text=text, why=why)


def _read_keyrings(paths: Iterable[Path]) -> list[bytes]:
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found.append(_binary(file.read(_MAX_KEYRING_BYTES)))
        except OSError:
            continue
    return found


def _binary(key: bytes) -> bytes:
    """A key without its ASCII armour, which gpgv does not read (RFC 9580, 6.2)."""
    if not key.lstrip().startswith(b"-----BEGIN PGP PUBLIC KEY"):
        return key
    lines = [line.strip() for line in key.split(b"-----")[2].strip().splitlines()]
    body = [line for line in lines if line and b":" not in line and not line.startswith(b"=")]
    try:
        return base64.b64decode(b"".join(body), validate=True)
    except binascii.Error:
        return b""


def _write(
    folder: Path, rings: Sequence[bytes], sums: bytes, signature: bytes | None
) -> tuple[str, ...]:
    arguments = ["--status-fd", "1"]
    for number, ring in enumerate(rings):
        path = folder / f"ring-{number}.gpg"
        path.write_bytes(ring)
        arguments += ["--keyring", str(path)]
    (folder / "sums").write_bytes(sums)
    if signature is None:
        return (*arguments, "--output", str(folder / "text"), str(folder / "sums"))
    (folder / "signature").write_bytes(signature)
    return (*arguments, str(folder / "signature"), str(folder / "sums"))


def _read_output(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _read_status(lines: Sequence[str], fingerprints: frozenset[str] | None) -> tuple[Signed, str]:
    """Read gpgv's status lines (GnuPG's doc/DETAILS)."""
    words = [line.split()[1:] for line in lines if line.startswith("[GNUPG:] ")]
    told = {word[0] for word in words if word}
    if {"BADSIG", "REVKEYSIG"} & told:
        return Signed.WRONG, "its signature is bad"
    signers = {word[-1] for word in words if word and word[0] == "VALIDSIG"}
    if "GOODSIG" in told and signers & (fingerprints if fingerprints is not None else signers):
        return Signed.GOOD, ""
    if signers:
        if fingerprints is not None and not signers & fingerprints:
            return Signed.WRONG, f"another key signed it: {min(signers)}"
        return Signed.UNCHECKED, "the key that signed it has expired"
    unknown = [word[1] for word in words if len(word) > 1 and word[0] == "NO_PUBKEY"]
    return _by_unknown(unknown, fingerprints or frozenset())


def _by_unknown(key_ids: Sequence[str], fingerprints: frozenset[str]) -> tuple[Signed, str]:
    if not key_ids:
        return Signed.WRONG, "its signature cannot be read"
    if any(fingerprint.endswith(key) for key in key_ids for fingerprint in fingerprints):
        return Signed.UNCHECKED, f"the vendor's key {key_ids[0]} is not in the keyring"
    return Signed.WRONG, f"a key that is not known as the vendor's signed it: {key_ids[0]}"
