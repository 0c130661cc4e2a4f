"""What ``latest`` and ``pull`` do."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog.said import Said
from asyncpipe.cli.progress import watched_stream
from asyncpipe.cli.signing.keys import checked, trust_of
from asyncpipe.errors import UsageError
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.model.xva import COMPRESSED
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import size_text

if TYPE_CHECKING:
    from asyncpipe.catalog.fetch.pull import Pulled
    from asyncpipe.xva.read.validator import XvaValidator


async def where(store: ObjectStore, *, template: str) -> Said:
    """Where the newest version is, or the one that is named."""
    warnings: list[str] = []
    entry = await catalog.resolve(store, template, warn=warnings.append)
    return Said(
        warnings=tuple(warnings),
        text=f"{entry.short_id}@{entry.timestamp}\n{store.url_of(entry.xva.key)}\n"
        f"{size_text(entry.xva.size_bytes)}  sha256:{entry.xva.sha256_hex}",
        document={"version": to_builtins(entry), "url": store.url_of(entry.xva.key)},
    )


async def pull(
    store: ObjectStore,
    *,
    template: str,
    output: Path | None,
    verify_xva: bool,
    decompress: bool,
    revoked: bool,
    expired: bool,
    **signature: Any,
) -> Said:
    """Fetch an XVA and say what was verified."""
    if decompress and not verify_xva:
        raise UsageError("--decompress reads the whole XVA: it cannot go with --no-verify-xva.")
    trust = trust_of(signature)
    warnings: list[str] = []
    entry = await catalog.resolve(
        store, template, revoked=revoked, expired=expired, warn=warnings.append
    )
    signed = await checked(store, entry, trust) if trust else None
    entry = signed.entry if signed else entry
    path = await anyio.to_thread.run_sync(_output, output, entry)
    async with watched_stream(store, path.name, entry.xva.size_bytes) as watched_store:
        if decompress:
            from asyncpipe.catalog.fetch.plain import pull_plain

            pulled = await pull_plain(watched_store, entry, path, trusted=bool(signed))
        else:
            validator = validator_of_stored() if verify_xva else None
            pulled = await catalog.pull(
                watched_store, entry, path, validator=validator, trusted=bool(signed)
            )
    if "sha256" not in pulled.verified:
        warnings.append("the version was published without a SHA-256: only its size was compared")
    return _said_of(pulled, signed.signer if signed else None, warnings, decompress=decompress)


def _said_of(
    pulled: Pulled, signer: str | None, warnings: Sequence[str], *, decompress: bool
) -> Said:
    """What was fetched and verified, and how to import it."""
    resumed = f", {size_text(pulled.resumed_bytes)} were there" if pulled.resumed_bytes else ""
    checks = [*pulled.verified, *(["signature"] if signer else [])]
    xva = pulled.entry.xva
    size = size_text(xva.content_size_bytes if decompress else xva.size_bytes)
    return Said(
        text=f"{pulled.path}: {size}{resumed}, verified: {', '.join(checks)}\n"
        f"Import it: xe vm-import filename={shlex.quote(str(pulled.path))}\n"
        + (f"Signed by {signer}\n" if signer else "")
        + "Then make a template of it; clones let people in by a cloud-init drive only.",
        document={
            "version": to_builtins(pulled.entry),
            "path": str(pulled.path),
            "resumed_bytes": pulled.resumed_bytes,
            "decompressed": decompress,
            "verified": checks,
            "signer": signer,
        },
        warnings=tuple(warnings),
    )


async def verify(store: ObjectStore, *, template: str, **signature: Any) -> Said:
    """Check signature, statement, metadata and image of a version; nothing is kept."""
    trust = trust_of(signature, always=True)
    assert trust is not None
    warnings: list[str] = []
    entry = await catalog.resolve(store, template, revoked=True, warn=warnings.append)
    if problem := (await catalog.standing_of(store, entry)).problem:
        warnings.append(f"{entry.short_id}@{entry.timestamp} {problem}")
    signed = await checked(store, entry, trust)
    entry = signed.entry
    async with watched_stream(store, template, entry.xva.size_bytes) as watched_store:
        await catalog.require_image(watched_store, entry, validator_of_stored())
    return Said(
        text=f"{entry.short_id}@{entry.timestamp}: signature, statement, metadata.json and image"
        f" fit together\nSigned by {signed.signer}",
        document={
            "version": to_builtins(entry),
            "signer": signed.signer,
            "statement": json.loads(signed.statement),
            "verified": ["signature", "statement", "metadata", "size", "sha256", "xva"],
        },
        warnings=tuple(warnings),
    )


def validator_of_stored() -> XvaValidator:
    """Return what judges a stored XVA, and digests what is in a compressed one."""
    from asyncpipe.xva.read.validator import XvaValidator

    return XvaValidator(digest_of=COMPRESSED)


def _output(output: Path | None, entry: CatalogEntry) -> Path:
    name = f"{entry.short_id}.xva"  # never a name that only the store's metadata chose
    if output is None:
        return Path(name)
    return output / name if output.is_dir() else output
