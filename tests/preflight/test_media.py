"""``check --iso`` against a vendor's server: the image, its list of sums, and what can be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from asyncpipe.model.check import CheckResult
from asyncpipe.model.template import Location, TemplateSource
from asyncpipe.preflight.media import check_media, sums_of
from asyncpipe.stores.http import HttpUrls
from tests.metadata import documents as make

pytestmark = pytest.mark.anyio
ISO = b"an image" * 100
SHA256 = hashlib.sha256(ISO).hexdigest()
SHA512 = hashlib.sha512(ISO).hexdigest()
OTHER = "0" * 64
FILES = {
    "/deb/x.iso": ISO,
    "/deb/SHA512SUMS": f"{SHA512}  x.iso\n".encode(),
    "/deb/SHA256SUMS": f"{SHA256} *./x.iso\n".encode(),
    "/deb/OTHERSUMS": f"{OTHER}  y.iso\n".encode(),
    "/rocky/x.iso": ISO,
    "/rocky/CHECKSUM": f"# x.iso: 800 bytes\nSHA256 (x.iso) = {SHA256}\n".encode(),
    "/alone/x.iso": ISO,
    "/huge/x.iso": ISO,
    "/huge/SHA256SUMS": b"#" * (5 * 1024 * 1024),
}


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def serve(request: web.Request) -> web.Response:
        if request.path.startswith("/down/"):
            raise web.HTTPServiceUnavailable
        if request.path not in FILES:
            raise web.HTTPNotFound
        return web.Response(body=FILES[request.path])

    app = web.Application()
    app.router.add_get("/{name:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _check(url: str, checksum: Any) -> CheckResult:
    location = Location(file="x.pkr.hcl", line=7)
    source = TemplateSource(
        type="xenserver-iso",
        label="x",
        build_name=None,
        attributes={"iso_url": url, "iso_checksum": checksum},
        locations={"iso_url": location},
        location=location,
    )
    plan = make.plan()
    plan = replace(plan, template=replace(plan.template, sources=(source,)))
    (result,) = await check_media(plan, HttpUrls())
    return result


@pytest.mark.parametrize(
    ("path", "checksum", "says"),
    [
        ("/deb/x.iso", "file:{}/deb/SHA512SUMS", "its sum is listed"),
        ("/deb/x.iso", f"sha256:{SHA256}", "the vendor's"),
        ("/deb/x.iso", SHA512.upper(), "the vendor's"),
        ("/rocky/x.iso", f"sha256:{SHA256}", "the vendor's"),
        ("/rocky/x.iso", "file:{}/rocky/CHECKSUM", "its sum is listed"),
        ("/alone/x.iso", f"sha256:{SHA256}", "no list of sums"),
        ("/huge/x.iso", f"sha256:{SHA256}", "no list of sums"),
        ("/alone/x.iso", "none", "no checksum"),
    ],
)
async def test_what_is_right_passes(server: str, path: str, checksum: str, says: str) -> None:
    result = await _check(server + path, checksum.format(server))
    assert result.exit_code == 0, result.message
    assert says in result.message


@pytest.mark.parametrize(
    ("path", "checksum", "exit_code", "says"),
    [
        ("/deb/gone.iso", "none", 3, "HTTP 404"),
        ("/down/x.iso", "none", 20, "HTTP 503"),
        ("/deb/x.iso", "file:{}/deb/GONE", 3, "the sums"),
        ("/deb/x.iso", "file:{}/down/SUMS", 20, "the sums"),
        ("/deb/x.iso", "file:http://127.0.0.1:1/SUMS", 20, "the sums"),
        ("/deb/x.iso", "file:{}/deb/OTHERSUMS", 3, "does not list x.iso"),
        ("/huge/x.iso", "file:{}/huge/SHA256SUMS", 20, "larger than"),
        ("/deb/x.iso", f"sha256:{OTHER}", 3, "lists another sum"),
        ("/rocky/x.iso", f"sha256:{OTHER}", 3, "lists another sum"),
        ("/deb/x.iso", "sha256:abc", 3, "64 digits"),
        ("/deb/x.iso", "nonsense", 3, "not a sum"),
    ],
)
async def test_what_is_wrong_is_refused(
    server: str, path: str, checksum: str, exit_code: int, says: str
) -> None:
    result = await _check(server + path, checksum.format(server))
    assert (result.exit_code, result.status.value) == (exit_code, "fail"), result.message
    assert says in result.message
    assert (result.file, result.line) == ("x.pkr.hcl", 7)


async def test_a_mirror_that_does_not_answer_is_not_green() -> None:
    result = await _check("http://127.0.0.1:1/x.iso", "none")
    assert (result.exit_code, result.status.value) == (20, "fail")


def test_a_list_of_sums_is_read_in_every_form_and_by_the_whole_name() -> None:
    body = f"{OTHER}  ax.iso\n{SHA256}  dir/x.iso\nSHA256 (x.iso) = {'1' * 64}\n\xff\n".encode()
    assert sums_of(body, "x.iso") == {SHA256, "1" * 64}
