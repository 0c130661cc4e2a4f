"""How a published XVA is compressed, as metadata.json says it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from asyncpipe.model.documents.fields import Count, Name, Sha256Hex, Short


class ImportedBy(Struct, frozen=True, kw_only=True):
    """The first versions that import it as it is stored."""

    xapi: Short
    xcp_ng: Short
    xenserver: Short


class Compression(Struct, frozen=True, kw_only=True):
    """How the stored XVA is compressed, and the archive that decompressing gives."""

    format: Literal["gzip", "zstd"]
    plain_size_bytes: Count
    plain_sha256_hex: Sha256Hex
    ratio: Annotated[
        float, Meta(ge=0, le=1e9, description="Stored bytes over plain bytes: smaller is better.")
    ]
    level: Annotated[int, Meta(ge=-(2**31), le=2**31)] | None = None  # null: not known
    compressor: Name | None = None  # null: the host, or a program of the build
    imported_by: ImportedBy | None = None  # null: every host
