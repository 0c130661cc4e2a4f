"""Everything known about one template -> ``metadata.json`` (pure)."""

from asyncpipe.metadata.document import (
    SCHEMA_VERSION,
    Document,
    complete,
    draft,
    failed,
    with_boot_test,
)
from asyncpipe.metadata.encoding import encode, published
from asyncpipe.metadata.sbom import cyclonedx, spdx

__all__ = [
    "SCHEMA_VERSION",
    "Document",
    "complete",
    "cyclonedx",
    "draft",
    "encode",
    "failed",
    "published",
    "spdx",
    "with_boot_test",
]
