"""One published version as the catalogue lists it, and what happened to a pointer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asyncpipe.model import store_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One visible version: what ``latest.json``, a channel and ``index.json`` say of it."""

    short_id: str
    timestamp: str
    xva_key: str
    xva_size_bytes: int
    xva_sha256_hex: str
    os_type: str | None = None
    os_version: str | None = None
    release: str | None = None
    arch: str | None = None
    pretty_name: str | None = None
    end_of_life: str | None = None
    unit: str = ""
    template: str = ""  # path of the template in its repository
    git_commit: str | None = None
    duration_s: float | None = None  # of Packer's run: balances later matrices

    @property
    def folder_key(self) -> str:
        """``templates/debian12/20261123T170000Z``."""
        return store_keys.folder_key(self.short_id, self.timestamp)

    @property
    def metadata_key(self) -> str:
        """The key of the version's metadata."""
        return f"{self.folder_key}/{store_keys.METADATA_NAME}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerResult:
    """What happened to ``latest.json`` and ``index.json``."""

    moved: bool  # the pointer names this version now
    latest_timestamp: str  # what it names
    previous_metadata: Mapping[str, object] | None = None  # of the version it named before
    warnings: tuple[str, ...] = ()
