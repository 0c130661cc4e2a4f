"""The webhook is told once, within bounds, and its address is told to nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import web

from asyncpipe.report.webhook_post import post

pytestmark = pytest.mark.anyio
SECRET = "hook-secret-token"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def chat(status: int, taken: list[object]) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        taken.append(await request.json())
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"})

    application = web.Application()
    application.router.add_post(f"/{SECRET}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/{SECRET}"
    finally:
        await runner.cleanup()


async def test_a_chat_that_takes_the_message_gives_no_warning() -> None:
    taken: list[object] = []
    with anyio.fail_after(20):
        async with chat(200, taken) as url:
            assert await post(url, {"text": "hello"}) == ""
    assert taken == [{"text": "hello"}]


@pytest.mark.parametrize("status", [302, 403, 500])
async def test_a_refusal_is_a_warning_and_redirects_are_not_followed(status: int) -> None:
    with anyio.fail_after(20):
        async with chat(status, []) as url:
            problem = await post(url, {"text": "hello"})
    assert str(status) in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:1/{SECRET}", f"ftp://127.0.0.1/{SECRET}", f"https://[bad/{SECRET}"]
)
async def test_no_message_names_the_address(url: str) -> None:
    with anyio.fail_after(20):
        problem = await post(url, {"text": "hello"})
    assert problem
    assert SECRET not in problem
