"""The body of a part on its way: whole and in order, however its reader takes it."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import anyio
import pytest

from asyncpipe.stores.s3.wire.body import PartBody

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
MIB = 1024 * 1024
BODY = random.Random(7).randbytes(9 * MIB + 12_345)


@contextmanager
def reader(*, pauses: int, stops_after_bytes: int | None = None) -> Iterator[tuple[str, bytearray]]:
    """A server with little room that pauses so often, and closes early where it is asked to."""
    got = bytearray()

    def serve() -> None:
        connection, _ = listener.accept()
        listener.close()  # aiohttp would try again
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            got.extend(received.partition(b"\r\n\r\n")[2])
            chance = random.Random(11)
            stop_bytes = len(BODY) if stops_after_bytes is None else stops_after_bytes
            pause_bytes = [chance.randrange(stop_bytes) for _ in range(pauses)]
            while len(got) < stop_bytes:
                got.extend(connection.recv(chance.choice([1, 1000, 65536, MIB])))
                while pause_bytes and len(got) > min(pause_bytes):
                    pause_bytes.remove(min(pause_bytes))
                    time.sleep(0.01)
            if stops_after_bytes is None:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield url, got
        finally:
            thread.join(30)


@pytest.mark.parametrize("pauses", [0, 20])
async def test_a_part_arrives_whole_and_is_counted_whole(pauses: int) -> None:
    counted: list[int] = []
    with anyio.fail_after(30), reader(pauses=pauses) as (url, got):
        async with aiohttp.ClientSession() as session:
            body = PartBody(memoryview(BODY), counted.append)
            async with session.put(url, data=body) as answer:
                assert answer.status == 200
    assert bytes(got) == BODY
    assert sum(counted) == len(BODY)


async def test_a_connection_that_closes_in_the_middle_ends_the_part() -> None:
    counted: list[int] = []
    with anyio.fail_after(30), reader(pauses=0, stops_after_bytes=2 * MIB) as (url, _):
        async with aiohttp.ClientSession() as session:
            body = PartBody(memoryview(BODY), counted.append)
            with pytest.raises(aiohttp.ClientError):
                await session.put(url, data=body)
    assert sum(counted) <= len(BODY)
