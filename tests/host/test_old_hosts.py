"""A version that is compressed with zstd, and hosts that are older than that."""

from __future__ import annotations

import hashlib

import anyio
import pytest
import zstandard

from asyncpipe.errors import HostError
from asyncpipe.host.compression import imports
from asyncpipe.host.importing import Imported, ImportOptions, import_xva
from asyncpipe.host.stream import ImportSource
from asyncpipe.model.host import DIGEST_KEY
from asyncpipe.model.xva import IMPORTERS, Compression
from tests.host.access import access_to
from tests.host.sources import Seen, source_of, xva
from tests.xapi_standin.standin import XapiStandIn

pytestmark = pytest.mark.anyio

PLAIN = xva()
STORED = zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN)


def compressed(*, plain: bool) -> ImportSource:
    return source_of(
        STORED, compression=Compression.ZSTD, plain=source_of(PLAIN) if plain else None
    )


async def imported(xapi: XapiStandIn, source: ImportSource) -> Imported:
    with anyio.fail_after(30):
        return await import_xva(access_to(xapi), source, ImportOptions(), Seen())


def become(xapi: XapiStandIn, brand: str, version: str) -> None:
    for host in xapi.state.tables["host"].values():
        host["software_version"] = {"product_brand": brand, "product_version": version}


async def test_a_host_of_today_gets_it_as_it_is_stored(xapi: XapiStandIn) -> None:
    done = await imported(xapi, compressed(plain=True))
    assert done.sha256_hex == hashlib.sha256(STORED).hexdigest()


async def test_a_host_that_is_too_old_gets_it_decompressed(xapi: XapiStandIn) -> None:
    become(xapi, "XenServer", "7.6.0")
    done = await imported(xapi, compressed(plain=True))
    assert done.sha256_hex == hashlib.sha256(PLAIN).hexdigest()
    assert xapi.record("VM", "sample & co")["other_config"][DIGEST_KEY] == done.sha256_hex


async def test_what_cannot_be_decompressed_is_refused_before_anything_is_sent(
    xapi: XapiStandIn,
) -> None:
    become(xapi, "XCP-ng", "7.5.0")
    with pytest.raises(HostError, match=r"does not import zstd.*XCP-ng 7\.6"):
        await imported(xapi, compressed(plain=False))
    assert not xapi.made("PUT /import")
    assert xapi.vms() == []


@pytest.mark.parametrize(
    ("product", "takes"),
    [
        ("XCP-ng 8.3.0", True),
        ("XCP-ng 7.6.0", True),
        ("XCP-ng 7.5", False),
        ("Citrix Hypervisor 8.2.1", True),
        ("XenServer 8.0.0", False),
        ("XenServer 8.4.0", True),
        ("XenServer 10.1", True),
        ("something else", True),
        ("", True),
    ],
)
async def test_which_products_take_zstd(product: str, *, takes: bool) -> None:
    assert imports(product, IMPORTERS[Compression.ZSTD]) is takes
