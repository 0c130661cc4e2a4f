"""Large bodies go past aiohttp's parser: the same bytes, limits and connections all the same."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import random
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from asyncpipe.errors import TransientStoreError
from asyncpipe.model.store import StoreOptions, StoreProfile
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3 import reading
from asyncpipe.stores.s3.wire import receiving
from tests.s3_standin.faults import Kind, Rule
from tests.s3_standin.server import running_standin
from tests.stores.certificates import Authority
from tests.stores.helpers import LIMIT_S, opened, read_all
from tests.stores.listening import HERE, listening

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
BODY = os.urandom(5 * MIB + 4321)
AWS = StoreOptions(profile=StoreProfile.AWS)
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
Serve = Callable[[socket.socket], None]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """Counts connections; answers each request with what ``answers`` sends."""

    def __init__(self, answer: Serve) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._answer = answer

    def serve(self, connection: socket.socket) -> None:
        self.connections += 1
        with contextlib.suppress(OSError):
            while head := _head_of(connection):
                self.requests.append(head)
                self._answer(connection)


def _head_of(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return b""
        head += piece
    return head


@asynccontextmanager
async def store_at(
    answer: Serve, options: StoreOptions = AWS
) -> AsyncIterator[tuple[ObjectStore, Server]]:
    server = Server(answer)
    with listening(server.serve) as port:
        environment = {**KEYS, "AWS_ENDPOINT_URL_S3": f"http://{HERE}:{port}"}
        with anyio.fail_after(LIMIT_S):
            async with open_store("s3://bucket/p", environment=environment, options=options) as s:
                yield s, server


def _with_length(body: bytes, length_bytes: int | None = None, more: str = "") -> bytes:
    size_bytes = len(body) if length_bytes is None else length_bytes
    head = f'HTTP/1.1 200 OK\r\nContent-Length: {size_bytes}\r\nETag: "e"\r\n{more}\r\n'
    return head.encode() + body


def _whole(connection: socket.socket) -> None:
    connection.sendall(_with_length(BODY))


async def test_bodies_arrive_whole_and_one_connection_serves_them_all() -> None:
    async with store_at(_whole) as (store, server):
        for _ in range(4):
            assert await read_all(store, "x.xva") == BODY
    assert (len(server.requests), server.connections) == (4, 1)


async def test_bodies_one_after_the_other_are_received_into_the_same_memory() -> None:
    async def memory_of_a_body(store: ObjectStore) -> set[weakref.ref[mmap.mmap]]:
        async with store.stream("x.xva") as pieces:
            views = [memoryview(piece) async for piece in pieces]
        return {weakref.ref(view.obj) for view in views if isinstance(view.obj, mmap.mmap)}

    async with store_at(_whole) as (store, _):
        first = await memory_of_a_body(store)
        again = await memory_of_a_body(store)  # nobody received anything in between
    assert len(first) == 1
    assert again == first, "fresh memory costs as much as receiving into it"


async def test_a_range_comes_in_one_piece_that_begins_a_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel copies it to a page of a file up to twice as fast as from another offset."""
    monkeypatch.setattr(receiving, "_HOLD_S", LIMIT_S)  # however slow this machine is
    body = os.urandom(8 * MIB)

    def answer(connection: socket.socket) -> None:
        head = _with_length(body)[: -len(body)]
        connection.sendall(head + body[:100_001])  # aiohttp reads these ahead
        connection.sendall(body[100_001:])

    async with store_at(answer) as (store, _), store.stream("x.xva") as pieces:
        views = [memoryview(piece) async for piece in pieces]
    assert b"".join(views) == body
    assert len(views) == 1, "no second piece to be put together"
    address = ctypes.addressof(ctypes.c_char.from_buffer(views[0]))
    assert address % mmap.PAGESIZE == 0


async def test_a_connection_that_the_server_means_to_close_is_not_used_again() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(_with_length(BODY, more="Connection: close\r\n"))
        connection.shutdown(socket.SHUT_WR)

    async with store_at(answer) as (store, server):
        assert await read_all(store, "x.xva") == BODY
        assert await read_all(store, "x.xva") == BODY
    assert server.connections == 2


async def test_a_chunked_body_arrives_whole() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "e"\r\n\r\n')
        for start in range(0, len(BODY), 100_000):
            piece = BODY[start : start + 100_000]
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    async with store_at(answer) as (store, _):
        assert await read_all(store, "x.xva") == BODY


