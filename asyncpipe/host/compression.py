"""Which hosts import an XVA as it is compressed; others get it decompressed, or it is refused."""

from __future__ import annotations

import re

from asyncpipe.errors import HostError
from asyncpipe.host.pool import XapiPool
from asyncpipe.host.stream import ImportSource
from asyncpipe.model.xva import IMPORTERS, Importers

_PRODUCT = re.compile(r"(?P<brand>.*?)\s*(?P<version>\d+(?:\.\d+)*)")


async def as_imported(pool: XapiPool, source: ImportSource) -> ImportSource:
    """Return the form of ``source`` that the pool's master imports.

    Raises:
        HostError: it imports none that can be made of it.
    """
    importers = IMPORTERS.get(source.compression) if source.compression else None
    if importers is None:
        return source
    product = (await pool.facts()).product
    if imports(product, importers):
        return source
    if source.plain is None:
        raise HostError(
            f"{pool.session.endpoint} is {product} and does not import {source.compression}; the"
            f" first that do are XCP-ng {importers.xcp_ng} and XenServer {importers.xenserver}.",
            hint="Decompress the file, and import that.",
        )
    return source.plain


def imports(product: str, importers: Importers) -> bool:
    """Whether a product, "XCP-ng 8.2.1", imports it; one that is not known is asked to try."""
    found = _PRODUCT.fullmatch(product.strip())
    if found is None:
        return True
    first = importers.xcp_ng if "xcp" in found["brand"].lower() else importers.xenserver
    return _numbers(found["version"]) >= _numbers(first)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
