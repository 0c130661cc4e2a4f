"""``check --iso`` against a vendor's server: the image, its list of sums, and what can be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from asyncpipe.cli.run.mirrors import HttpMirrors
from asyncpipe.model.check import CheckResult, CheckStatus
from asyncpipe.model.template import Location, TemplateSource
from asyncpipe.preflight import exit_code_of
from asyncpipe.preflight.iso import Checker, Keys, sums
from asyncpipe.preflight.media import check_media
from asyncpipe.system.process import SystemProcessRunner
from tests.metadata import documents as make

pytestmark = pytest.mark.anyio
ISO = b"an image" * 100
SHA256 = hashlib.sha256(ISO).hexdigest()
SHA512 = hashlib.sha512(ISO).hexdigest()
OTHER = "0" * 64
OLD, NEWER = (f"AlmaLinux-9.{n}-x86_64-boot.iso" for n in (7, 8))
OLD_GONE = "AlmaLinux-9.6-x86_64-boot.iso"
ALMA = "".join(f"SHA256 ({name}) = {OTHER}\n" for name in (OLD, NEWER)).encode()
FILES = {
    "/deb/x.iso": ISO,
    "/deb/SHA512SUMS": f"{SHA512}  x.iso\n".encode(),
    "/deb/SHA256SUMS": f"{SHA256} *./x.iso\n".encode(),
    "/deb/OTHERSUMS": f"{OTHER}  y.iso\n".encode(),
    "/rocky/x.iso": ISO,
    "/rocky/CHECKSUM": f"# x.iso: 800 bytes\nSHA256 (x.iso) = {SHA256}\n".encode(),
    f"/deb/{OLD}": ISO,
    f"/deb/{NEWER}": ISO,
    "/deb/CHECKSUM": ALMA,
    "/short/x.iso": ISO,
    "/short/CHECKSUM": f"# x.iso: 801 bytes\nSHA256 (x.iso) = {SHA256}\n".encode(),
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


async def _check(url: str, checksum: Any) -> list[CheckResult]:
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
    return await check_media(plan, Checker(HttpMirrors(), SystemProcessRunner(), Keys(gpgv=None)))


@pytest.mark.parametrize(
    ("path", "checksum", "says"),
    [
        ("/deb/x.iso", "file:{}/deb/SHA512SUMS", "its sum is listed"),
        ("/deb/x.iso", f"sha256:{SHA256}", "its sum is the list's"),
        ("/deb/x.iso", SHA512.upper(), "its sum is the list's"),
        ("/rocky/x.iso", f"sha256:{SHA256}", "its sum is the list's"),
        ("/rocky/x.iso", "file:{}/rocky/CHECKSUM", "its sum is listed"),
        ("/rocky/x.iso", SHA512, "no list has sums of the template's kind"),
        ("/alone/x.iso", f"sha256:{SHA256}", "no list of sums"),
        ("/huge/x.iso", f"sha256:{SHA256}", "no list of sums"),
        ("/alone/x.iso", "none", "no list of sums"),
        ("/deb/x.iso", "none", "the template states no SHA-2 sum"),
        (f"/deb/{NEWER}", f"sha256:{OTHER}", "the newest of its series"),
    ],
)
async def test_what_is_right_passes(server: str, path: str, checksum: str, says: str) -> None:
    (result,) = await _check(server + path, checksum.format(server))
    assert (result.exit_code, result.status.value) == (0, "ok"), result.message
    assert says in result.message


@pytest.mark.parametrize(
    ("path", "checksum", "exit_code", "says"),
    [
        ("/deb/gone.iso", "none", 61, "gone: HTTP 404"),
        ("/down/x.iso", "none", 64, "unreachable: HTTP 503"),
        ("/deb/x.iso", "file:{}/deb/GONE", 61, "GONE is gone"),
        ("/deb/x.iso", "file:{}/down/SUMS", 64, "HTTP 503"),
        ("/deb/x.iso", "file:http://127.0.0.1:1/SUMS", 64, "unreachable"),
        ("/deb/x.iso", "file:{}/deb/OTHERSUMS", 61, "does not name it"),
        ("/huge/x.iso", "file:{}/huge/SHA256SUMS", 64, "larger than"),
        ("/deb/x.iso", f"sha256:{OTHER}", 62, f"the list's sum is {SHA256}"),
        ("/rocky/x.iso", f"sha256:{OTHER}", 62, f"the template's {OTHER}"),
        ("/short/x.iso", f"sha256:{SHA256}", 62, f"has {len(ISO)} bytes, by its list it has 801"),
        (f"/deb/{OLD_GONE}", f"sha256:{OTHER}", 61, f"{NEWER} is published, {OLD_GONE} is gone"),
    ],
)
async def test_what_is_wrong_is_refused_with_the_code_of_iso_check(
    server: str, path: str, checksum: str, exit_code: int, says: str
) -> None:
    (result,) = await _check(server + path, checksum.format(server))
    assert (result.exit_code, result.status.value) == (exit_code, "fail"), result.message
    assert says in result.message
    assert result.hint
    assert (result.file, result.line) == ("x.pkr.hcl", 7)


@pytest.mark.parametrize("checksum", ["sha256:abc", "nonsense"])
async def test_a_sum_that_is_none_is_the_templates_fault(server: str, checksum: str) -> None:
    result, of_the_image = await _check(f"{server}/alone/x.iso", checksum)
    assert (result.exit_code, result.line) == (3, 7)
    assert "is not a sum" in result.message
    assert of_the_image.exit_code == 0


async def test_a_newer_image_is_a_warning_whose_code_ends_a_check_that_has_no_failure(
    server: str,
) -> None:
    (result,) = await _check(f"{server}/deb/{OLD}", f"sha256:{OTHER}")
    assert (result.exit_code, result.status.value) == (60, "warn")
    assert f"{NEWER} is published" in result.message
    assert "iso-check --update" in result.hint
    assert exit_code_of([result]) == 60
    failed = replace(result, status=CheckStatus.FAIL, exit_code=42)
    assert exit_code_of([result, failed]) == 42


async def test_a_mirror_that_does_not_answer_is_not_green() -> None:
    (result,) = await _check("http://127.0.0.1:1/x.iso", "none")
    assert (result.exit_code, result.status.value) == (64, "fail")


def test_a_list_of_sums_is_read_in_every_form_and_by_the_whole_name() -> None:
    body = f"{OTHER}  ax.iso\n{SHA256.upper()}  dir/x.iso\nSHA512(y.iso)= {SHA512}\n\xff\n"
    assert sums.read(body.encode()) == {"ax.iso": OTHER, "x.iso": SHA256, "y.iso": SHA512}