@pytest.mark.parametrize("cut_bytes", [1, MIB, MIB + 5, len(BODY) - 1])
async def test_a_body_that_ends_too_early_is_transient_after_what_had_come(cut_bytes: int) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(_with_length(BODY[:cut_bytes], len(BODY)))
        connection.shutdown(socket.SHUT_RDWR)

    got = bytearray()

    async def read(store: ObjectStore) -> None:
        async with store.stream("x.xva") as pieces:
            async for piece in pieces:
                got.extend(piece)

    async with store_at(answer) as (store, _):
        with pytest.raises(TransientStoreError):
            await read(store)
    assert got == BODY[: len(got)]
    assert len(got) <= cut_bytes


async def test_bytes_beyond_the_promised_length_are_nobodys() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(_with_length(BODY + b"HTTP/1.1 200 OK\r\n\r\nsmuggled", len(BODY)))

    async with store_at(answer) as (store, server):
        for _ in range(3):
            assert await read_all(store, "x.xva") == BODY
    assert server.connections == 3, "what was said too much ends the connection"


async def test_a_server_that_falls_silent_is_given_up() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(_with_length(BODY[:MIB], len(BODY)))
        connection.recv(1)  # until the client leaves

    async with store_at(answer, replace(AWS, read_timeout_s=0.4)) as (store, _):
        with pytest.raises(TransientStoreError, match="in time"):
            await read_all(store, "x.xva")


async def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PROGRESS_S", 0.5)
    monkeypatch.setattr(receiving, "_HOLD_S", 0.05)

    def answer(connection: socket.socket) -> None:
        connection.sendall(_with_length(b"", len(BODY)))
        connection.settimeout(0.02)
        while True:
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return

    async with store_at(answer) as (store, _):
        with pytest.raises(TransientStoreError, match="brought less"):
            await read_all(store, "x.xva")


async def test_what_has_come_of_a_slow_body_is_handed_over_before_a_block_is_full() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(_with_length(BODY[:300_000], len(BODY)))
        connection.recv(1)

    async with store_at(answer) as (store, _), store.stream("x.xva") as pieces:
        got = b""
        while len(got) < 300_000:
            got += await anext(pieces)
    assert got == BODY[:300_000]


async def test_a_reader_that_pauses_holds_the_server_up_and_not_the_body_in_memory() -> None:
    sent_bytes = [0]
    size_bytes = 128 * MIB

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        connection.sendall(_with_length(b"", size_bytes))
        for _ in range(size_bytes // MIB):
            connection.sendall(bytes(MIB))
            sent_bytes[0] += MIB

    async with store_at(answer) as (store, _), store.stream("x.xva") as pieces:
        got_bytes = len(await anext(pieces))
        before_bytes = -1
        while before_bytes != sent_bytes[0]:  # until the server is held up
            before_bytes = sent_bytes[0]
            await anyio.sleep(0.1)
        assert before_bytes < size_bytes // 2
        async for piece in pieces:
            got_bytes += len(piece)
    assert got_bytes == size_bytes


async def test_a_reader_that_leaves_at_any_moment_leaves_a_store_that_works() -> None:
    chance = random.Random(5)
    async with store_at(_whole) as (store, _):
        for _ in range(25):
            with anyio.move_on_after(chance.uniform(0, 0.02)):
                async with store.stream("x.xva") as pieces:
                    async for _ in pieces:
                        await anyio.lowlevel.checkpoint()
        assert await read_all(store, "x.xva") == BODY


async def test_ranges_over_tls_are_what_was_stored(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with running_standin(tls=authority.server(HERE)) as standin:
        options = replace(AWS, ca_bundle=authority.bundle)
        with anyio.fail_after(LIMIT_S):
            async with opened(standin, options) as store:
                await store.put("x.xva", BODY, content_type="text/plain")
                for offset_bytes, size_bytes in ((0, None), (17, 2 * MIB), (3 * MIB, None)):
                    got = await read_all(
                        store, "x.xva", offset_bytes=offset_bytes, size_bytes=size_bytes
                    )
                    end = None if size_bytes is None else offset_bytes + size_bytes
                    assert got == BODY[offset_bytes:end]


@pytest.mark.parametrize("secure", [False, True])
async def test_a_cut_in_the_middle_is_transient_and_the_next_attempt_gets_it(
    tmp_path: Path, secure: bool
) -> None:
    authority = Authority(tmp_path)
    with running_standin(tls=authority.server(HERE) if secure else None) as standin:
        options = replace(AWS, ca_bundle=authority.bundle if secure else None)
        with anyio.fail_after(LIMIT_S):
            async with opened(standin, options) as store:
                await store.put("x.xva", BODY, content_type="text/plain")
                rule = Rule(kind=Kind.CUT_ANSWER, operation="GetObject", after_bytes=2 * MIB)
                standin.faults.rules.append(rule)
                with pytest.raises(TransientStoreError):
                    await read_all(store, "x.xva")
                assert await read_all(store, "x.xva") == BODY
