"""A server that lies or stalls: nothing is followed, held or waited for without a limit."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import anyio
import pytest

from asyncpipe.errors import TransientStoreError, UploadError
from asyncpipe.model.store import StoreOptions, StoreProfile, UploadHandle
from asyncpipe.ports import ObjectStore
from asyncpipe.stores.open import open_store
from asyncpipe.stores.s3 import calls, pages, reading
from asyncpipe.stores.s3.wire import transport
from tests.s3_standin.standin import StandIn
from tests.stores.helpers import LIMIT_S, TEXT, begun, digests_of, keys_of, one_part, read_all
from tests.stores.listening import listening

pytestmark = pytest.mark.anyio

AWS = StoreOptions(profile=StoreProfile.AWS)
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "the-token-of-the-session",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def opened_at(serve: Callable[[socket.socket], None]) -> AsyncIterator[ObjectStore]:
    """A store at a server that does ``serve`` with each connection."""
    with listening(serve) as port:
        environment = {**KEYS, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
        async with open_store("s3://bucket/p", environment=environment, options=AWS) as store:
            yield store


def request_of(connection: socket.socket) -> bytes:
    """The head of a request."""
    head = b""
    while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
        head += piece
    return head


@contextlib.contextmanager
def elsewhere() -> Iterator[tuple[str, list[bytes]]]:
    """Another host; yields its URL and what it was asked."""
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        asked.append(request_of(connection))
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "x"\r\n\r\n{}')

    with listening(serve) as port:
        yield f"http://127.0.0.1:{port}/", asked


async def _get(store: ObjectStore) -> None:
    await store.get("latest.json", max_bytes=100)


async def _head(store: ObjectStore) -> None:
    await store.head("latest.json")


async def _put(store: ObjectStore) -> None:
    await store.put("latest.json", b"{}", content_type=TEXT)


async def _part(store: ObjectStore) -> None:
    await one_part(store, UploadHandle(key="x", upload_id="u"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("act", [_get, _head, _put, _part])
async def test_no_redirect_is_followed_and_no_token_leaves_for_another_host(
    status: int, act: Callable[[ObjectStore], Awaitable[None]]
) -> None:
    with elsewhere() as (url, asked):

        def redirect(connection: socket.socket) -> None:
            request_of(connection)
            connection.sendall(
                f"HTTP/1.1 {status} Moved\r\nLocation: {url}\r\nContent-Length: 0\r\n"
                "Connection: close\r\n\r\n".encode()
            )

        async with opened_at(redirect) as store:
            with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
                await act(store)
        assert not asked
    assert not isinstance(caught.value, TransientStoreError)
    assert "redirect" in caught.value.message
    assert "AWS_ENDPOINT_URL_S3" in caught.value.hint


def _answers(head: bytes, body: Callable[[], bytes | None]) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        request_of(connection)
        with contextlib.suppress(OSError):
            connection.sendall(head)
            while piece := body():
                connection.sendall(piece)

    return serve


def _endless() -> bytes:
    return b"10000\r\n" + b"x" * 65536 + b"\r\n"


CHUNKED = b'HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\nETag: "e"\r\n\r\n'


async def test_an_endless_object_is_read_up_to_what_was_allowed() -> None:
    async with opened_at(_answers(CHUNKED % 200, _endless)) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(UploadError, match="more than 100 bytes"):
            await store.get("latest.json", max_bytes=100)


async def test_an_endless_error_says_what_its_status_says() -> None:
    async with opened_at(_answers(CHUNKED % 403, _endless)) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(UploadError) as caught:
            await store.get("latest.json", max_bytes=100)
    assert caught.value.exit_code == 42


async def test_an_endless_page_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_BYTES", 1_000_000)
    async with opened_at(_answers(CHUNKED % 200, _endless)) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(UploadError, match="1000000 bytes"):
            await anext(aiter(store.list("")))


def _one_byte_now_and_then() -> Callable[[], bytes | None]:
    left = [*[b"1\r\nx\r\n"] * 40, b"0\r\n\r\n"]
    stop = threading.Event()

    def piece() -> bytes | None:
        stop.wait(0.05)
        return left.pop(0) if left else None

    return piece


async def test_a_page_that_comes_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "ANSWER_S", 0.3)
    async with opened_at(_answers(CHUNKED % 200, _one_byte_now_and_then())) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(TransientStoreError, match="in time"):
            await anext(aiter(store.list("")))


async def test_an_object_that_comes_byte_by_byte_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "PROGRESS_S", 0.3)
    async with opened_at(_answers(CHUNKED % 200, _one_byte_now_and_then())) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(TransientStoreError, match="brought less"):
            await read_all(store, "x.xva")


@pytest.mark.parametrize("what", ["list", "list_parts", "list_uploads"])
async def test_a_listing_that_never_advances_is_given_up(
    standin: StandIn, store: ObjectStore, what: str
) -> None:
    standin.operations.profile = replace(standin.operations.profile, page_limit=1, advances=False)
    with anyio.fail_after(LIMIT_S):
        handle = await begun(store)
        for number in (1, 2, 3):
            await store.put(f"k{number}", b"x", content_type=TEXT)
            await begun(store)
            await store.upload_part(handle, number, memoryview(b"abc"), digests_of(store, b"abc"))
        listings: dict[str, Callable[[], Awaitable[object]]] = {
            "list": lambda: keys_of(store, ""),
            "list_parts": lambda: store.list_parts(handle),
            "list_uploads": lambda: store.list_uploads(""),
        }
        with pytest.raises(UploadError, match="never come to an end"):
            await listings[what]()


async def test_a_listing_of_ever_new_pages_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_PAGES", 5)
    counter = iter(range(1000))

    def serve(connection: socket.socket) -> None:
        request_of(connection)
        number = next(counter)
        body = (
            "<ListBucketResult><IsTruncated>true</IsTruncated>"
            f"<NextContinuationToken>{number}</NextContinuationToken>"
            f"<Contents><Key>p/{number}</Key><Size>1</Size></Contents></ListBucketResult>"
        ).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)

    async with opened_at(serve) as store:
        with anyio.fail_after(LIMIT_S), pytest.raises(UploadError, match="never come to an end"):
            await keys_of(store, "")
    assert next(counter) == 5


async def test_a_server_that_never_says_100_continue_gets_the_part_all_the_same(
    standin: StandIn, store: ObjectStore
) -> None:
    standin.operations.profile = replace(standin.operations.profile, says_continue=False)
    with anyio.fail_after(LIMIT_S):
        part = await one_part(store, await begun(store))
    assert part.size_bytes == 200_000
