from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from asyncpipe.stores.http import HttpUrls

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def medium(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    async def no_head(request: web.Request) -> web.Response:
        if request.method == "HEAD":
            raise web.HTTPMethodNotAllowed("HEAD", ["GET"])
        return web.Response(status=206, headers={"Content-Range": "bytes 0-0/5000"}, body=b"x")

    async def loop(request: web.Request) -> web.Response:
        raise web.HTTPFound("/loop")

    app = web.Application()
    app.router.add_get("/medium.iso", medium)
    app.router.add_route("*", "/no-head.iso", no_head)
    app.router.add_get("/loop", loop)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def test_a_medium_that_is_there_is_seen_with_its_size(server: str) -> None:
    seen = await HttpUrls().look(f"{server}/medium.iso")
    assert (seen.status, seen.size_bytes) == (200, 1000)


async def test_a_mirror_that_refuses_head_is_asked_for_one_byte(server: str) -> None:
    seen = await HttpUrls().look(f"{server}/no-head.iso")
    assert (seen.status, seen.size_bytes) == (206, 5000)


async def test_a_medium_that_is_gone_is_seen_as_such(server: str) -> None:
    assert (await HttpUrls().look(f"{server}/gone.iso")).status == 404


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x.iso", "file:///etc/passwd", "http://[broken/x.iso"]
)
async def test_every_failure_is_a_value(url: str) -> None:
    seen = await HttpUrls().look(url, timeout_s=2)
    assert seen.status == 0
    assert seen.problem


async def test_endless_redirects_end(server: str) -> None:
    seen = await HttpUrls().look(f"{server}/loop")
    assert seen.status == 0
