"""What ``latest`` and ``pull`` do."""

from __future__ import annotations

import shlex
from pathlib import Path

import anyio
import anyio.to_thread
from msgspec import to_builtins

from asyncpipe import catalog
from asyncpipe.cli.catalog.said import Said
from asyncpipe.cli.progress import watched_stream
from asyncpipe.model.documents.catalog import CatalogEntry
from asyncpipe.ports import ObjectStore
from asyncpipe.text.format import size_text
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
    store: ObjectStore, *, template: str, output: Path | None, verify_xva: bool, revoked: bool
) -> Said:
    """Fetch an XVA and say what was verified."""
    warnings: list[str] = []
    entry = await catalog.resolve(store, template, revoked=revoked, warn=warnings.append)
    path = await anyio.to_thread.run_sync(_output, output, entry)
    async with watched_stream(store, path.name, entry.xva.size_bytes) as watched_store:
        validator = XvaValidator() if verify_xva else None
        pulled = await catalog.pull(watched_store, entry, path, validator=validator)
    if "sha256" not in pulled.verified:
        warnings.append("the version was published without a SHA-256: only its size was compared")
    resumed = f", {size_text(pulled.resumed_bytes)} were there" if pulled.resumed_bytes else ""
    size, verified = size_text(pulled.entry.xva.size_bytes), ", ".join(pulled.verified)
    return Said(
        text=f"{pulled.path}: {size}{resumed}, verified: {verified}\n"
        f"Import it: xe vm-import filename={shlex.quote(str(pulled.path))}\n"
        "Then make a template of it; clones let people in by a cloud-init drive only.",
        document={
            "version": to_builtins(pulled.entry),
            "path": str(pulled.path),
            "resumed_bytes": pulled.resumed_bytes,
            "verified": list(pulled.verified),
        },
        warnings=tuple(warnings),
    )


def _output(output: Path | None, entry: CatalogEntry) -> Path:
    name = f"{entry.short_id}.xva"  # never a name that only the store's metadata chose
    if output is None:
        return Path(name)
    return output / name if output.is_dir() else output
